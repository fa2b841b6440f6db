"""Does the map depend on what the model has learnt? Cascading randomisation of its parameters (Adebayo et al. 2018).

From the input up, since blocks above random ones see noise, while random blocks above learnt ones leave what lies below
as it was and the maps alike (Binder et al. 2023; Hedstroem et al. 2024). A block's parameters are drawn as
`attrib.models.randomising` says, for each sample anew. What is explained stays the option that was explained.
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

from attrib.benchmarks.checks.rebind import on_tokens, similarity, with_clip
from attrib.benchmarks.perturb.cells import TOLERANCE, UndefinedError
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
BINS = 32  # of a map's histogram, from its least to its greatest value
# A map passes when the upper end of the interval of the mean |similarity| lies below: it then shares less than a
# quarter of the variance of its ranks with the map of a model that has learnt nothing. Without the sign, since a map
# turned upside down is the same picture.
BOUND = 0.5
LEAST = 3  # videos: the interval of two is no wider than the two


@dataclass(frozen=True)
class SanityRow:
    """One number of one method's map: `randomised` of the part's `blocks` were random; None with its reason or error.

    `metric` is `similarity`, Spearman with the original map on the token grid, or, when all blocks are random, `emprt`.
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
    """Rows by method: its map in `maps` against those of the model made random in `stages` steps, part by part.

    The model is left as it was. Raises UnsupportedModel when it does not name its blocks.
    """
    known = require(subject.model, NamesBlocks, "sanity").parameter_blocks()
    found: dict[str, list[SanityRow]] = {label: [] for label in methods}
    for part, joined in PARTS.items():
        cascade = {f"{each}.{name}": block for each in joined for name, block in known[each].items()}
        for count in stage_counts(len(cascade), stages):
            stage = _Stage(part, count, len(cascade))
            for label, rows in _stage_rows(subject, methods, maps, dict(islice(cascade.items(), count)), stage):
                found[label] += rows
    return found


def stage_counts(blocks: int, stages: int) -> list[int]:
    """Numbers of randomised blocks at each stage: even steps, rounded up, the last one all."""
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
            except Exception as error:  # a method may raise anything, the more so on a model that says nothing
                failed = SanityRow(
                    stage.part, stage.randomised, stage.blocks, "similarity", None, error=failure_message(error)
                )
                yield label, [failed]
                continue
            rows = [_row(stage, "similarity", _similarity(before, after))]
            yield label, rows + [_row(stage, "emprt", emprt(before, after))] * (stage.randomised == stage.blocks)


def _row(stage: _Stage, metric: str, found: float | str) -> SanityRow:
    value, reason = (None, found) if isinstance(found, str) else (found, "")
    return SanityRow(stage.part, stage.randomised, stage.blocks, metric, value, reason)


def _similarity(before: FloatArray, after: FloatArray) -> float | str:
    try:
        return similarity(before, after)
    except UndefinedError as case:
        return str(case)


def emprt(before: FloatArray, after: FloatArray) -> float | str:
    """(H(random) - H) / H of two maps, or why there is none (Hedstroem et al. 2024); above 0 where order is lost."""
    original = map_entropy(before)
    return (map_entropy(after) - original) / original if original else "the map is the same everywhere"


def map_entropy(values: FloatArray) -> float:
    """Entropy in nats of the histogram of a signed map, in BINS equal bins from its least to its greatest value."""
    if np.ptp(values) <= TOLERANCE * np.abs(values).max():
        return 0.0
    return float(entropy(np.histogram(values, bins=BINS)[0]))


def verdicts(table: pd.DataFrame, resampling: Resampling) -> pd.DataFrame:
    """Columns method, part, curve, low, high, emprt, videos, verdict: one row for each method and part.

    `curve` has the mean similarity at each stage; low and high bound the 95 % interval over videos of the mean
    |similarity| when all blocks are random. `pass` means high < BOUND, `fail` the contrary; `undefined` where fewer
    than LEAST videos gave a value. What knows nothing of the model does not change and fails.
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
