"""Share of a group's videos in which a map beats its own null, and the videos that are exceptions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from attrib.benchmarks.stats.multiple import ALPHA
from attrib.benchmarks.stats.products import Floats, Indices
from attrib.benchmarks.tables.above_chance import Nulls
from attrib.benchmarks.tables.matrix import Matrix

MAP = ["method", "metric"]
SHARES = [
    "null", "partners", "tested", "beats", "beats_low", "beats_high", "beats_chance", "above", "above_low",
    "above_high",
]  # fmt: skip
GENERALITY = ["group", *MAP, *SHARES]
NEAR = 1e-12  # scores that differ by less are equal
LEAST_PARTNERS = math.ceil(round(1 / ALPHA, 9)) - 1  # with fewer, 1 / (1 + K) > ALPHA: no map can beat its null


@dataclass(frozen=True, eq=False)
class Gaps:
    """Own scores of maps (method, metric, null) and beside each those of its null: (samples, maps) and turns.

    `signs` (maps,) are -1 where low scores are the better ones.
    """

    samples: tuple[str, ...]
    videos: tuple[str, ...]
    maps: tuple[tuple[str, str, str], ...]
    own: Floats
    others: Floats  # (samples, maps, turns), NaN after the last
    signs: Floats

    @staticmethod
    def of(scores: Matrix, nulls: Nulls) -> Gaps | None:
        """Collect the defined scores of metrics without an imputer, and their nulls; None without nulls."""
        if not nulls.maps:
            return None
        known = ~np.isnan(scores.values)
        places = {
            (method, column.metric): index
            for index, (column, method) in enumerate(zip(scores.columns, scores.methods, strict=True))
            if not column.imputer and known[:, index].any()
        }
        maps = [index for index, (method, metric, _) in enumerate(nulls.maps) if (method, metric) in places]
        columns, rows = (
            [places[nulls.maps[index][:2]] for index in maps],
            np.flatnonzero(known[:, [*places.values()]].any(axis=1)),
        )
        samples, videos = (tuple(of[row] for row in rows) for of in (scores.samples, scores.videos))
        return Gaps(
            samples, videos, tuple(nulls.maps[index] for index in maps), scores.values[rows][:, columns],
            nulls.of(samples, maps), scores.signs[columns],
        )  # fmt: skip

    @cached_property
    def gap(self) -> Floats:
        """(samples, maps, turns) how much better the other score is; NaN where one of them is missing."""
        return np.asarray(self.signs[:, None] * (self.others - self.own[:, :, None]))

    def by_video(self, groups: pd.Series) -> pd.DataFrame:
        """Return for each group, video, method, metric and null its p, `partners`, and if it is `above` the middle.

        `groups`: the group of each sample (index: sample); other samples are left out. p = (1 + #>=) / (1 + K) over K
        partners. Several samples of a video count as their mean; a turn that one of them lacks is not compared, and one
        without any null score of the kind (of a task of too few videos, say) does not count.
        """
        group, names = pd.factorize(groups.reindex(pd.Index(self.samples)), sort=True)
        video, videos = pd.factorize(np.array(self.videos, object), sort=True)
        rows = np.flatnonzero(group >= 0)
        cell = group[rows] * len(videos) + video[rows]
        order = np.argsort(cell, kind="stable")
        starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
        gap, compared = _means(self.gap[rows[order]], starts)
        partners, under, over = ((compared & which).sum(axis=2) for which in (np.True_, gap < -NEAR, gap > NEAR))
        at, of_map = np.nonzero(partners)
        cells, (method, metric, null) = cell[order][starts][at], np.array(self.maps, object).reshape(-1, 3)[of_map].T
        table = pd.DataFrame({
            "group": np.asarray(names, object)[cells // max(1, len(videos))],
            "video": videos[cells % max(1, len(videos))], "method": method, "metric": metric, "null": null,
        }).astype("str")  # fmt: skip
        partners, under, over = (each[at, of_map] for each in (partners, under, over))
        return table.assign(partners=partners, p=(1 + partners - under) / (1 + partners), above=under > over)


def _means(gap: Floats, starts: Indices) -> tuple[Floats, NDArray[np.bool_]]:
    """Means over the samples of each cell (some rows, from a start to the next), and which all of them have."""
    known = ~np.isnan(gap)
    if len(starts) == len(gap):
        return gap, known
    samples = np.add.reduceat(known.any(axis=2), starts, dtype=np.intp)
    count = np.add.reduceat(known, starts, dtype=np.intp)
    whole = (count > 0) & (count == samples[:, :, None])
    return np.add.reduceat(np.nan_to_num(gap), starts) / np.maximum(count, 1), whole


def generality(videos: pd.DataFrame) -> pd.DataFrame:
    """Return the share of videos in which the map beats its null, for each group, method, metric and null.

    `beats`: p <= .05 within the video; `beats_chance`: what a map that knows nothing reaches, 0 for K < LEAST_PARTNERS.
    `above`: better than the middle of its null; see `middle_chance`, which is .5 for odd K and less for even K.
    `partners`: the median K; `tested`: videos that have a null. Intervals: Wilson, 95 %.
    """
    partners = videos["partners"].to_numpy()
    rows = videos.assign(
        tested=1, beats=(videos["p"] <= ALPHA).astype(np.int64), above=videos["above"].astype(np.int64),
        beats_chance=_reachable(partners) / (partners + 1),
    ).groupby(["group", *MAP, "null"], sort=True)  # fmt: skip
    table = rows.agg(
        partners=("partners", "median"), tested=("tested", "sum"), beats=("beats", "sum"), above=("above", "sum"),
        beats_chance=("beats_chance", "mean"),
    ).reset_index()  # fmt: skip
    for name in ("beats", "above"):
        hits, of = table[name].to_numpy(np.float64), table["tested"].to_numpy(np.float64)
        table[f"{name}_low"], table[f"{name}_high"] = _wilson(hits, of)
        table[name] = hits / of
    return table[GENERALITY]


def middle_chance(partners: NDArray[Any]) -> NDArray[Any]:
    """Probability that a map that knows nothing is `above` the middle of a null of K partners, where no scores tie."""
    count = np.floor(partners)
    return np.asarray(np.floor((count + 1) / 2) / (count + 1))


def not_beaten(videos: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of Gaps.by_video in which the map does not beat its null.

    Where its partners are too few for p <= .05 (K < LEAST_PARTNERS): where it is not above the middle of its null.
    """
    enough = _reachable(videos["partners"].to_numpy()) > 0
    return videos[np.where(enough, videos["p"] > ALPHA, ~videos["above"].astype(bool))]


def _reachable(partners: NDArray[Any]) -> NDArray[Any]:
    """Number of ranks, among own and K null scores, that give p <= .05."""
    return np.asarray(np.floor(ALPHA * (partners + 1) + 1e-9))


def _wilson(hits: Floats, of: Floats) -> tuple[Floats, Floats]:
    """Wilson's 95 % interval of hits / of."""
    z = stats.norm.ppf(0.975)
    middle, half = hits + z**2 / 2, z * np.sqrt(hits * (of - hits) / of + z**2 / 4)
    low, high = (middle - half) / (of + z**2), (middle + half) / (of + z**2)
    return np.where(hits == 0, 0.0, low), np.where(hits == of, 1.0, high)
