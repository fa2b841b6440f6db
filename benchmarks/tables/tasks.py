"""tasks.csv: scores of the maps by task, area and kind of reasoning, and in how many videos they beat their null.

Each group is split by right and wrong answers, and stands beside chance and the best control.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from attrib.benchmarks.tables.generality import MAP, SHARES, Gaps, generality
from attrib.benchmarks.tables.leaderboard import Context, described
from attrib.benchmarks.tables.matrix import matrix, scored

KINDS = ("task", "area", "reasoning", "all")
SPLITS = {"all": None, "right": True, "wrong": False}  # by the value of `correct`
GROUP = ["kind", "group", "split"]
SCORES = [
    "direction", "videos", "mean", "low", "high", "chance", "control", "control_mean", "difference", "difference_low",
    "difference_high",
]  # fmt: skip
COLUMNS = [*GROUP, *MAP, "imputer", *SCORES, *SHARES]


def build(results: pd.DataFrame, gaps: Gaps | None, context: Context) -> pd.DataFrame:
    """Return a row for each group, split, method and metric (and null, where there are two).

    low, high: 95 % interval over videos; `difference` to the best control, positive where the method is better. From
    `null` on it is the share of the group's videos in which the map beats its null (see generality); NaN without one.
    """
    tables = [
        _group_rows(rows_of_group, context).assign(kind=kind, group=group, split=split)
        for kind, split, rows in _splits(scored(results)) for group, rows_of_group in rows.groupby("group", sort=True)
    ]  # fmt: skip
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)
    shares = _shares(scored(results), gaps).astype({"imputer": "string"})
    table = table.merge(shares, how="left", on=[*GROUP, *MAP, "imputer"]).reindex(columns=COLUMNS)
    table["tested"] = table["tested"].astype("Int64")
    return table


def _splits(results: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield (kind, split, rows) with the column `group`, without the samples that have no group."""
    for kind in KINDS:
        if kind != "all" and kind not in results:
            continue
        names = pd.Series("", results.index) if kind == "all" else results[kind].fillna("").astype(str)
        named = results.assign(group=names.astype("object"))
        named = named if kind == "all" else named[named["group"] != ""]
        for split, correct in SPLITS.items():
            rows = named if correct is None else named[named["correct"].eq(correct).fillna(False).astype(bool)]
            if not rows.empty:
                yield kind, split, rows


def _group_rows(rows: pd.DataFrame, context: Context) -> pd.DataFrame:
    return described(matrix(rows, context.metrics), rows, context)[[*MAP, "imputer", *SCORES]]


def _shares(results: pd.DataFrame, gaps: Gaps | None) -> pd.DataFrame:
    """Generality of every group and split."""
    tables: list[pd.DataFrame] = []
    for kind, split, rows in _splits(results) if gaps else ():
        assert gaps is not None  # the loop is empty without
        groups = rows.drop_duplicates("sample").set_index("sample")["group"]
        tables.append(generality(gaps.by_video(groups)).assign(kind=kind, split=split, imputer=None))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*GROUP, *MAP, "imputer", *SHARES])
