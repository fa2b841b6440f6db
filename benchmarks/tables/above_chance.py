"""A map's score against its own annotation beside its scores against others': is it above chance?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attrib.benchmarks.stats.bootstrap import Floats
from attrib.benchmarks.stats.permutation import Pools, repaired
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables.matrix import Matrix

KINDS = ("pairing", "shift")


@dataclass(frozen=True, eq=False)
class Nulls:
    """The defined null scores of each (null, method, metric): sample names and values, by sample and then partner."""

    groups: Mapping[tuple[str, str, str], tuple[NDArray[Any], Floats]]


def gather(nulls: pd.DataFrame | None) -> Nulls:
    """Group the table of nulls; the order of its rows does not matter. Without a column `null` all are re-pairings."""
    if nulls is None or nulls.empty:
        return Nulls({})
    rows = ordered(nulls)
    return Nulls({
        tuple(names): (part["sample"].to_numpy(str), part["value"].to_numpy(np.float64))
        for names, part in rows.groupby(["null", "method", "metric"], sort=True)
    })  # fmt: skip


def ordered(nulls: pd.DataFrame) -> pd.DataFrame:
    """The defined rows by sample and partner, whatever their order; those of one partner (shifts) in a random order.

    In the order of their values, the same draw would be a high one in every sample of a video.
    """
    rows = nulls[nulls["value"].notna()]
    rows = rows.assign(null="pairing") if "null" not in rows else rows
    names = ["null", "method", "metric", "sample", "partner"]
    rows = rows.assign(partner=rows["partner"].fillna("")).sort_values([*names, "value"])
    return rows.sample(frac=1, random_state=0).sort_values(names, kind="stable")


def above_chance(found: Matrix, nulls: Nulls, resampling: Resampling) -> dict[str, list[float]]:
    """Return, by kind of null, each column's p of being no better than the same map on annotation not its own."""
    result: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for kind in KINDS:
        for index, (column, method) in enumerate(zip(found.columns, found.methods, strict=True)):
            group = nulls.groups.get((kind, method, column.metric))
            if group is None or column.imputer:
                result[kind].append(float("nan"))
                continue
            pools = _pools(found, found.values[:, index] * column.sign, (group[0], group[1] * column.sign))
            result[kind].append(repaired(pools, resampling))
    return result


def _pools(found: Matrix, own: Floats, others: tuple[NDArray[Any], Floats]) -> Pools:
    """Own and other values side by side, of the samples that have both."""
    places = {sample: place for place, sample in enumerate(found.samples)}
    at = np.array([places.get(sample, -1) for sample in others[0].tolist()], np.intp)
    known = (at >= 0) & ~np.isnan(own[at])
    at, values = at[known], others[1][known]
    order = np.argsort(at, kind="stable")
    samples, counts = np.unique(at, return_counts=True)
    ends = np.cumsum(counts)
    parts = [np.append(own[sample], values[order][end - count : end])
             for sample, count, end in zip(samples, counts, ends, strict=True)]  # fmt: skip
    _, videos = np.unique(np.array(found.videos)[samples], return_inverse=True)
    sizes = counts + 1
    return Pools(
        np.concatenate(parts) if parts else np.empty(0), np.cumsum(sizes) - sizes, sizes, videos.astype(np.intp),
        _weights(np.array(found.tasks)[samples], found.by_task),
    )  # fmt: skip


def _weights(tasks: NDArray[Any], by_task: bool) -> Floats:
    """What each sample adds to the mean over samples, or to the mean over tasks."""
    if not by_task or not len(tasks):
        return np.full(len(tasks), 1 / max(len(tasks), 1))
    _, which, sizes = np.unique(tasks, return_inverse=True, return_counts=True)
    return np.asarray(1 / (sizes[which] * len(sizes)))
