"""agreement.csv: do metrics and imputers agree on which method is better?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from attrib.benchmarks.jobs.roles import MetricRoles
from attrib.benchmarks.stats.products import Floats
from attrib.benchmarks.stats.ranking import friedman, kendall_w, rank_correlation
from attrib.benchmarks.tables.matrix import Column, Matrix

COLUMNS = ["kind", "metric", "one", "two", "methods", "statistic", "p"]
LEAST_SHARE = 0.5  # a metric with a value for fewer of the methods is no judge of all of them


def build(scores: Matrix, metrics: MetricRoles) -> pd.DataFrame:
    """Return `kendall_w` over all and over the primary metrics; `spearman` of every two metrics and every two imputers.

    All are computed from the methods' means over samples, without re-paired twins, which are no second opinion; p:
    Friedman's test, or that of Spearman's correlation.
    """
    scores = scores.take([index for index, of in enumerate(scores.columns) if of.metric not in metrics.twins])
    means = scores.totals(scores.values * scores.signs).mean()
    methods = list(dict.fromkeys(scores.methods))
    judges = {column: np.full(len(methods), np.nan) for column in scores.columns}
    for value, column, method in zip(means, scores.columns, scores.methods, strict=True):
        judges[column][methods.index(method)] = value
    primary = {column: values for column, values in judges.items() if column.metric in metrics.primary}
    rows = [_concordance("all metrics", judges), _concordance("primary metrics", primary)]
    rows += [_correlation(one, two, judges) for one, two in combinations(judges, 2)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _concordance(kind: str, judges: Mapping[Column, Floats]) -> dict[str, object]:
    """Kendall's W over the methods that all judges have a value for; a judge has one for half of the methods."""
    table = np.array(list(judges.values()))
    able = table[(~np.isnan(table)).mean(axis=1) >= LEAST_SHARE] if len(table) else table
    shared = able[:, ~np.isnan(able).any(axis=0)] if len(able) else np.empty((0, 0))
    return {"kind": "kendall_w", "metric": f"{kind} ({len(able)})", "methods": shared.shape[1],
            "statistic": kendall_w(shared), "p": friedman(shared)[1]}  # fmt: skip


def _correlation(one: Column, two: Column, judges: Mapping[Column, Floats]) -> dict[str, object]:
    """Spearman's correlation of two metrics, or of two imputers of one metric."""
    statistic, p, methods = rank_correlation(judges[one], judges[two])
    same = one.metric == two.metric
    names = [(column.imputer or "") if same else " ".join(filter(None, column[:2])) for column in (one, two)]
    return {"kind": "imputers" if same else "metrics", "metric": one.metric if same else "", "one": names[0],
            "two": names[1], "methods": methods, "statistic": statistic, "p": p}  # fmt: skip
