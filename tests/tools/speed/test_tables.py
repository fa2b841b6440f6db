from __future__ import annotations

from pathlib import Path

import pandas as pd

from attrib.benchmarks.checks import schema
from attrib.benchmarks.jobs import directory
from tools.speed.tables import FAILED, Size, measure, nulls, results, settings

SIZE = Size(videos=12, samples=2, methods=7, tasks=2, partners=3)


def test_drawn_scores_are_those_of_a_run() -> None:
    given = settings(SIZE, 100)
    drawn = results(given, SIZE)
    assert drawn.dtypes.astype(str).to_dict() == directory.COLUMNS
    assert (drawn["sample"].nunique(), drawn["video"].nunique(), drawn["method"].nunique()) == (24, 12, 7)
    failed = drawn["metric"] == ""
    assert (drawn.loc[failed, "error"] != "").all()
    assert failed.sum() <= 24 * 7 * FAILED * 10
    scores = drawn[~failed]
    assert len(scores[["metric", "imputer"]].drop_duplicates()) == 40
    assert (scores["value"].isna() == (scores["reason"] != "")).all()
    assert scores["value"].isna().any()
    others = nulls(given, drawn, SIZE)
    assert others.dtypes.astype(str).to_dict() == schema.COLUMNS["nulls"]
    assert (others["sample"] != others["partner"]).all()
    assert set(others["metric"]) == {"object_auc", "shuffled_auc", "segment_shuffled_auc"}


def test_its_tables_are_written_and_measured(tmp_path: Path) -> None:
    found = measure(Size(videos=1, samples=3, methods=6, tasks=1, partners=2), 100, tmp_path)
    assert {"leaderboard", "ranks", "agreement", "tasks", "exceptions", "GiB at the peak"} <= set(found)
    board = pd.read_csv(tmp_path / "leaderboard.csv")
    assert {"all", "macro", "vision", "task: question 0?"} <= set(board["subset"])
    assert len(board[board["subset"] == "all"]) == 6 * 41, "40 columns and the re-paired twin of one"
