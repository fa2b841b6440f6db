"""Toy data set on disk: two videos with the same clip and question."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrib import video
from attrib.testing import QUESTION, toy_clip

VIDEOS = ("one", "two")


def settings(root: Path, **changes: Any) -> dict[str, Any]:
    """Write the data set below `root` and return a configuration that reads it with the model `toy`."""
    clip = toy_clip()
    question = {"id": 0, "question": QUESTION.text, "options": list(QUESTION.options), "answer_id": 0}
    for name in VIDEOS:
        video.write(root / "videos" / f"{name}.mp4", clip.frames, clip.times, clip.end)
    (root / "all_valid.json").write_text(json.dumps({name: {"mc_question": [question]} for name in VIDEOS}))
    return {
        "data": {"name": "perception_test", "root": str(root)}, "model": {"name": "toy", "frames": 4},
        "overlays": 0, "resamples": 100, **changes,
    }  # fmt: skip
