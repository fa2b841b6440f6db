"""Behavioural floors: scores on a sample's annotation of maps that cannot show the right evidence.

`blank`: map of a mid-grey video for the same option; `swapped_video`: another video's map, frame by frame;
`other_question`: map of the same video for the model's answer to a question with other options; `other_option`: map of
the strongest other option. A method that is no better than its floors shows nothing about the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attrib.benchmarks.checks.rebind import similarity, with_clip, with_question
from attrib.benchmarks.perturb.cells import UndefinedError, on_tokens
from attrib.benchmarks.stats.bootstrap import LEVEL, clustered_interval
from attrib.benchmarks.stats.resampling import Resampling
from attrib.config import Entry
from attrib.errors import failure_message
from attrib.method import Method
from attrib.metric import Direction, Score
from attrib.subject import Subject
from attrib.types import Clip, Question, SaliencyVolume, Sample

Floor = Literal["blank", "swapped_video", "other_question", "other_option"]
FLOORS: tuple[Floor, ...] = get_args(Floor)
GREY = 128
SIMILARITY = "similarity"  # Spearman correlation with the real map
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class NoVolume:
    """Floor without a map: the reason why it cannot have one, or the error of the method."""

    reason: str = ""
    error: str = ""


Maps = Mapping[Floor, SaliencyVolume | NoVolume]


@dataclass(frozen=True)
class FloorRow:
    """Score of a floor's map on the sample's annotation; None with its reason or error."""

    floor: Floor
    metric: str
    value: float | None
    reason: str = ""
    error: str = ""


def conditions(subject: Subject, other: Question | None) -> dict[Floor, Subject | str]:
    """Subjects of the floors `blank` and `other_question`, or the reason why there is none.

    `other` is the question with other options.
    """
    return {
        "blank": with_clip(subject, grey(subject.clip)),
        "other_question": with_question(subject, other) if other else "no sample asks a question of other options",
    }


def grey(clip: Clip) -> Clip:
    """Return the clip with every pixel mid-grey."""
    return replace(clip, frames=np.full_like(clip.frames, GREY), path=None)


def map_of(method: Method, label: str, condition: Subject | str) -> SaliencyVolume | NoVolume:
    """Compute the method's map under a condition; NoVolume if it fails, or if the condition is a reason."""
    if isinstance(condition, str):
        return NoVolume(reason=condition)
    try:
        return method.attribute(condition, label)
    except Exception as error:  # a method may raise anything, e.g. on a blank video
        return NoVolume(error=failure_message(error))


def floor_rows(
    real: SaliencyVolume, maps: Maps, subject: Subject, sample: Sample, metrics: Sequence[Entry]
) -> Iterator[FloorRow]:
    """Score each floor's map on this sample's annotation by each alignment metric, and yield its similarity.

    A map of another video has as many frames and is compared frame by frame.
    """
    before = on_tokens(real, subject)
    labels = (*(metric.label for metric in metrics), SIMILARITY)
    for floor, volume in maps.items():
        if isinstance(volume, NoVolume):
            yield from (FloorRow(floor, label, None, volume.reason, volume.error) for label in labels)
            continue
        for label, score in _scores(before, replace(volume, times=subject.clip.times), subject, sample, metrics):
            yield FloorRow(floor, label, None if score.reason else score.value, score.reason)


def _scores(
    before: FloatArray, volume: SaliencyVolume, subject: Subject, sample: Sample, metrics: Sequence[Entry]
) -> Iterator[tuple[str, Score]]:
    yield from ((metric.label, metric.item.score(volume, subject, sample)) for metric in metrics)
    try:
        yield SIMILARITY, Score(similarity(before, on_tokens(volume, subject)))
    except UndefinedError as case:
        yield SIMILARITY, Score.undefined(str(case))


def differences(
    floors: pd.DataFrame, results: pd.DataFrame, metrics: Sequence[Entry], resampling: Resampling
) -> pd.DataFrame:
    """Compare each method's real maps with its floors over the same samples.

    The columns are method, metric, floor, real, difference, low, high, videos, undefined.
    The difference is real minus floor, negated for metrics where low is good, so that values above 0 are better than
    the floor; with its 95 % interval over videos. `undefined` counts the samples without one of the two values.
    """
    real = results[["sample", "method", "metric", "value"]].rename(columns={"value": "real"})
    joined = floors.merge(real, on=["sample", "method", "metric"])
    rows = [
        {
            "method": method,
            "metric": metric.label,
            "floor": floor,
            **_difference(rows, metric.item.direction, resampling),
        }
        for metric in metrics
        for (method, floor), rows in joined[joined["metric"] == metric.label].groupby(["method", "floor"], sort=False)
    ]
    columns = ["method", "metric", "floor", "real", "difference", "low", "high", "videos", "undefined"]
    return pd.DataFrame(rows, columns=columns)


def _difference(rows: pd.DataFrame, direction: Direction, resampling: Resampling) -> dict[str, float]:
    gain = (rows["real"] - rows["value"]) * (1 if direction == "high" else -1)
    interval = clustered_interval(gain.to_numpy(float), rows["video"].tolist(), resampling, LEVEL)
    return {"real": float(rows["real"].mean()), "difference": interval.mean, "low": interval.low, "high": interval.high,
            "videos": interval.videos, "undefined": int(gain.isna().sum())}  # fmt: skip
