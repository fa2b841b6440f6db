"""The task report: for each task, area and kind of reasoning what the maps reach, and in how many of its videos.

Each split by right and wrong answers, beside chance, the best control and the map's own null.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from attrib.benchmarks.tables.generality import MAP, SHARES, Gaps, generality, not_beaten
from attrib.benchmarks.tables.leaderboard import Context, described
from attrib.benchmarks.tables.matrix import matrix, scored

KINDS = ("task", "area", "reasoning", "all")
SPLITS = {"all": None, "right": True, "wrong": False}  # by what `correct` is
GROUP = ["kind", "group", "split"]
SCORES = [
    "direction", "videos", "mean", "low", "high", "chance", "control", "control_mean", "difference", "difference_low",
    "difference_high",
]  # fmt: skip
COLUMNS = [*GROUP, *MAP, "imputer", *SCORES, *SHARES]
EXCEPTIONS = ["task", *MAP, "null", "sample", "video", "value", "null_median", "p", "partners", "correct"]


@dataclass(frozen=True, eq=False)
class TaskReport:
    """Rows of COLUMNS, and of EXCEPTIONS."""

    rows: pd.DataFrame
    exceptions: pd.DataFrame


def build(results: pd.DataFrame, nulls: pd.DataFrame | None, context: Context) -> TaskReport:
    """A row for each group, split, method and metric (and null, where there are two); the exceptions of each task.

    low, high: 95 % interval over videos; `difference` to the best control, positive where the method is better. From
    `null` on it is the share of the group's videos in which the map beats its null (see generality); NaN without one.
    """
    gaps = None if nulls is None or nulls.empty else Gaps.of(results, nulls, context.directions)
    parts = [
        _group_rows(part, context).assign(kind=kind, group=group, split=split)
        for kind, split, rows in _splits(scored(results)) for group, part in rows.groupby("group", sort=True)
    ]  # fmt: skip
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    shares = _shares(scored(results), gaps)
    table = table.merge(shares, how="left", on=[*GROUP, *MAP, "imputer"]).reindex(columns=COLUMNS)
    table["imputer"] = table["imputer"].replace("", pd.NA)
    table["tested"] = table["tested"].astype("Int64")
    return TaskReport(table, _exceptions(scored(results), gaps, context))


def _splits(results: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(kind, split, rows): those of its samples that belong to a group, with the column `group`."""
    for kind in KINDS:
        if kind != "all" and kind not in results:
            continue
        names = pd.Series("", results.index) if kind == "all" else results[kind].fillna("").astype(str)
        named = results.assign(group=names.astype("object"))
        named = named if kind == "all" else named[named["group"] != ""]
        for split, correct in SPLITS.items():
            part = named if correct is None else named[named["correct"].eq(correct).fillna(False).astype(bool)]
            if not part.empty:
                yield kind, split, part


def _group_rows(part: pd.DataFrame, context: Context) -> pd.DataFrame:
    return described(matrix(part), part, context)[[*MAP, "imputer", *SCORES]]


def _shares(results: pd.DataFrame, gaps: Gaps | None) -> pd.DataFrame:
    """The generality of every group and split."""
    found: list[pd.DataFrame] = []
    for kind, split, rows in _splits(results) if gaps else ():
        assert gaps is not None  # the loop is empty without
        groups = rows.drop_duplicates("sample").set_index("sample")["group"]
        found.append(generality(gaps.by_video(groups)).assign(kind=kind, split=split, imputer=""))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=[*GROUP, *MAP, "imputer", *SHARES])


def _exceptions(results: pd.DataFrame, gaps: Gaps | None, context: Context) -> pd.DataFrame:
    """The samples of the videos in which a method's map does not beat its null; controls are not asked.

    value, null_median: the sample's; p, partners: the video's.
    """
    if gaps is None:
        return pd.DataFrame(columns=EXCEPTIONS)
    samples = results.drop_duplicates("sample").set_index("sample")
    videos = not_beaten(gaps.by_video(samples["task"].fillna("")))
    videos = videos[~videos["method"].isin(context.roles.controls)].rename(columns={"group": "task"})
    middle = gaps.null.groupby(["sample", *MAP, "null"], observed=True)["other"].median().rename("null_median")
    own = gaps.own.astype(dict.fromkeys(["sample", "video", *MAP], "str"))
    own["task"] = own["sample"].map(samples["task"].fillna(""))
    middle = middle.reset_index().astype(dict.fromkeys(["sample", *MAP, "null"], "str"))
    found = videos.merge(own, on=["task", "video", *MAP]).merge(middle, on=["sample", *MAP, "null"])
    found["correct"] = found["sample"].map(samples["correct"])
    return found.sort_values(EXCEPTIONS[:6]).reset_index(drop=True)[EXCEPTIONS]
