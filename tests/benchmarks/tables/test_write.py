from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from threadpoolctl import threadpool_info, threadpool_limits

from attrib import config
from attrib.benchmarks.jobs.roles import MetricRoles, Roles
from attrib.benchmarks.stats import threads
from attrib.benchmarks.stats.ranking import Ranking, rank
from attrib.benchmarks.tables import agreement, critical_difference, ranks, tasks, write
from attrib.benchmarks.tables.above_chance import gather
from attrib.benchmarks.tables.matrix import matrix, scored

from board_cases import NAN, results, skilled

NAMES = {"good": "grad_cam", "random": "noise"}
SETTINGS = config.parse({
    "methods": {"grad_cam": None, "uniform": None, "noise": {"method": "random"}, "centre": None, "oracle": None},
    "metrics": {"object_auc": None, "deletion": None}, "imputers": ["blur"], "resamples": 100,
})  # fmt: skip
METRICS = MetricRoles({"object_auc": "high", "deletion": "low"}, ("object_auc",))
FILES = ("leaderboard", "differences", "ranks", "agreement", "tasks", "exceptions")


def table(videos: int = 8) -> pd.DataFrame:
    found = skilled(videos)
    return found[found["method"] != "poor"].assign(method=lambda rows: rows["method"].replace(NAMES))


def test_written_tables_are_those_of_the_summary_and_the_same_each_time(tmp_path: Path) -> None:
    found = write.summarise(table(), None, config.metric_entries(SETTINGS), SETTINGS)
    write.write(tmp_path, found)
    assert found.roles == Roles(frozenset({"uniform", "noise", "centre"}), frozenset({"oracle"}))
    assert set(found.differences["control"]) == found.roles.controls
    assert set(found.differences["method"]) == {"grad_cam", "oracle"}
    board = pd.read_csv(tmp_path / "leaderboard.csv")
    assert board["mean"].tolist() == pytest.approx(found.leaderboard["mean"].tolist(), abs=1e-15)
    tested = board[board["p_holm"].notna()]
    assert set(tested["metric"]) == {"object_auc"}
    assert set(tested["method"]) == {"grad_cam"}
    assert set(tested["subset"]) == {"all", "macro", "correct"}, "a task is too small for a claim, and nothing is gated"
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"{name}.csv" for name in FILES), "critical_difference.png", "critical_difference.pdf"}  # fmt: skip
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert before["critical_difference.png"].startswith(b"\x89PNG")
    assert before["critical_difference.pdf"].startswith(b"%PDF")
    write.write(tmp_path, write.summarise(table(), None, config.metric_entries(SETTINGS), SETTINGS))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_sums_are_added_in_one_order_whatever_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large products differ by their number of threads (seen with 20 methods, 40 columns, 40 videos)."""
    threads: list[int] = []
    build = write.leaderboard.build

    def watched(*arguments: object) -> object:
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return build(*arguments)

    monkeypatch.setattr(write.leaderboard, "build", watched)
    with threadpool_limits(limits=2, user_api="blas"):
        write.summarise(table(4), None, config.metric_entries(SETTINGS), SETTINGS)
    assert threads and set(threads) == {1}


def test_tables_are_the_same_whatever_the_number_of_threads_also_where_a_task_is_the_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most in (1, 3):
        monkeypatch.setattr(threads, "MOST", most)
        (tmp_path / str(most)).mkdir()
        tables = write.summarise(table(12).assign(task="one"), None, config.metric_entries(SETTINGS), SETTINGS)
        write.write(tmp_path / str(most), tables)
    for name in write.TABLES:
        one, three = ((tmp_path / most / f"{name}.csv").read_bytes() for most in "13")
        assert one == three


def test_groups_of_a_table_that_the_leaderboard_has_are_not_resampled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = write.leaderboard.Boards.of(table(6), write.leaderboard.Context(METRICS))
    board, _ = write.leaderboard.build(boards, gather(None))
    before = {*boards.known}
    found = tasks.build(boards, None)
    assert {*boards.known} == before, "all samples are answered correctly: its groups are the tasks and everything"
    same = board[board["subset"] == "all"].reset_index(drop=True)
    of_all = found[(found["kind"] == "all") & (found["split"] == "all")].reset_index(drop=True)
    for name in ("mean", "low", "high", "difference_low"):
        assert of_all[name].tolist() == pytest.approx(same[name].tolist(), nan_ok=True, abs=0)


def test_without_a_primary_metric_an_old_figure_goes(tmp_path: Path) -> None:
    (tmp_path / "critical_difference.png").write_bytes(b"old")
    only = table(4)[lambda rows: rows["metric"] == "deletion"]
    write.write(tmp_path, write.summarise(only, pd.DataFrame(), config.metric_entries(SETTINGS), SETTINGS))
    assert not (tmp_path / "critical_difference.png").exists()
    assert (tmp_path / "ranks.csv").exists()


def small() -> pd.DataFrame:
    """Three methods, two metrics, three videos; deletion is better when low."""
    values = {  # object_auc; deletion by blur; deletion by mean
        "a": ([0.9, 0.8, 0.7], [0.1, 0.2, 0.1], [0.1, 0.1, 0.4]),
        "b": ([0.5, 0.9, 0.6], [0.4, 0.1, 0.2], [0.3, 0.3, 0.3]),
        "c": ([0.1, 0.2, 0.3], [0.5, 0.5, 0.5], [0.2, 0.2, 0.1]),
    }
    columns = (("object_auc", None), ("deletion", "blur"), ("deletion", "mean"))
    return results([
        (f"s{video}", f"v{video}", "t", method, metric, imputer, value)
        for method, lists in values.items() for (metric, imputer), given in zip(columns, lists, strict=True)
        for video, value in enumerate(given)
    ])  # fmt: skip


def test_ranks_by_hand() -> None:
    found = ranks.build(matrix(scored(small()), METRICS), METRICS)
    mean = found.set_index(["metric", "imputer", "method"])["mean_rank"]
    # object_auc: a 1 2 1, b 2 1 2, c 3 3 3; deletion by mean: a 1 1 3, b 3 3 2, c 2 2 1
    assert mean["object_auc"].tolist() == pytest.approx([4 / 3, 5 / 3, 3])
    assert mean["deletion", "mean", "a"] == mean["deletion", "mean", "c"] == pytest.approx(5 / 3)
    assert mean["deletion", "mean", "b"] == pytest.approx(8 / 3)
    primary = found[found["metric"] == "primary"].set_index("method")["mean_rank"]
    assert primary.to_dict() == pytest.approx({"a": 4 / 3, "b": 5 / 3, "c": 3}), "deletion is not primary"
    one = found[found["metric"] == "object_auc"]
    wanted = stats.friedmanchisquare([0.9, 0.8, 0.7], [0.5, 0.9, 0.6], [0.1, 0.2, 0.3])
    assert one["friedman"].tolist() == pytest.approx([wanted.statistic] * 3)
    assert (one["videos"].tolist(), one["methods"].tolist(), one["dropped"].tolist()) == ([3] * 3, [3] * 3, [0] * 3)
    assert one["cliques"].tolist() == ["1", "1", "1"]  # p = .097


def test_agreement_by_hand() -> None:
    found = agreement.build(matrix(scored(small()), METRICS), METRICS)
    # Means: object_auc .8 .667 .2; deletion by blur .133 .233 .5, by mean .2 .3 .167: ranks 123, 123, 231
    kendall = found[found["kind"] == "kendall_w"].iloc[0]
    sums = np.array([1 + 1 + 2, 2 + 2 + 3, 3 + 3 + 1])
    assert kendall["statistic"] == pytest.approx(12 * ((sums - 6) ** 2).sum() / (9 * (27 - 3)))
    assert (kendall["metric"], kendall["methods"]) == ("all metrics (3)", 3)
    imputers = found[found["kind"] == "imputers"].iloc[0]
    assert tuple(imputers[["metric", "one", "two", "methods"]]) == ("deletion", "blur", "mean", 3)
    assert imputers["statistic"] == pytest.approx(1 - 6 * (1 + 1 + 4) / (3 * 8))
    metrics = found[(found["kind"] == "metrics") & (found["two"] == "deletion blur")].iloc[0]
    assert (metrics["one"], metrics["statistic"]) == ("object_auc", pytest.approx(1))


def test_agreement_leaves_out_judges_of_too_few_methods() -> None:
    """`completeness` is of one method in many: with it there would be nothing left to agree on."""
    rows = small()
    rows.loc[(rows["method"] != "b") & (rows["metric"] == "object_auc"), "value"] = NAN
    found = agreement.build(matrix(scored(rows), METRICS), METRICS)
    kendall = found[found["kind"] == "kendall_w"].iloc[0]
    assert (kendall["metric"], kendall["methods"]) == ("all metrics (2)", 3)


def test_agreement_leaves_out_methods_that_a_judge_cannot_judge() -> None:
    rows = small()
    rows.loc[(rows["method"] == "b") & (rows["metric"] == "object_auc"), "value"] = NAN
    found = agreement.build(matrix(scored(rows), METRICS), METRICS)
    assert found.loc[found["kind"] == "kendall_w", "methods"].iloc[0] == 2
    assert np.isnan(found.loc[found["kind"] == "kendall_w", "statistic"].iloc[0])


def test_the_figure_averages_imputers_and_names_what_it_shows() -> None:
    rows = small().assign(metric=lambda table: table["metric"].replace({"deletion": "srg"}))
    settings = SETTINGS.model_copy(update={"metrics": {"srg": None, "object_auc": None}})
    shown = write.summarise(rows, None, config.metric_entries(settings), settings).rankings
    assert list(shown) == ["srg, mean of blur and mean", "object_auc"]
    # Means of both imputers: a .1 .15 .25, b .35 .2 .25, c .35 .35 .3; high is best: 3 3 2.5, 1.5 2 2.5, 1.5 1 1
    one = next(iter(shown.values()))
    assert dict(zip(one.methods, one.ranks.tolist(), strict=True)) == pytest.approx(
        {"c": 3.5 / 3, "b": 2, "a": 8.5 / 3}
    )


def test_the_figure_draws_every_method_and_every_clique_without_bars_that_touch() -> None:
    methods = tuple("abcdef")
    one = Ranking(methods, np.arange(1.0, 7), 9.0, 0.01, ((0, 2), (1, 3), (3, 5)), 20, 0, ("lost",))
    figure = critical_difference.draw({"mine": one}, Roles(frozenset("b"), frozenset("a")))
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == list(methods)
    bars = [line for line in axis.lines if line.get_color() == critical_difference.BAR]
    assert [tuple(np.round(line.get_ydata()).astype(int)) for line in bars] == [(0, 2), (1, 3), (3, 5)]
    lanes = [line.get_xdata()[0] for line in bars]
    assert lanes[0] == lanes[2] != lanes[1]
    assert min(lanes) > 6
    assert axis.get_title(loc="left") == "mine\n20 videos, Friedman p = .010; without lost"


def test_one_video_and_one_method_give_tables_without_a_figure() -> None:
    rows = table(1)
    found = write.summarise(rows[rows["method"] == "grad_cam"], None, config.metric_entries(SETTINGS), SETTINGS)
    assert found.rankings == {}
    assert found.leaderboard["low"].isna().all()
    assert found.differences.empty
    assert rank(np.empty((0, 0)), []).methods == ()
