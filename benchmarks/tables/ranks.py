"""ranks.csv: methods ranked in each video, and which of them differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from attrib.benchmarks.jobs.roles import MetricRoles
from attrib.benchmarks.stats.products import Floats
from attrib.benchmarks.stats.ranking import Ranking, rank
from attrib.benchmarks.tables.matrix import Column, Matrix, matrix, scored

COLUMNS = ["metric", "imputer", "method", "mean_rank", "cliques", "methods", "videos", "dropped", "friedman", "p"]


def build(scores: Matrix, metrics: MetricRoles) -> pd.DataFrame:
    """Return one row for each metric, imputer and method: methods that share a number in `cliques` do not differ.

    Rows of the metric `primary`: the mean of a method's mean ranks over the primary metrics that rank it; the imputers
    of one metric are averaged first.
    """
    rows = [row for column, ranking in rankings(scores).items() for row in _rows(column, ranking)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    primary = table[table["metric"].isin(metrics.primary)].groupby(["metric", "method"])["mean_rank"].mean()
    means = primary.groupby("method").mean().sort_values(kind="stable").reset_index()
    return pd.concat([table, means.assign(metric="primary")], ignore_index=True) if len(means) else table


def rankings(scores: Matrix) -> dict[Column, Ranking]:
    """Rank the methods of each column in each video, by the mean of the video's samples."""
    videos = scores.totals(scores.values * scores.signs).by_video()
    return {
        column: rank(videos[:, indices], [scores.methods[index] for index in indices])
        for column, indices in scores.indices.items()
    }


def primary_rankings(results: pd.DataFrame, metrics: MetricRoles) -> dict[str, Ranking]:
    """Return the rankings of `pooled_rankings` of a table of results."""
    return pooled_rankings(matrix(scored(results[results["metric"].isin(metrics.primary)]), metrics), metrics)


def pooled_rankings(scores: Matrix, metrics: MetricRoles) -> dict[str, Ranking]:
    """Return the primary metrics' rankings by title; a metric's imputers are averaged within each sample first.

    Only those that rank three methods over two videos, which is what a critical-difference diagram can show.
    """
    shown = {}
    for metric in metrics.primary:
        columns = [column for column in scores.indices if column.metric == metric]
        if not columns:
            continue
        imputers = [column.imputer for column in columns if column.imputer]
        title = f"{metric}, mean of {' and '.join(imputers)}" if len(imputers) > 1 else metric
        ranking = rank(*_pooled(scores, columns))
        if len(ranking.methods) > 2 and ranking.blocks > 1:
            shown[title] = ranking
    return shown


def _pooled(scores: Matrix, columns: Sequence[Column]) -> tuple[Floats, list[str]]:
    """(videos, methods) means of each sample's mean over the columns of one metric, and the methods' names."""
    of_method: dict[str, list[int]] = {}
    for index in sorted(index for column in columns for index in scores.indices[column]):
        of_method.setdefault(scores.methods[index], []).append(index)
    values = [scores.values[:, indices] * scores.signs[indices] for indices in of_method.values()]
    sums, sizes = (np.array([of(own) for own in values]).T for of in (_sums, _sizes))
    means = np.divide(sums, sizes, out=np.full(sums.shape, np.nan), where=sizes > 0)
    return scores.totals(means).by_video(), list(of_method)


def _sums(values: Floats) -> Floats:
    return np.asarray(np.nansum(values, axis=1))


def _sizes(values: Floats) -> Floats:
    return np.asarray((~np.isnan(values)).sum(axis=1))


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
