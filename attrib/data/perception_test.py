"""The Perception Test layout (Patraucean et al. 2023, arXiv 2305.13786): videos and annotations to samples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from attrib.errors import InputError
from attrib.types import Counterfactual, Evidence, Question, Sample, Segment, SegmentKind, Track

MICROSECONDS = 1e6
SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class PerceptionTest:
    """Samples of a directory with `videos/`, `all_{split}.json` and, where there are any, cuts, evidence and more.

    One sample per multiple-choice question, in the order of the file; `limit` stops after so many videos. Evidence
    comes from `evidence_{split}.json` (known by construction), else from the grounded question with the same id.
    `counterfactuals_{split}.json` lists files of `counterfactuals/`, by video id and question id.
    """

    root: str
    split: Literal["train", "valid", "test"] = "valid"
    limit: int | None = None

    def __iter__(self) -> Iterator[Sample]:
        """Raises InputError when the annotations are missing or are not of this layout."""
        root = Path(self.root)
        annotations = read_json(root / f"all_{self.split}.json")
        cuts = _optional(root / f"cut_frame_mapping_{self.split}.json")
        evidence = _optional(root / f"evidence_{self.split}.json")
        remade = _optional(root / f"counterfactuals_{self.split}.json")
        for video_id in list(annotations)[: self.limit]:
            try:
                found = samples(root, video_id, annotations[video_id], cuts.get(video_id), evidence.get(video_id))
                for sample in found:
                    listed = remade.get(video_id, {}).get(str(sample.question.id), ())
                    yield replace(sample, counterfactuals=tuple(_counterfactuals(root / "counterfactuals", listed)))
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise InputError(f"{root}: annotation of {video_id!r}: {type(error).__name__}: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises InputError when it is missing, cut short or of another kind."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected an object of videos, got {type(found).__name__}")
    return found


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def samples(
    root: Path, video_id: str, annotation: Mapping[str, Any], cut: int | None, evidence: Mapping[str, Any] | None
) -> Iterator[Sample]:
    """The samples of one video. Raises InputError for an id that is no plain file name."""
    _require_plain("video id", video_id)
    tracks = tuple(_tracks(annotation.get("object_tracking") or ()))
    segments = (
        *_segments("action", annotation.get("action_localisation") or ()),
        *_segments("sound", annotation.get("sound_localisation") or ()),
    )
    rate = float(annotation.get("metadata", {}).get("frame_rate", 30.0))
    for item in annotation.get("mc_question") or ():
        question = _question(item)
        yield Sample(
            id=f"{video_id}_{question.id}", video=root / "videos" / f"{video_id}.mp4", question=question,
            task=question.text, tracks=tracks, segments=segments,
            evidence=tuple(_evidence(item, annotation, evidence)),
            cut=cut / rate if cut is not None and cut >= 0 else None,
        )  # fmt: skip


def _require_plain(what: str, name: str) -> None:
    if not SAFE_ID.fullmatch(name):
        raise InputError(f"{what} {name!r} is not a plain file name")


def _question(item: Mapping[str, Any]) -> Question:
    options = tuple(str(option).strip() for option in item["options"])
    answer = item.get("answer_id")
    return Question(str(item["question"]).strip(), options, None if answer is None else int(answer), int(item["id"]))


def _tracks(items: Sequence[Mapping[str, Any]]) -> Iterator[Track]:
    for item in items:
        times = np.asarray(item["timestamps"], np.float64) / MICROSECONDS
        boxes = np.asarray(item["bounding_boxes"], np.float64).reshape(-1, 4)
        masked = item.get("is_masked") or [0] * len(boxes)
        order = np.argsort(times, kind="stable")
        order = order[np.r_[True, np.diff(times[order]) > 0]] if len(order) else order
        yield Track(
            id=int(item["id"]), label=str(item["label"]), times=times[order], boxes=boxes[order],
            hidden=np.asarray(masked, bool)[order], is_occluder=bool(item.get("is_occluder", 0)),
        )  # fmt: skip


def _segments(kind: SegmentKind, items: Sequence[Mapping[str, Any]]) -> Iterator[Segment]:
    for item in items:
        start, end = (float(time) / MICROSECONDS for time in item["timestamps"])
        parents = tuple(int(parent) for parent in item.get("parent_objects") or () if int(parent) >= 0)
        visible = item.get("is_visible")
        if end > start:
            yield Segment(kind, str(item["label"]), start, end, parents, None if visible is None else bool(visible))


def _evidence(
    item: Mapping[str, Any], annotation: Mapping[str, Any], evidence: Mapping[str, Any] | None
) -> Iterator[Evidence]:
    if evidence is not None:
        for part in evidence.get(str(item["id"]), ()):
            yield Evidence(int(part["track"]), float(part["start"]), float(part["end"]), part["role"])
        return
    for grounded in annotation.get("grounded_question") or ():
        if grounded["id"] == item["id"] and grounded["question"] == item["question"]:
            yield from (Evidence(int(track)) for track in grounded["answers"])


def _counterfactuals(folder: Path, items: Sequence[Mapping[str, Any]]) -> Iterator[Counterfactual]:
    for item in items:
        _require_plain("counterfactual video", item["video"])
        video = folder / item["video"]
        if item["kind"] == "part":
            yield Counterfactual(video, "part", int(item["track"]), float(item["start"]), float(item["end"]))
        else:
            yield Counterfactual(video, item["kind"])
