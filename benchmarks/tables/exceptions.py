"""exceptions.csv: the videos in which a map does not beat its own null, task by task."""

from __future__ import annotations

import pandas as pd

from attrib.benchmarks.tables.generality import MAP, Gaps, not_beaten
from attrib.benchmarks.tables.matrix import scored

COLUMNS = ["task", *MAP, "null", "sample", "video", "value", "null_median", "p", "partners", "correct"]


def build(results: pd.DataFrame, gaps: Gaps | None, controls: frozenset[str]) -> pd.DataFrame:
    """Return the samples of the videos in which a method's map does not beat its null, without the controls.

    value, null_median: the sample's; p, partners: the video's.
    """
    if gaps is None:
        return pd.DataFrame(columns=COLUMNS)
    samples = scored(results).drop_duplicates("sample").set_index("sample")
    videos = not_beaten(gaps.by_video(samples["task"].fillna("")))
    videos = videos[~videos["method"].isin(controls)].rename(columns={"group": "task"})
    middle = gaps.null.groupby(["sample", *MAP, "null"], observed=True)["other"].median().rename("null_median")
    own = gaps.own.astype(dict.fromkeys(["sample", "video", *MAP], "str"))
    own["task"] = own["sample"].map(samples["task"].fillna(""))
    middle = middle.reset_index().astype(dict.fromkeys(["sample", *MAP, "null"], "str"))
    rows = videos.merge(own, on=["task", "video", *MAP]).merge(middle, on=["sample", *MAP, "null"])
    rows["correct"] = rows["sample"].map(samples["correct"])
    return rows.sort_values(COLUMNS[:6]).reset_index(drop=True)[COLUMNS]
