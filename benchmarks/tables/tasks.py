"""tasks.csv: scores of the maps by task, area and kind of reasoning, and in how many videos they beat their null.

Each group is split by right and wrong answers, and stands beside chance and the best control.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attrib.benchmarks.stats.threads import in_threads
from attrib.benchmarks.tables.generality import MAP, SHARES, Gaps, generality
from attrib.benchmarks.tables.leaderboard import Boards

KINDS = ("task", "area", "reasoning", "all")
SPLITS = {"all": None, "right": True, "wrong": False}  # by the value of `correct`
GROUP = ["kind", "group", "split"]
SCORES = [
    "direction", "videos", "mean", "low", "high", "chance", "control", "control_mean", "difference", "difference_low",
    "difference_high",
]  # fmt: skip
COLUMNS = [*GROUP, *MAP, "imputer", *SCORES, *SHARES]


def build(boards: Boards, gaps: Gaps | None) -> pd.DataFrame:
    """Return a row for each group, split, method and metric (and null, where there are two).

    low, high: 95 % interval over videos; `difference` to the best control, positive where the method is better. From
    `null` on it is the share of the group's videos in which the map beats its null (see generality); NaN without one.
    """
    table = boards.rows
    groups = [
        (dict(zip(GROUP, (kind, group, split), strict=True)), which, index)
        for kind, split, which, groups in _splits(table)
        for index, group in enumerate(groups) if (which == index).any()
    ]  # fmt: skip
    tables = in_threads(lambda each: boards.of_rows(each[1] == each[2]).assign(**each[0]), groups)
    names = [*GROUP, *MAP, "imputer", *SCORES]
    board = pd.concat(tables, ignore_index=True)[names] if tables else pd.DataFrame(columns=names)
    shares = _shares(table.drop_duplicates("sample"), gaps).astype({"imputer": "string"})
    board = board.merge(shares, how="left", on=[*GROUP, *MAP, "imputer"]).reindex(columns=COLUMNS)
    board["tested"] = board["tested"].astype("Int64")
    return board


def _splits(results: pd.DataFrame) -> Iterator[tuple[str, str, NDArray[np.intp], list[str]]]:
    """Yield (kind, split, which group each row is of, the groups); -1 for samples that have no group."""
    for kind in KINDS:
        if kind != "all" and kind not in results:
            continue
        names = pd.Series("", results.index) if kind == "all" else results[kind].astype("object").replace("", None)
        which, groups = pd.factorize(names, sort=True)
        for split, correct in SPLITS.items():
            kept = which
            if correct is not None:
                kept = np.where(results["correct"].eq(correct).fillna(False).to_numpy(bool), which, -1)
            if (kept >= 0).any():
                yield kind, split, kept, [str(group) for group in groups]


def _shares(samples: pd.DataFrame, gaps: Gaps | None) -> pd.DataFrame:
    """Generality of every group and split, of the samples (a row each)."""
    tables: list[pd.DataFrame] = []
    for kind, split, which, groups in _splits(samples) if gaps else ():
        assert gaps is not None  # the loop is empty without
        known = which >= 0
        named = pd.Series(np.array(groups, object)[which[known]], samples["sample"].astype("object")[known])
        tables.append(generality(gaps.by_video(named)).assign(kind=kind, split=split, imputer=None))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*GROUP, *MAP, "imputer", *SHARES])
