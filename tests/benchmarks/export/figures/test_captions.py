"""What is drawn is what the run's tables say."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrib.benchmarks.export.figures import captions, charts, style
from attrib.benchmarks.export.figures.captions import Figure, Missing
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.jobs.finished_run import FinishedRun, read
from attrib.benchmarks.perturb.curves import STEPS

import export_cases as cases


def shown(found: Figure | Missing) -> Figure:
    assert isinstance(found, Figure), found
    return found


def test_the_leaderboard_holds_the_rows_of_leaderboard_csv(made: FinishedRun, numbers: Numbers) -> None:
    table = shown(captions.leaderboard(numbers)).table.set_index(["column", "method"])
    board = pd.read_csv(made.directory / "leaderboard.csv")
    board = board[board["subset"] == "all"]
    assert len(table) == len(board) == 18
    for row in board.itertuples():
        title = "srg (blur)" if row.metric == "srg" else row.metric
        one = table.loc[(title, row.method)]
        assert [one["mean"], one["low"], one["high"], one["chance"]] == [row.mean, row.low, row.high, row.chance]


def test_methods_stand_above_controls_and_bounds_best_mean_rank_first(numbers: Numbers) -> None:
    assert numbers.order == ("relevance", "raw_attention", "grad_cam", "motion", "random", "oracle")
    kinds = [numbers.kind(name) for name in numbers.order]
    assert kinds == ["method"] * 3 + ["control"] * 2 + ["bound"]


def test_dots_and_whiskers_lie_where_the_table_says(numbers: Numbers) -> None:
    table = shown(captions.leaderboard(numbers)).table
    with style.printed():
        axis = charts.leaderboard(table).axes[0]
    part = table[table["column"] == "srg (blur)"]
    dots = [line.get_xydata().tolist()[0] for line in axis.lines if len(line.get_xdata()) == 1]
    assert dots == [[mean, float(place)] for place, mean in enumerate(part["mean"])]
    flat = [line.get_xydata().T.tolist() for line in axis.lines if len(line.get_xdata()) == 2]
    assert [[part["low"].iloc[1], part["high"].iloc[1]], [1, 1]] in flat, "the second row's whisker"
    dashed, dotted = axis.lines[:2]
    assert dashed.get_xdata()[0] == part["chance"].mean()
    assert dotted.get_xdata()[0] == part["mean"][part["method"] == "motion"].iloc[0], "the best control"


def test_each_method_has_its_own_look_in_a_long_list() -> None:
    looks = {(look.colour, look.mark) for look in (style.Look.of("method", place) for place in range(28))}
    assert len(looks) == 28
    assert style.Look.of("control", 0).hollow and not style.Look.of("method", 0).hollow


def test_faithfulness_stands_against_alignment(made: FinishedRun, numbers: Numbers) -> None:
    table = shown(captions.scatter(numbers)).table
    board = made.table("leaderboard")
    assert board is not None
    board = board[board["subset"] == "all"].set_index(["metric", "method"])
    assert list(dict.fromkeys(table["column"])) == ["shuffled_auc", "object_auc"]
    for row in table.itertuples():
        assert (row.x, row.y) == (board.loc[(row.column, row.method), "mean"], board.loc[("srg", row.method), "mean"])


def test_generality_is_the_share_above_the_median_where_partners_are_few(made: FinishedRun, numbers: Numbers) -> None:
    plot = shown(captions.generality(numbers))
    rows = made.table("tasks")
    assert rows is not None
    rows = rows[(rows["kind"] == "task") & (rows["split"] == "all") & (rows["metric"] == "object_auc")]
    rows = rows.set_index(["group", "method"])
    assert list(dict.fromkeys(plot.table["task"])) == ["Where is the cup?", "What moves, $x_1$ or *y*?"], (
        "most videos first"
    )
    assert list(plot.table["method"][:4]) == ["relevance", "raw_attention", "grad_cam", "motion"]
    for row in plot.table.itertuples():
        one = rows.loc[(row.task, row.method)]
        assert [row.share, row.low, row.high] == [one["above"], one["above_low"], one["above_high"]]
    assert set(plot.table["chance"]) == {1 / 3}, "of three places in the order one is above the middle"
    assert "2 other videos" in plot.caption


def test_with_enough_partners_generality_is_the_share_with_small_p(tmp_path: Path) -> None:
    results = cases.rows({"Where?": 3}, cases.SKILL)
    run = cases.written(tmp_path, results, cases.partners(results, 19))
    plot = shown(captions.generality(Numbers(run)))
    rows = run.table("tasks")
    assert rows is not None
    one = rows[(rows["kind"] == "task") & (rows["split"] == "all") & (rows["metric"] == "object_auc")].set_index(
        "method"
    )
    assert plot.table["share"].tolist() == [one["beats"][name] for name in plot.table["method"]]
    assert plot.table["chance"].tolist() == pytest.approx([0.05] * 4)


def test_many_tasks_are_those_with_most_videos_and_it_is_said(tmp_path: Path) -> None:
    tasks = {f"Question {place}?": 3 + (place == 9) for place in range(14)}
    results = cases.rows(tasks, {"relevance": 0.3, "motion": 0.1})
    plot = shown(captions.generality(Numbers(cases.written(tmp_path, results, cases.partners(results, 2)))))
    assert plot.table["task"].nunique() == 12
    assert plot.table["task"].iloc[0] == "Question 9?"
    assert "The 12 of 14 tasks with most videos" in plot.caption


@pytest.fixture
def copy(made: FinishedRun, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.directory, tmp_path / "copy"))


def test_curves_are_means_over_samples(copy: Path) -> None:
    """Each read at the same steps: the two videos were asked at other shares of their cells."""
    points = [("s1", "relevance", 0.0, 4.0), ("s1", "relevance", 0.25, 0.0), ("s1", "relevance", 1.0, -3.0),
              ("s2", "relevance", 0.0, 2.0), ("s2", "relevance", 0.5, 0.0), ("s2", "relevance", 1.0, -2.0),
              ("s1", None, 0.0, 3.0), ("s1", None, 1.0, 0.0)]  # fmt: skip
    table = pd.DataFrame(points, columns=["sample", "method", "fraction", "log_odds"])
    table = table.assign(video=table["sample"], task="t", imputer="blur", order="most_first", probability=np.nan)
    pd.concat([table, table.assign(imputer="mean", log_odds=99.0)]).to_parquet(copy / "curves.parquet", index=False)
    plot = shown(captions.curves(Numbers(read(copy))))
    means = plot.table.set_index(["method", "fraction"])["mean"]
    assert means["relevance"].index.tolist() == means["random order"].index.tolist() == list(STEPS)
    assert means["relevance"][[0.0, 0.1, 0.5, 1.0]].tolist() == pytest.approx([3.0, 2.0, -0.5, -2.5])
    assert means["random order"][[0.0, 0.1, 0.5, 1.0]].tolist() == pytest.approx([3.0, 2.7, 1.5, 0.0])
    assert "2 questions of 2 videos" in plot.caption
    with style.printed():
        lines = charts.curves(plot.table).axes[0].lines
    assert lines[0].get_xydata()[[0, -1]].tolist() == [[0, 3], [100, -2.5]]
    assert lines[1].get_xydata()[[0, -1]].tolist() == [[0, 3], [100, 0]]


def test_what_a_run_lacks_is_left_out_with_the_reason(copy: Path) -> None:
    (copy / "tasks.csv").unlink()
    found = list(captions.number_figures(Numbers(read(copy))))
    missing = {item.name: item.reason for item in found if isinstance(item, Missing)}
    assert list(missing) == ["generality", "curves"]
    assert "tasks.csv" in missing["generality"] and "curves.parquet" in missing["curves"]


def test_one_video_has_no_interval_and_the_caption_says_so(tmp_path: Path) -> None:
    numbers = Numbers(cases.written(tmp_path, cases.rows({"Where?": 1}, cases.SKILL)))
    plot = shown(captions.leaderboard(numbers))
    assert plot.table["low"].isna().all()
    assert "n = 1 video" in plot.caption
    with style.printed():
        charts.leaderboard(plot.table)
        charts.axes_scatter(shown(captions.scatter(numbers)).table)


def test_a_table_kept_as_json_is_the_table_again() -> None:
    table = charts.restored({"mean": [1.0, None], "chance": [None, None], "method": ["a", "b"]})
    assert table["mean"].dtype == table["chance"].dtype == np.float64
    assert table["chance"].isna().all() and table["mean"].tolist()[0] == 1.0
