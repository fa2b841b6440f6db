"""Permutation p-values: is a map's score on its own annotation higher than on other videos' annotation?"""

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
    """Defined null scores of each (null, method, metric): sample names and values, by sample and then partner."""

    groups: Mapping[tuple[str, str, str], tuple[NDArray[Any], Floats]]


def gather(nulls: pd.DataFrame | None) -> Nulls:
    """Group the table of nulls; the order of its rows does not matter. Without a column `null` all are re-pairings."""
    if nulls is None or nulls.empty:
        return Nulls({})
    rows = ordered(nulls)
    return Nulls({
        tuple(names): (group["sample"].to_numpy(str), group["value"].to_numpy(np.float64))
        for names, group in rows.groupby(["null", "method", "metric"], sort=True)
    })  # fmt: skip


def ordered(nulls: pd.DataFrame) -> pd.DataFrame:
    """Sort the defined rows by sample and partner, whatever their order; those of one partner (shifts) at random.

    Sorted by value, one draw would pick a high value in every sample of a video.
    """
    rows = nulls[nulls["value"].notna()]
    rows = rows.assign(null="pairing") if "null" not in rows else rows
    names = ["null", "method", "metric", "sample", "partner"]
    rows = rows.assign(partner=rows["partner"].fillna("")).sort_values([*names, "value"])
    return rows.sample(frac=1, random_state=0).sort_values(names, kind="stable")


def above_chance(scores: Matrix, nulls: Nulls, resampling: Resampling) -> dict[str, list[float]]:
    """Return, by kind of null, each column's p of being no better than the same map on annotation not its own."""
    result: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for kind in KINDS:
        for index, (column, method) in enumerate(zip(scores.columns, scores.methods, strict=True)):
            group = nulls.groups.get((kind, method, column.metric))
            if group is None or column.imputer:
                result[kind].append(float("nan"))
                continue
            pools = _pools(scores, scores.values[:, index] * column.sign, (group[0], group[1] * column.sign))
            result[kind].append(repaired(pools, resampling))
    return result


def _pools(scores: Matrix, own: Floats, others: tuple[NDArray[Any], Floats]) -> Pools:
    """Pool own and other values of the samples that have both."""
    indices = {sample: index for index, sample in enumerate(scores.samples)}
    at = np.array([indices.get(sample, -1) for sample in others[0].tolist()], np.intp)
    known = (at >= 0) & ~np.isnan(own[at])
    at, values = at[known], others[1][known]
    order = np.argsort(at, kind="stable")
    samples, counts = np.unique(at, return_counts=True)
    ends = np.cumsum(counts)
    pooled = [np.append(own[sample], values[order][end - count : end])
             for sample, count, end in zip(samples, counts, ends, strict=True)]  # fmt: skip
    _, videos = np.unique(np.array(scores.videos)[samples], return_inverse=True)
    sizes = counts + 1
    return Pools(
        np.concatenate(pooled) if pooled else np.empty(0), np.cumsum(sizes) - sizes, sizes, videos.astype(np.intp),
        _weights(np.array(scores.tasks)[samples], scores.by_task),
    )  # fmt: skip


def _weights(tasks: NDArray[Any], by_task: bool) -> Floats:
    """Weight of each sample in the mean over samples, or to the mean over tasks."""
    if not by_task or not len(tasks):
        return np.full(len(tasks), 1 / max(len(tasks), 1))
    _, which, sizes = np.unique(tasks, return_inverse=True, return_counts=True)
    return np.asarray(1 / (sizes[which] * len(sizes)))
