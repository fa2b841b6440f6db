"""Permutation p-values: is a map's score on its own annotation higher than on other videos' annotation?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from attrib.benchmarks.stats.permutation import Pools, repaired
from attrib.benchmarks.stats.products import Floats, Indices
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables.matrix import Matrix

KINDS = ("pairing", "shift")
MAP = ["method", "metric", "null"]


@dataclass(frozen=True, eq=False)
class Nulls:
    """Defined null scores: `values` (samples, maps, turns), NaN after a map's last on a sample.

    `maps`: (method, metric, null) in sorted order; a `turn` is which of its null scores it is, sorted by partner.
    """

    samples: pd.Index
    maps: tuple[tuple[str, str, str], ...]
    values: Floats

    def of(self, samples: Sequence[str], maps: Sequence[int]) -> Floats:
        """Return the scores (samples, maps, turns) of these samples and maps, NaN for a sample without any."""
        at = self.samples.get_indexer(pd.Index(samples, dtype="object"))
        values = np.append(self.values[:, maps], np.full((1, len(maps), self.values.shape[2]), np.nan), axis=0)
        return np.asarray(values[at])


def gather(nulls: pd.DataFrame | None) -> Nulls:
    """Arrange the table of nulls, whatever the order of its rows; without a column `null` all are re-pairings."""
    if nulls is None or nulls.empty:
        return Nulls(pd.Index([], dtype="object"), (), np.empty((0, 0, 0)))
    rows = nulls[nulls["value"].notna()]
    kinds = rows["null"] if "null" in rows else pd.Series("pairing", rows.index)
    names = [pd.factorize(each, sort=True) for each in (rows["method"], rows["metric"], kinds, rows["sample"])]
    sizes = [len(different) for _, different in names]
    of_map = np.ravel_multi_index([which for which, _ in names[:3]], sizes[:3]) if len(rows) else np.empty(0, np.intp)
    which, present = pd.factorize(of_map, sort=True)
    partner, _ = pd.factorize(rows["partner"].fillna(""), sort=True)
    values, group = rows["value"].to_numpy(np.float64), which * sizes[3] + names[3][0]
    order = _order(group, partner, values)
    turns = _turns(group[order])
    result = np.full((sizes[3], len(present), int(turns.max(initial=-1)) + 1), np.nan)
    result[names[3][0][order], which[order], turns] = values[order]
    maps = zip(*np.unravel_index(present, sizes[:3]), strict=True) if len(rows) else ()
    method, metric, null = (different.astype("object") for _, different in names[:3])
    samples = pd.Index(names[3][1].astype("object"))
    return Nulls(samples, tuple((str(method[a]), str(metric[b]), str(null[c])) for a, b, c in maps), result)


def _order(group: Indices, partner: Indices, values: Floats) -> Indices:
    """Order of the rows by group and partner, whatever their own; those of one partner at random.

    Sorted by value, one draw would pick a high value in every sample of a video.
    """
    key = group * (int(partner.max(initial=0)) + 1) + partner
    order = np.argsort(key, kind="stable")
    if (np.diff(key[order]) > 0).all():
        return order
    order = np.lexsort((values, key))
    mixed = np.random.default_rng(0).permutation(len(order))
    return np.asarray(order[np.lexsort((mixed, key[order]))])


def _turns(group: Indices) -> Indices:
    """Return each row's position in its group; `group` is sorted."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return np.arange(len(group)) - np.repeat(starts, np.diff(starts, append=len(group)))


def above_chance(scores: Matrix, nulls: Nulls, resampling: Resampling) -> dict[str, Floats]:
    """Return, by kind of null, each column's p of being no better than the same map on annotation not its own."""
    result = {kind: np.full(len(scores.columns), np.nan) for kind in KINDS}
    places = {names: place for place, names in enumerate(nulls.maps)}
    for kind, p in result.items():
        found = {
            index: places[method, column.metric, kind]
            for index, (column, method) in enumerate(zip(scores.columns, scores.methods, strict=True))
            if not column.imputer and (method, column.metric, kind) in places
        }
        if found:
            own = (scores.values * scores.signs)[:, list(found), None]
            others = nulls.of(scores.samples, list(found.values())) * scores.signs[list(found), None]
            p[list(found)] = repaired(_pools(scores, np.concatenate([own, others], axis=2)), resampling)
    return result


def _pools(scores: Matrix, values: Floats) -> Pools:
    """Pools of the samples that have an own value and others in one of the columns."""
    both = ~np.isnan(values[:, :, 0]) & ~np.isnan(values[:, :, 1:]).all(axis=2)
    tasks = pd.factorize(np.array(scores.tasks, object), sort=True)[0] if scores.by_task else np.zeros(len(both), int)
    counts = np.zeros((int(tasks.max(initial=0)) + 1, both.shape[1]))
    np.add.at(counts, tasks, both)
    weights = np.where(both, 1 / np.maximum(counts[tasks] * (counts > 0).sum(axis=0), 1), 0.0)
    some = both.any(axis=1)
    videos = pd.factorize(np.array(scores.videos, object)[some], sort=True)[0]
    return Pools(values[some], videos, weights[some])
