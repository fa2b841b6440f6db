from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrib.benchmarks.jobs.roles import MetricRoles, Roles
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables import exceptions, tasks
from attrib.benchmarks.tables.above_chance import gather
from attrib.benchmarks.tables.generality import Gaps
from attrib.benchmarks.tables.leaderboard import Boards, Context, build
from attrib.benchmarks.tables.matrix import matrix, scored
from attrib.benchmarks.tables.tasks import COLUMNS, GROUP

from board_cases import NAN, results, skilled

METRICS = MetricRoles({"mass": "high", "late": "low"})
CONTEXT = Context(METRICS, Roles(frozenset({"plain"}), frozenset({"oracle"})), Resampling(100))
RIGHT = {"a": True, "b": False, "c": True, "d": None}  # by video
TASKS = {"a": "x", "b": "x", "c": "y", "d": "y"}
MASS = {"m": [0.9, 0.5, 0.7, 0.3], "plain": [0.4, 0.4, 0.4, 0.4]}  # of the videos a, b, c, d


def gaps(rows: pd.DataFrame, held: pd.DataFrame | None) -> Gaps | None:
    return Gaps.of(matrix(scored(rows), METRICS), gather(held))


def table() -> pd.DataFrame:
    """Four videos of two tasks; one right, one wrong, one right, one whose answer is not known."""
    rows = [
        (f"{video}_0", video, TASKS[video], method, "mass", None, value)
        for method, values in MASS.items() for video, value in zip(TASKS, values, strict=True)
    ]  # fmt: skip
    rows += [(f"{video}_0", video, TASKS[video], "m", "late", "blur", 0.5) for video in TASKS]
    found = results(rows)
    areas = {"a": "memory", "b": "physics", "c": "memory", "d": ""}
    return found.assign(
        correct=found["video"].map(RIGHT).astype("boolean"), area=found["video"].map(areas), reasoning="descriptive"
    )


def nulls() -> pd.DataFrame:
    """19 partners each: `m` beats all of them in a and c, 17 of them in b, none in d; `plain` none anywhere."""
    highest = {"a": [0.8], "b": [0.6, 0.6], "c": [0.6], "d": [0.9] * 19}
    rows = [
        (f"{video}_0", video, TASKS[video], f"p{place:02}", "pairing", method, "mass", value)
        for method, best in (("m", highest), ("plain", dict.fromkeys(TASKS, [0.4] * 19)))
        for video in TASKS for place, value in enumerate([*best[video], *[0.1] * (19 - len(best[video]))])
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["sample", "video", "task", "partner", "null", "method", "metric", "value"])


def row(found: pd.DataFrame, *names: str, method: str = "m", metric: str = "mass") -> pd.Series:
    part = found.set_index([*GROUP, "method", "metric"]).loc[(*names, method, metric)]
    return part if isinstance(part, pd.Series) else part.squeeze(axis=0)


def test_means_of_groups_and_splits_by_hand() -> None:
    found = tasks.build(Boards.of(table(), CONTEXT), None)
    assert list(found.columns) == COLUMNS
    means = {
        ("task", "x", "all"): 0.7, ("task", "x", "right"): 0.9, ("task", "x", "wrong"): 0.5,
        ("task", "y", "all"): 0.5, ("task", "y", "right"): 0.7, ("area", "memory", "all"): 0.8,
        ("area", "memory", "right"): 0.8, ("area", "physics", "all"): 0.5, ("area", "physics", "wrong"): 0.5,
        ("reasoning", "descriptive", "all"): 0.6, ("reasoning", "descriptive", "right"): 0.8,
        ("reasoning", "descriptive", "wrong"): 0.5, ("all", "", "all"): 0.6, ("all", "", "right"): 0.8,
        ("all", "", "wrong"): 0.5,
    }  # fmt: skip
    part = found[(found["method"] == "m") & (found["metric"] == "mass")]
    assert dict(zip(zip(*(part[name] for name in GROUP), strict=True), part["mean"], strict=True)) == pytest.approx(
        means
    ), "d's answer is not known: it is neither right nor wrong, and it has no area"
    one = row(found, "all", "", "all")
    assert (one["videos"], one["chance"], one["control"], one["direction"]) == (4, 0.5, "plain", "high")
    assert (one["control_mean"], one["difference"]) == pytest.approx((0.4, 0.2))
    assert np.isnan(one["beats"]), "no nulls"
    assert row(found, "all", "", "all", metric="late")["imputer"] == "blur"
    assert row(found, "all", "", "all")[["imputer", "null"]].isna().all()


def same(one: pd.DataFrame, two: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, two, check_dtype=False, check_index_type=False)


def test_the_row_of_all_is_the_leaderboards() -> None:
    context = Context(
        MetricRoles({"object_auc": "high", "deletion": "low"}), Roles(frozenset({"uniform", "random"})), Resampling(100)
    )
    given = skilled(6)
    shared = ["mean", "low", "high", "chance", "videos", "control", "control_mean", "difference", "difference_low"]
    keys = ["method", "metric"]
    board = build(Boards.of(given, context), gather(None))[0]
    wanted = board[board["subset"] == "all"].set_index(keys)[shared].sort_index()
    found = tasks.build(Boards.of(given, context), None)
    whole = found[(found["kind"] == "all") & (found["split"] == "all")].set_index(keys)[shared].sort_index()
    same(whole, wanted)
    for task in ("t0", "t1"):
        wanted = board[board["subset"] == f"task: {task}"].set_index(keys)[shared].sort_index()
        part = found[(found["kind"] == "task") & (found["group"] == task) & (found["split"] == "all")]
        same(part.set_index(keys)[shared].sort_index(), wanted)


def test_shares_of_videos_that_beat_their_null_by_hand() -> None:
    found = tasks.build(Boards.of(table(), CONTEXT), gaps(table(), nulls()))
    shares = {
        names: (row(found, *names)["beats"], row(found, *names)["above"], row(found, *names)["tested"])
        for names in [("task", "x", "all"), ("task", "x", "wrong"), ("task", "y", "all"), ("area", "memory", "all"),
                      ("all", "", "all"), ("all", "", "right")]
    }  # fmt: skip
    assert shares == {
        ("task", "x", "all"): (1 / 2, 1, 2), ("task", "x", "wrong"): (0, 1, 1), ("task", "y", "all"): (1 / 2, 1 / 2, 2),
        ("area", "memory", "all"): (1, 1, 2), ("all", "", "all"): (2 / 4, 3 / 4, 4), ("all", "", "right"): (1, 1, 2),
    }  # fmt: skip
    assert row(found, "all", "", "all", metric="late")[["null", "beats"]].isna().all()
    assert not found.duplicated([*GROUP, "method", "metric", "imputer"]).any()
    assert row(found, "all", "", "all", method="plain")["beats"] == 0


def test_a_metric_with_two_nulls_has_a_row_for_each() -> None:
    both = pd.concat([nulls(), nulls().assign(null="shift", value=2.0)])
    part = tasks.build(Boards.of(table(), CONTEXT), gaps(table(), both))
    part = part[(part["kind"] == "all") & (part["split"] == "all") & (part["method"] == "m")]
    assert part.loc[part["metric"] == "mass", ["null", "beats", "mean"]].to_dict("records") == [
        {"null": "pairing", "beats": 0.5, "mean": pytest.approx(0.6)},
        {"null": "shift", "beats": 0.0, "mean": pytest.approx(0.6)},
    ]


def test_exceptions_are_the_videos_that_do_not_beat_their_null_and_controls_are_not_asked() -> None:
    found = exceptions.build(table(), gaps(table(), nulls()), CONTEXT.roles.controls)
    assert list(found.columns) == exceptions.COLUMNS
    assert found[["task", "sample", "video", "method", "metric", "null"]].to_numpy().tolist() == [
        ["x", "b_0", "b", "m", "mass", "pairing"], ["y", "d_0", "d", "m", "mass", "pairing"]]  # fmt: skip
    assert found["value"].tolist() == [0.5, 0.3]
    assert found["null_median"].tolist() == pytest.approx([0.1, 0.9])
    assert found["p"].tolist() == pytest.approx([3 / 20, 1])
    assert found["correct"].tolist()[:1] == [False]
    assert pd.isna(found["correct"].tolist()[1])


def test_questions_of_one_video_in_a_task_are_excepted_together_each_with_its_own_score() -> None:
    given = results([("a_0", "a", "x", "m", "mass", None, 0.9), ("a_1", "a", "x", "m", "mass", None, 0.1)])
    held = pd.DataFrame({
        "sample": ["a_0"] * 19 + ["a_1"] * 19, "video": "a", "task": "x", "method": "m", "metric": "mass",
        "partner": [f"p{n:02}" for n in range(19)] * 2, "null": "pairing", "value": [0.2] * 19 + [0.9] * 19,
    })  # fmt: skip
    found = exceptions.build(given, gaps(given, held), CONTEXT.roles.controls)
    assert found[["sample", "value", "null_median", "p"]].to_numpy().tolist() == [
        ["a_0", 0.9, 0.2, 1.0], ["a_1", 0.1, 0.9, 1.0]], "the means are .5 and .55"  # fmt: skip


def test_rows_order_plays_no_part_and_the_files_can_be_read_again(tmp_path: Path) -> None:
    one = tasks.build(Boards.of(table(), CONTEXT), gaps(table(), nulls()))
    two = tasks.build(Boards.of(table(), CONTEXT), gaps(table(), nulls().sample(frac=1, random_state=1)))
    pd.testing.assert_frame_equal(one, two)
    pairs = (gaps(table(), rows) for rows in (nulls(), nulls().sample(frac=1, random_state=1)))
    pd.testing.assert_frame_equal(*(exceptions.build(table(), pair, frozenset()) for pair in pairs))
    one.to_csv(tmp_path / "tasks.csv", index=False)
    read = pd.read_csv(tmp_path / "tasks.csv", keep_default_na=True)
    assert read["beats"].tolist() == pytest.approx(one["beats"].tolist(), nan_ok=True)


def test_nothing_scored_nothing_defined_and_no_annotated_areas_give_tables_with_their_columns() -> None:
    failed = table().assign(metric="", value=NAN)
    undefined = table().assign(value=NAN)
    for given in (failed, undefined, table().drop(columns=["area", "reasoning"])):
        for held in (None, nulls(), nulls().iloc[:0]):
            found = tasks.build(Boards.of(given, CONTEXT), gaps(given, held))
            assert list(found.columns) == COLUMNS
            assert list(exceptions.build(given, gaps(given, held), frozenset()).columns) == exceptions.COLUMNS
    assert tasks.build(Boards.of(failed, CONTEXT), gaps(failed, nulls())).empty
    assert tasks.build(Boards.of(undefined, CONTEXT), gaps(undefined, nulls()))["mean"].isna().all()
    kinds = tasks.build(Boards.of(table().drop(columns=["area", "reasoning"]), CONTEXT), None)["kind"]
    assert set(kinds) == {"task", "all"}
