"""Small finished runs for the tests of the report: one with hostile names, one of the built-in world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import attrib
from attrib import registry, video
from attrib.errors import InputError
from attrib.method import Control
from attrib.subject import Subject
from attrib.testing import ToyModel, toy_clip
from attrib.types import Evidence, Question, Sample, Segment, Track

EVIL = "<img src=x onerror=alert(1)>"
QUESTION = "</script><script>alert(3)</script><img src=x onerror=alert(4)> Which colour?"
OPTIONS = ("<u>red</u>", "</ScRiPt>green")
TRACK, ACTION = '"><img src=x onerror=alert(5)>', "<script>alert(6)</script>"
VIDEOS = ("one", "t<w>o & '3' %41")
IDS = ("one_0", "../<i>up</i>/two")
ERROR = "<img src=x onerror=alert(7)>"


@dataclass(frozen=True)
class Fails(Control):
    """Method that fails with an error message in markup."""

    def values(self, subject: Subject) -> torch.Tensor:
        raise ValueError(ERROR)


@dataclass(frozen=True)
class Hostile:
    """Data set of two videos in `root`, written on first use."""

    root: str

    def __iter__(self) -> Iterator[Sample]:
        if not Path(self.root).parent.is_dir():
            raise InputError(f"{self.root}: no such directory")
        clip = toy_clip()
        for index, name in enumerate(VIDEOS):
            path = Path(self.root) / f"{name}.mp4"
            if not path.exists():
                video.write(path, clip.frames, clip.times, clip.end)
            yield _sample(path, index)


def hostile(folder: Path) -> Path:
    """Run of the toy model on two videos, whose names, labels, question, options and errors are markup."""
    known()
    metrics = {"srg": None, EVIL: {"metric": "insertion"}, "shuffled_auc": None, "object_auc": None, "roc_auc": None,
               "segment_auc": None}  # fmt: skip
    settings = {
        "data": {"name": "hostile", "root": str(folder / "world")}, "model": {"name": "toy", "frames": 4},
        "methods": {EVIL: {"method": "edges"}, "centre": None, "uniform": None, "recency": None, "fails": None,
                    "oracle": None},
        "metrics": metrics, "imputers": ["blur"], "overlays": 0, "resamples": 100, "null_pairs": 1,
    }  # fmt: skip
    try:
        attrib.bench(settings, folder / "run")
    finally:
        forgotten()
    return folder / "run"


def known() -> None:
    """Register the names of the hostile run, so that its configuration can be read."""
    registry._files["models"]["toy"] = lambda **_: ToyModel()
    registry.register("methods", Fails)
    registry.register("datasets", Hostile)


def forgotten() -> None:
    """Undo `known`."""
    for kind in ("models", "methods", "datasets"):
        registry._files[kind].clear()


def _sample(video_path: Path, index: int) -> Sample:
    """Question about the toy clip; in the second video the object is at another position."""
    times, low = np.arange(4) / 2, 0.25 * (index + 1)
    boxes = np.tile([low, low, low + 0.25, low + 0.25], (4, 1))
    tracks = (
        Track(0, TRACK, times, boxes, np.zeros(4, bool)),
        Track(1, "other", times, np.tile([0.0, 0.0, 0.25, 0.25], (4, 1)), np.array([False, False, True, True])),
    )
    return Sample(
        IDS[index], video_path, Question(QUESTION, OPTIONS, 0), QUESTION, tracks,
        (Segment("action", ACTION, 0.5, 1.0, (0,)),), (Evidence(0, 0.5, 1.5),), cut=1.75, rule="<b>rule</b>",
    )  # fmt: skip


def built_in(folder: Path) -> Path:
    """Run of three built-in videos with raw and divided rollout, saliency, a control and the upper bound."""
    settings: dict[str, Any] = {
        "data": {"name": "demo", "videos": 3, "seed": 6, "root": str(folder / "world"), "counterfactuals": False},
        "model": {"name": "demo", "frames": 4},
        "methods": {"attention_rollout": None, "divided": {"method": "attention_rollout", "null": "divided"},
                    "saliency": None, "centre": None, "oracle": None},
        "metrics": dict.fromkeys(["srg", "insertion", "shuffled_auc", "object_auc", "roc_auc", "segment_auc"]),
        "imputers": ["mean"], "overlays": 0, "resamples": 100, "null_pairs": 2, "floors": {"videos": 1},
        "sanity": {"videos": 1, "stages": 2},
    }  # fmt: skip
    attrib.bench(settings, folder / "run")
    return folder / "run"
