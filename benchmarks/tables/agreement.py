"""Do metrics, imputers and videos agree on which method is better: ranks over videos, and agreement of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from attrib.benchmarks.stats.bootstrap import PRIMARY, Floats
from attrib.benchmarks.stats.ranking import Ranking, friedman, kendall_w, rank, rank_correlation
from attrib.benchmarks.tables.matrix import Matrix, matrix, scored, signs

RANKS = ["metric", "imputer", "method", "mean_rank", "cliques", "methods", "videos", "dropped", "friedman", "p"]
AGREEMENT = ["kind", "metric", "one", "two", "methods", "statistic", "p"]
Rankings = dict[tuple[str, str], Ranking]


def rankings(results: pd.DataFrame, directions: Mapping[str, str]) -> Rankings:
    """For each metric and imputer the methods ranked in each video, by the mean of its samples."""
    found = matrix(scored(results))
    videos = found.totals(found.values * signs(found.columns, directions)).by_video()
    return {
        columns: rank(videos[:, places], [found.columns[place].method for place in places])
        for columns, places in _places(found).items()
    }


def _places(found: Matrix) -> dict[tuple[str, str], list[int]]:
    places: dict[tuple[str, str], list[int]] = {}
    for place, column in enumerate(found.columns):
        places.setdefault((column.metric, column.imputer), []).append(place)
    return places


def primary_rankings(results: pd.DataFrame, directions: Mapping[str, str]) -> dict[str, Ranking]:
    """The primary metrics' rankings by title; a metric's imputers are averaged within each sample first.

    Those that rank three methods over two videos: what a critical-difference diagram can show.
    """
    rows = scored(results)
    names = ["sample", "video", "task", "method", "metric"]
    pooled = rows.groupby(names, sort=False, dropna=False)["value"].mean().reset_index().assign(imputer="")
    shown = {}
    for metric in (name for name in PRIMARY if name in set(rows["metric"])):
        imputers = rows.loc[rows["metric"] == metric, "imputer"].dropna().unique()
        title = f"{metric}, mean of {' and '.join(imputers)}" if len(imputers) > 1 else metric
        (one,) = rankings(pooled[pooled["metric"] == metric], directions).values()
        if len(one.methods) > 2 and one.blocks > 1:
            shown[title] = one
    return shown


def rank_table(found: Rankings) -> pd.DataFrame:
    """One row for each metric, imputer and method: methods that share a number in `cliques` do not differ.

    Rows of the metric `primary`: the mean of a method's mean ranks over the primary metrics that rank it; the imputers
    of one metric are averaged first.
    """
    rows = [
        {
            "metric": metric, "imputer": imputer or None, "method": method, "mean_rank": one.ranks[place],
            "cliques": _numbers(one, place), "methods": len(one.methods), "videos": one.blocks, "dropped": one.dropped,
            "friedman": one.statistic, "p": one.p,
        }
        for (metric, imputer), one in found.items()
        for place, method in enumerate(one.methods)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=RANKS)
    primary = table[table["metric"].isin(PRIMARY)].groupby(["metric", "method"])["mean_rank"].mean()
    means = primary.groupby("method").mean().sort_values(kind="stable").reset_index()
    return pd.concat([table, means.assign(metric="primary")], ignore_index=True) if len(means) else table


def _numbers(one: Ranking, place: int) -> str:
    held = [number for number, (first, last) in enumerate(one.cliques) if first <= place <= last]
    return " ".join(str(number + 1) for number in held)


def agreement_table(results: pd.DataFrame, directions: Mapping[str, str]) -> pd.DataFrame:
    """`kendall_w` over all metrics and over the primary ones; `spearman` of every two metrics and every two imputers.

    All of the methods' means over samples; p: Friedman's test, or that of Spearman's correlation.
    """
    found = matrix(scored(results))
    means = np.array(found.each(found.values * signs(found.columns, directions), lambda part: part.mean()))
    methods = list(dict.fromkeys(column.method for column in found.columns))
    places = {name: place for place, name in enumerate(methods)}
    judges = {columns: np.full(len(methods), np.nan) for columns in _places(found)}
    for value, column in zip(means, found.columns, strict=True):
        judges[column.metric, column.imputer][places[column.method]] = value
    primary = {name: values for name, values in judges.items() if name[0] in PRIMARY}
    rows = [_concordance("all metrics", judges), _concordance("primary metrics", primary)]
    rows += [_correlation(one, two, judges) for one, two in combinations(judges, 2)]
    return pd.DataFrame(rows, columns=AGREEMENT)


def _concordance(kind: str, judges: Mapping[tuple[str, str], Floats]) -> dict[str, object]:
    """Kendall's W over the methods that all judges could judge; of those that could judge half of the methods."""
    table = np.array(list(judges.values()))
    able = table[(~np.isnan(table)).mean(axis=1) >= 0.5] if len(table) else table
    shared = able[:, ~np.isnan(able).any(axis=0)] if len(able) else np.empty((0, 0))
    return {"kind": "kendall_w", "metric": f"{kind} ({len(able)})", "methods": shared.shape[1],
            "statistic": kendall_w(shared), "p": friedman(shared)[1]}  # fmt: skip


def _correlation(
    one: tuple[str, str], two: tuple[str, str], judges: Mapping[tuple[str, str], Floats]
) -> dict[str, object]:
    """Of two metrics, or of two imputers of one metric."""
    statistic, p, methods = rank_correlation(judges[one], judges[two])
    same = one[0] == two[0]
    names = {"one": one[1], "two": two[1]} if same else {"one": " ".join(one).strip(), "two": " ".join(two).strip()}
    return {"kind": "imputers" if same else "metrics", "metric": one[0] if same else "", **names, "methods": methods,
            "statistic": statistic, "p": p}  # fmt: skip
