"""exceptions.csv: the videos in which a map does not beat its own null, task by task."""

from __future__ import annotations

import numpy as np
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
    samples = scored(results[["sample", "task", "metric", "correct"]]).drop_duplicates("sample").set_index("sample")
    tasks = samples["task"].fillna("").astype("str")
    videos = not_beaten(gaps.by_video(tasks))
    videos = videos[~videos["method"].isin(controls)].rename(columns={"group": "task"})
    known = ~np.isnan(gaps.others)
    at, of_map = np.nonzero(known.any(axis=2) & ~np.isnan(gaps.own))
    names = np.array(gaps.maps, object).reshape(-1, 3)[of_map].T
    own = pd.DataFrame({
        "sample": np.array(gaps.samples, object)[at], "video": np.array(gaps.videos, object)[at],
        **dict(zip([*MAP, "null"], names, strict=True)),
    }).astype("str")  # fmt: skip
    own = own.assign(value=gaps.own[at, of_map], null_median=np.nanmedian(gaps.others[at, of_map], axis=1))
    own["task"] = own["sample"].map(tasks)
    rows = videos.merge(own, on=["task", "video", *MAP, "null"])
    rows["correct"] = rows["sample"].map(samples["correct"])
    return rows.sort_values(COLUMNS[:6]).reset_index(drop=True)[COLUMNS]
