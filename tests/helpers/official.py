"""Invented annotations in the layout and of the size of the real set: `python tests/helpers/official.py DIR 6000`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

LABELS = ("cup", "water bottle", "bottle", "table", "person", "geometric shape", "laptop", "pen", "box", "ball")
ACTIONS = ("Putting something into something", "Moving something around", "Lifting something", "Clapping hands")
SECONDS, RATE = 20, 29.97


def video(rng: np.random.Generator, tracks: int = 20, boxes: int = 30, points: int = 4) -> dict[str, Any]:
    """Annotation of one video: tracks of `boxes` boxes, points in most frames, actions, sounds and questions."""
    frames = [int(k * SECONDS * RATE / boxes) for k in range(boxes)]
    point_frames = [k for k in range(int(SECONDS * RATE)) if k % 7]
    return {
        "metadata": {"split": "train", "frame_rate": RATE, "num_frames": int(SECONDS * RATE),
                     "resolution": [1080, 1920], "audio_samples": 960_000, "audio_sample_rate": 48_000,
                     "is_cup_game": 0, "is_camera_moving": 0},
        "object_tracking": [_track(rng, number, frames) for number in range(tracks)],
        "point_tracking": [
            {"id": number, "label": "point", "parent_objects": [number], "frame_ids": point_frames,
             "points": rng.random((2, len(point_frames))).tolist()} for number in range(points)
        ],
        "action_localisation": [_segment(rng, number, ACTIONS, tracks) for number in range(12)],
        "sound_localisation": [
            {**_segment(rng, number, ("Interaction", "Object:Hit"), tracks), "is_visible": 1} for number in range(6)
        ],
        "mc_question": [
            {"id": number, "question": f"What does the person put into box {number}?", "answer_id": 1,
             "options": ["a water bottle", "a pen", "nothing "], "area": "physics", "reasoning": "descriptive",
             "tag": ["motion"]}
            for number in range(4)
        ],
        "grounded_question": [{"id": 9, "question": "Track the pens.", "answers": [7], "area": "memory"}],
    }  # fmt: skip


def _track(rng: np.random.Generator, number: int, frames: list[int]) -> dict[str, Any]:
    corners = np.sort(rng.random((len(frames), 2, 2)), axis=1).reshape(-1, 4)
    return {
        "id": number, "label": LABELS[number % len(LABELS)], "is_occluder": 0, "bounding_boxes": corners.tolist(),
        "initial_tracking_box": [int(k == 0) for k in range(len(frames))], "frame_ids": frames,
        "timestamps": [round(frame / RATE * 1e6) for frame in frames], "is_masked": [0] * len(frames),
    }  # fmt: skip


def _segment(rng: np.random.Generator, number: int, labels: tuple[str, ...], tracks: int) -> dict[str, Any]:
    first, last = sorted(rng.choice(int(SECONDS * RATE), 2, replace=False).tolist())
    return {
        "id": number, "label": labels[number % len(labels)], "label_id": number % len(labels),
        "parent_objects": rng.integers(0, tracks, 2).tolist(), "frame_ids": [first, last],
        "timestamps": [round(first / RATE * 1e6), round(last / RATE * 1e6)],
    }  # fmt: skip


def write(root: Path, videos: int, split: str = "train", **sizes: int) -> Path:
    """Write `all_{split}.json` with so many videos, always the same; return `root`."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"all_{split}.json").open("w", encoding="utf-8") as file:
        for number in range(videos):
            file.write(f'{", " if number else "{"}"video_{number}": {json.dumps(video(rng, **sizes))}')
        file.write("}")
    return root


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
