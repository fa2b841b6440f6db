"""Data of one sample's player: question, answer, annotation, and each method's downsized map and scores."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import pandas as pd

from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.report.columns import key
from attrib.benchmarks.report.json_values import number, text
from attrib.errors import InputError
from attrib.types import SaliencyVolume, Sample, Track

SIDE = 32  # cells of a frame along each side, at most
LEVELS = 127  # quantisation steps of a map on either side of 0
PERCENTILE = 99.5  # of a map's absolute values gets full colour, as in the overlay videos


def player(run: FinishedRun, sample: Sample, labels: Sequence[str], end: float) -> dict[str, Any]:
    """All data of one sample's player; `end` is the end of the video in seconds."""
    question = sample.question
    rows = run.results[run.results["sample"] == sample.id]
    maps = {label: small(run, sample, label) for label in labels}
    times: list[float] = next((each["times"] for each in maps.values() if each.get("times")), [])
    return {
        "id": sample.id, "task": sample.task, "question": question.text, "options": list(question.options),
        "answer": question.answer, "reply": question.reply.text if question.reply else None,
        "probabilities": probabilities(run, sample), "area": sample.area, "reasoning": sample.reasoning,
        "letter_mass": number(rows["letter_mass"].iloc[0]) if "letter_mass" in rows and len(rows) else None,
        "rule": sample.rule, "tags": list(sample.tags), "cut": number(sample.cut), "end": number(end), "times": times,
        "tracks": [_track(track, sample) for track in sample.tracks], "evidence": list(_evidence(sample, end)),
        "segments": [
            {"kind": one.kind, "label": one.label, "start": number(one.start), "end": number(min(one.end, end)),
             "visible": one.is_visible}
            for one in sample.segments
        ],
        "maps": maps, "scores": {str(label): _scores(part) for label, part in rows.groupby("method", sort=False)},
    }  # fmt: skip


def probabilities(run: FinishedRun, sample: Sample) -> list[float | None]:
    """Probability of each option, or of each token of a free answer; empty if the answer is not in the cache."""
    try:
        part = RunDirectory.at(run.directory).store.read(("answers", sample.id))
    except InputError:  # a damaged record; the scores do not depend on it
        return []
    return [number(math.exp(value)) for value in part.value["logprobs"]] if part and part.value else []


def small(run: FinishedRun, sample: Sample, label: str) -> dict[str, Any]:
    """Map of at most SIDE x SIDE cells a frame, quantised to 2 LEVELS + 1 signed steps; or the reason it is missing."""
    try:
        volume = run.volume(sample, label)
    except InputError as error:
        return {"missing": str(error)}
    return {"missing": "no map was computed"} if volume is None else quantised(volume)


def quantised(volume: SaliencyVolume) -> dict[str, Any]:
    """Quantised map. `data` is int8 (t, rows, columns) as base64; LEVELS stands for `scale`, larger values are clipped.

    `positive` and `signed` are means of each frame before quantisation, `times` the frames' times in seconds.
    """
    height, width = volume.values.shape[1:]
    size = (min(SIDE, width), min(SIDE, height))
    cells = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in volume.values])
    scale = float(np.percentile(np.abs(cells), PERCENTILE)) or float(np.abs(cells).max())
    levels = np.clip(np.rint(cells / (scale or 1.0) * LEVELS), -LEVELS, LEVELS).astype(np.int8)
    means = {"signed": volume.values, "positive": np.maximum(volume.values, 0)}
    return {
        "rows": size[1], "columns": size[0], "scale": number(scale), "times": [number(time) for time in volume.times],
        "data": base64.b64encode(levels.tobytes()).decode(),
        **{name: [number(mean) for mean in each.mean(axis=(1, 2), dtype=np.float64)] for name, each in means.items()},
    }  # fmt: skip


def _track(track: Track, sample: Sample) -> dict[str, Any]:
    """Boxes of the track, and the intervals in which it is evidence; an end of None is the end of the video."""
    strong = [
        [number(item.start), number(item.end)]
        for item in sample.evidence
        if item.track == track.id and item.role != "context"
    ]
    return {
        "id": track.id, "label": track.label, "times": [number(time) for time in track.times],
        "boxes": [[round(float(value), 4) for value in box] for box in track.boxes],
        "hidden": [int(value) for value in track.hidden], "strong": strong,
    }  # fmt: skip


def _evidence(sample: Sample, end: float) -> Iterator[dict[str, Any]]:
    names = {track.id: track.name for track in sample.tracks}
    for item in sample.evidence:
        if item.role != "context" and item.start < end:
            name = names.get(item.track, str(item.track))
            ends = {"start": number(max(item.start, 0.0)), "end": number(min(item.end, end))}
            yield {"label": name, "role": item.role, **ends}


def _scores(part: pd.DataFrame) -> list[list[Any]]:
    """[column key, value, chance, reason for a missing value] of each score."""
    rows = zip(
        *(part[name].tolist() for name in ("metric", "imputer", "value", "chance", "reason", "error")), strict=True
    )
    return [
        [
            key(text(metric), text(imputer)),
            number(value),
            number(chance),
            text(reason) or (f"failed: {error}" if text(error) else ""),
        ]
        for metric, imputer, value, chance, reason, error in rows
    ]
