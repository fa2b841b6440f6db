"""What the player of one sample shows: question, answer, annotation, each method's map made small, and its scores."""

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
LEVELS = 127  # of a map's quantised values, on either side of 0
PERCENTILE = 99.5  # of the map's magnitudes: full colour, as in the overlay videos


def player(run: FinishedRun, sample: Sample, labels: Sequence[str], end: float) -> dict[str, Any]:
    """Everything about one sample; `end` is that of its video in seconds."""
    question = sample.question
    rows = run.results[run.results["sample"] == sample.id]
    maps = {label: small(run, sample, label) for label in labels}
    times: list[float] = next((each["times"] for each in maps.values() if each.get("times")), [])
    return {
        "id": sample.id, "task": sample.task, "question": question.text, "options": list(question.options),
        "answer": question.answer, "reply": question.reply.text if question.reply else None,
        "probabilities": probabilities(run, sample), "area": sample.area, "reasoning": sample.reasoning,
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
    """What the model gave each option, or each token of a free answer; nothing where its answer is not kept."""
    try:
        part = RunDirectory.at(run.directory).store.read(("answers", sample.id))
    except InputError:  # damaged: the scores are there all the same
        return []
    return [number(math.exp(value)) for value in part.value["logprobs"]] if part and part.value else []


def small(run: FinishedRun, sample: Sample, label: str) -> dict[str, Any]:
    """A map on at most SIDE x SIDE cells a frame, signed, in 2 LEVELS + 1 steps; or why there is none."""
    try:
        volume = run.volume(sample, label)
    except InputError as error:
        return {"missing": str(error)}
    return {"missing": "no map was made"} if volume is None else quantised(volume)


def quantised(volume: SaliencyVolume) -> dict[str, Any]:
    """`data`: int8 (t, rows, columns) as base64; LEVELS stand for `scale`, beyond which values are cut off.

    `positive` and `signed` are the frames' means before that, `times` the frames' seconds.
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
    """Its boxes, and the intervals in which the answer rests on it; None is for ever."""
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
    labels = {track.id: track.label for track in sample.tracks}
    for item in sample.evidence:
        if item.role != "context" and item.start < end:
            name = f"{item.track} : {labels[item.track]}" if item.track in labels else str(item.track)
            ends = {"start": number(max(item.start, 0.0)), "end": number(min(item.end, end))}
            yield {"label": name, "role": item.role, **ends}


def _scores(part: pd.DataFrame) -> list[list[Any]]:
    """Metric's key, value, chance and, where it has no value, the reason."""
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
