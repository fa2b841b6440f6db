"""Sanity checks: cascading randomisation of the model's parameters (Adebayo et al. 2018) should change the map.

Blocks are randomised from the input up, since blocks above random ones receive noise, while random blocks above learnt
ones leave lower layers unchanged and maps similar (Binder et al. 2023; Hedstroem et al. 2024). Parameters are drawn by
`attrib.models.randomising`, anew for each sample. The explained option stays the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import entropy

from attrib.benchmarks.checks.rebind import similarity, with_clip
from attrib.benchmarks.perturb.cells import TOLERANCE, UndefinedError, on_tokens
from attrib.benchmarks.stats.bootstrap import LEVEL, clustered_interval
from attrib.benchmarks.stats.resampling import Resampling
from attrib.capabilities import ModelPart, NamesBlocks, require
from attrib.errors import failure_message
from attrib.method import Method
from attrib.models.randomising import Blocks, randomised
from attrib.subject import Subject
from attrib.types import SaliencyVolume

FloatArray = NDArray[np.float64]
PARTS: Mapping[str, tuple[ModelPart, ...]] = {
    "vision": ("vision",), "language": ("language",), "both": ("vision", "language"),
}  # fmt: skip
BINS = 32  # of a map's histogram, from its minimum to its maximum
# A map passes if the upper end of the interval of the mean |similarity| is below BOUND: it then shares less than a
# quarter of the variance of its ranks with the map of an untrained model. The sign is ignored, since a negated map
# shows the same picture.
BOUND = 0.5
LEAST = 3  # videos; the interval of two would be no wider than their two values


@dataclass(frozen=True)
class SanityRow:
    """Value of one method's map with `randomised` of the part's `blocks` random; None with its reason or error.

    `metric` is `similarity` (Spearman correlation with the original map on the token grid) or, with all blocks random,
    `emprt`.
    """

    part: str
    randomised: int
    blocks: int
    metric: str
    value: float | None
    reason: str = ""
    error: str = ""


@dataclass(frozen=True)
class _Stage:
    part: str
    randomised: int
    blocks: int


def sanity_rows(
    subject: Subject, methods: Mapping[str, Method], maps: Mapping[str, SaliencyVolume], stages: int
) -> dict[str, list[SanityRow]]:
    """Compare each method's map in `maps` with its maps of the model, randomised part by part in `stages` steps.

    Returns rows by method and restores the model. Raises UnsupportedModel if it does not name its blocks.
    """
    known = require(subject.model, NamesBlocks, "sanity").parameter_blocks()
    rows_of: dict[str, list[SanityRow]] = {label: [] for label in methods}
    for part, joined in PARTS.items():
        cascade = {f"{each}.{name}": block for each in joined for name, block in known[each].items()}
        for count in stage_counts(len(cascade), stages):
            stage = _Stage(part, count, len(cascade))
            for label, rows in _stage_rows(subject, methods, maps, dict(islice(cascade.items(), count)), stage):
                rows_of[label] += rows
    return rows_of


def stage_counts(blocks: int, stages: int) -> list[int]:
    """Number of random blocks at each stage, in even steps rounded up to all blocks."""
    return list(dict.fromkeys(-(-blocks * stage // stages) for stage in range(1, stages + 1)))


def _stage_rows(
    subject: Subject, methods: Mapping[str, Method], maps: Mapping[str, SaliencyVolume], blocks: Blocks, stage: _Stage
) -> Iterator[tuple[str, list[SanityRow]]]:
    name = subject.sample.id if subject.sample else ""
    with randomised(blocks, subject.seed, name):
        changed = with_clip(subject, subject.clip)
        for label, method in methods.items():
            before = on_tokens(maps[label], subject)
            try:
                after = on_tokens(method.attribute(changed, label), subject)
            except Exception as error:  # a method may raise anything, e.g. on a random model
                failed = SanityRow(
                    stage.part, stage.randomised, stage.blocks, "similarity", None, error=failure_message(error)
                )
                yield label, [failed]
                continue
            rows = [_row(stage, "similarity", _similarity(before, after))]
            yield label, rows + [_row(stage, "emprt", emprt(before, after))] * (stage.randomised == stage.blocks)


def _row(stage: _Stage, metric: str, result: float | str) -> SanityRow:
    value, reason = (None, result) if isinstance(result, str) else (result, "")
    return SanityRow(stage.part, stage.randomised, stage.blocks, metric, value, reason)


def _similarity(before: FloatArray, after: FloatArray) -> float | str:
    try:
        return similarity(before, after)
    except UndefinedError as case:
        return str(case)


def emprt(before: FloatArray, after: FloatArray) -> float | str:
    """(H(random) - H) / H of two maps (Hedstroem et al. 2024), or the reason why it is undefined.

    Values above 0 mean that the map of the random model is less ordered.
    """
    original = map_entropy(before)
    return (map_entropy(after) - original) / original if original else "the map is the same everywhere"


def map_entropy(values: FloatArray) -> float:
    """Entropy in nats of the histogram of a signed map, in BINS equal bins from its minimum to its maximum."""
    if np.ptp(values) <= TOLERANCE * np.abs(values).max():
        return 0.0
    return float(entropy(np.histogram(values, bins=BINS)[0]))


def verdicts(table: pd.DataFrame, resampling: Resampling) -> pd.DataFrame:
    """Return columns method, part, curve, low, high, emprt, videos, verdict: one row for each method and part.

    `curve` has the mean similarity at each stage; low and high bound the 95 % interval over videos of the mean
    |similarity| with all blocks random. `pass` means high < BOUND, `fail` the contrary, `undefined` fewer than LEAST
    videos with a value. Controls that ignore the model do not change and fail.
    """
    rows = [
        {"method": method, "part": part, **_verdict(rows, resampling)}
        for (method, part), rows in table.groupby(["method", "part"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["method", "part", "curve", "low", "high", "emprt", "videos", "verdict"])


def _verdict(rows: pd.DataFrame, resampling: Resampling) -> dict[str, Any]:
    similar = rows[rows["metric"] == "similarity"]
    last = similar[similar["randomised"] == similar["blocks"]]
    bounds = clustered_interval(last["value"].abs().to_numpy(float), last["video"].tolist(), resampling, LEVEL)
    verdict = "undefined" if bounds.videos < LEAST else "pass" if bounds.high < BOUND else "fail"
    curve = " ".join(f"{value:.2f}" for value in similar.groupby("randomised", sort=True)["value"].mean())
    mean = float(rows.loc[rows["metric"] == "emprt", "value"].mean())
    return {"curve": curve, "low": bounds.low, "high": bounds.high, "emprt": mean, "videos": bounds.videos,
            "verdict": verdict}  # fmt: skip
