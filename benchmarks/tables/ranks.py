"""ranks.csv: methods ranked in each video, and which of them differ."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from attrib.benchmarks.jobs.roles import MetricRoles
from attrib.benchmarks.stats.ranking import Ranking, rank
from attrib.benchmarks.tables.matrix import Column, matrix, scored

COLUMNS = ["metric", "imputer", "method", "mean_rank", "cliques", "methods", "videos", "dropped", "friedman", "p"]


def build(results: pd.DataFrame, metrics: MetricRoles) -> pd.DataFrame:
    """Return one row for each metric, imputer and method: methods that share a number in `cliques` do not differ.

    Rows of the metric `primary`: the mean of a method's mean ranks over the primary metrics that rank it; the imputers
    of one metric are averaged first.
    """
    rows = [row for column, ranking in rankings(results, metrics).items() for row in _rows(column, ranking)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    primary = table[table["metric"].isin(metrics.primary)].groupby(["metric", "method"])["mean_rank"].mean()
    means = primary.groupby("method").mean().sort_values(kind="stable").reset_index()
    return pd.concat([table, means.assign(metric="primary")], ignore_index=True) if len(means) else table


def rankings(results: pd.DataFrame, metrics: MetricRoles) -> dict[Column, Ranking]:
    """Rank the methods of each column in each video, by the mean of the video's samples."""
    scores = matrix(scored(results), metrics)
    videos = scores.totals(scores.values * scores.signs).by_video()
    return {
        column: rank(videos[:, indices], [scores.methods[index] for index in indices])
        for column, indices in scores.indices.items()
    }


def primary_rankings(results: pd.DataFrame, metrics: MetricRoles) -> dict[str, Ranking]:
    """Return the primary metrics' rankings by title; a metric's imputers are averaged within each sample first.

    Only those that rank three methods over two videos, which is what a critical-difference diagram can show.
    """
    rows = scored(results)
    rows = rows[rows["metric"].isin(metrics.primary)]
    names = ["sample", "video", "task", "method", "metric"]
    pooled = rows.groupby(names, sort=False, dropna=False)["value"].mean().reset_index().assign(imputer=None)
    shown, present = {}, set(rows["metric"].unique())
    for metric in (name for name in metrics.primary if name in present):
        imputers = rows.loc[rows["metric"] == metric, "imputer"].dropna().unique()
        title = f"{metric}, mean of {' and '.join(imputers)}" if len(imputers) > 1 else metric
        (ranking,) = rankings(pooled[pooled["metric"] == metric], metrics).values()
        if len(ranking.methods) > 2 and ranking.blocks > 1:
            shown[title] = ranking
    return shown


def _rows(column: Column, ranking: Ranking) -> list[Mapping[str, object]]:
    return [
        {
            "metric": column.metric, "imputer": column.imputer, "method": method, "mean_rank": ranking.ranks[index],
            "cliques": _numbers(ranking, index), "methods": len(ranking.methods), "videos": ranking.blocks,
            "dropped": ranking.dropped, "friedman": ranking.statistic, "p": ranking.p,
        }
        for index, method in enumerate(ranking.methods)
    ]  # fmt: skip


def _numbers(ranking: Ranking, index: int) -> str:
    """Numbers of the cliques that hold a method, from 1."""
    members = [number for number, (first, last) in enumerate(ranking.cliques, 1) if first <= index <= last]
    return " ".join(map(str, members))
