"""Share of a group's videos in which a map beats its own null, and the videos that are exceptions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from attrib.benchmarks.jobs.roles import MetricRoles
from attrib.benchmarks.stats.multiple import ALPHA
from attrib.benchmarks.tables.above_chance import ordered
from attrib.benchmarks.tables.matrix import scored

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
    """Own scores (sample, video, method, metric, value), and beside each those of its null.

    `null` has `other`, the `turn` (which of the sample's null scores it is) and `gap`: how much better the other is.
    """

    own: pd.DataFrame
    null: pd.DataFrame

    @staticmethod
    def of(results: pd.DataFrame, nulls: pd.DataFrame | None, metrics: MetricRoles) -> Gaps | None:
        """Collect the defined scores of metrics without an imputer, and their nulls; None without nulls."""
        if nulls is None or nulls.empty:
            return None
        rows = scored(results)
        plain = rows[rows["imputer"].isna() & rows["value"].notna()]
        own = plain[["sample", "video", *MAP, "value"]].astype({"value": "float64"})
        null = ordered(nulls)[["sample", *MAP, "null", "value"]].rename(columns={"value": "other"})
        null["turn"] = null.groupby(["sample", *MAP, "null"]).cumcount()
        null = null.merge(own, on=["sample", *MAP])
        face = np.where(null["metric"].map(dict(metrics.directions)).eq("low"), -1.0, 1.0)
        null["gap"] = face * (null["other"].astype("float64") - null["value"])
        names = ["sample", "video", *MAP]  # as numbers in place of texts: faster
        kinds = {name: pd.CategoricalDtype(sorted(own[name].unique())) for name in names}
        return Gaps(own.astype(kinds), null.astype({**kinds, "null": "category"}))

    def by_video(self, groups: pd.Series) -> pd.DataFrame:
        """Return for each group, method, metric, null and video its p, `partners`, and if it is `above` the middle.

        `groups`: the group of each sample (index: sample); other samples are left out. p = (1 + #>=) / (1 + K) over K
        partners. Several samples of a video count as their mean; a turn that one of them lacks is not compared, and one
        without any null score of the kind (of a task of too few videos, say) does not count.
        """
        keys = ["group", "video", *MAP, "null"]
        null = _grouped(self.null, groups)
        samples = null.groupby(keys, observed=True)["sample"].nunique().rename("samples").reset_index()
        turns = null.groupby([*keys, "turn"], observed=True)["gap"]
        both = turns.agg(["mean", "count"]).reset_index()
        both = both.merge(samples, on=keys)
        both = both[both["count"] == both["samples"]]
        gap = both["mean"].to_numpy(np.float64)
        both = both.assign(reached=gap >= -NEAR, over=gap > NEAR, under=gap < -NEAR, partners=1)
        counted = both.groupby(keys, observed=True)[["reached", "over", "under", "partners"]]
        table = counted.sum().reset_index().astype(dict.fromkeys(keys, "str"))
        table = table.assign(p=(1 + table["reached"]) / (1 + table["partners"]), above=table["under"] > table["over"])
        return table.drop(columns=["reached", "over", "under"])


def _grouped(rows: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """Select the rows whose sample has a group, with the column `group`."""
    names = groups.astype("category").reindex(rows["sample"].cat.categories)
    grouped = rows.assign(group=names.array[rows["sample"].cat.codes.to_numpy()])
    return grouped[grouped["group"].notna()]


def generality(videos: pd.DataFrame) -> pd.DataFrame:
    """Return the share of videos in which the map beats its null, for each group, method, metric and null.

    `beats`: p <= .05 within the video; `beats_chance`: what a map that knows nothing reaches, 0 for K < LEAST_PARTNERS.
    `above`: better than the middle of its null; see `middle_chance`, which is .5 for odd K and less for even K.
    `partners`: the median K; `tested`: videos that have a null. Intervals: Wilson, 95 %.
    """
    rows: list[dict[str, Any]] = []
    for names, group in videos.groupby(["group", *MAP, "null"], sort=True):
        partners = group["partners"].to_numpy()
        rows.append({
            **dict(zip(["group", *MAP, "null"], names, strict=True)), "partners": float(np.median(partners)),
            "tested": len(group), **_share("beats", group["p"].to_numpy() <= ALPHA),
            "beats_chance": float((_reachable(partners) / (partners + 1)).mean()),
            **_share("above", group["above"].to_numpy(bool)),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=GENERALITY)


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


def _share(name: str, hits: NDArray[np.bool_]) -> dict[str, float]:
    low, high = _wilson(int(hits.sum()), len(hits))
    return {name: float(hits.mean()), f"{name}_low": low, f"{name}_high": high}


@cache
def _wilson(hits: int, of: int) -> tuple[float, float]:
    ends = stats.binomtest(hits, of).proportion_ci(method="wilson")
    return float(ends.low), float(ends.high)
