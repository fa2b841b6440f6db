from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from attrib.benchmarks.jobs.roles import MetricRoles, Roles
from attrib.benchmarks.stats.bootstrap import clustered_interval
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables import leaderboard
from attrib.benchmarks.tables.above_chance import gather
from attrib.benchmarks.tables.leaderboard import COLUMNS, Boards, Context, build
from attrib.benchmarks.tables.matrix import matrix, scored

from board_cases import NAN, results, skilled

METRICS = MetricRoles(
    {"object_auc": "high", "deletion": "low", "srg": "high", "mass": "high"}, ("srg", "object_auc", "shuffled_auc")
)
ROLES = Roles(frozenset({"uniform", "random", "centre"}), frozenset({"oracle"}))


class Board(NamedTuple):
    rows: pd.DataFrame
    differences: pd.DataFrame


def built(table: pd.DataFrame, roles: Roles = ROLES, resamples: int = 999, nulls: pd.DataFrame | None = None) -> Board:
    return Board(*build(Boards.of(table, Context(METRICS, roles, Resampling(resamples))), gather(nulls)))


def row(table: pd.DataFrame, **names: str) -> pd.Series:
    for name, value in names.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_the_best_control_is_the_best_in_the_metric_s_direction_and_never_the_upper_bound():
    table = skilled(12)
    board = built(table)
    for metric, best in (("object_auc", max), ("deletion", min)):
        means = {name: part["value"].mean() for name, part in table[table["metric"] == metric].groupby("method")}
        name = best(ROLES.controls, key=lambda method: means[method])
        found = row(board.rows, subset="all", method="good", metric=metric)
        assert found["control"] == name
        assert found["control_mean"] == pytest.approx(means[name])
        sign = 1 if best is max else -1
        assert found["difference"] == pytest.approx(sign * (means["good"] - means[name]))
        assert found["difference"] > 0.5, "better is positive, whatever the direction"
        assert found["difference_low"] < found["difference"] < found["difference_high"]
    assert board.rows[board.rows["method"].isin(ROLES.controls)]["control"].isna().all()
    assert list(board.rows) == COLUMNS


def test_the_interval_of_a_difference_is_that_of_the_samples_differences():
    table = skilled(12)
    wide = table[table["metric"] == "object_auc"].pivot(index="video", columns="method", values="value")
    away = wide["good"] - wide["random"]
    found = row(built(table).differences, subset="all", method="good", control="random", metric="object_auc")
    wanted = clustered_interval(away.to_numpy(), away.index.tolist(), Resampling(999))
    assert tuple(found[["difference", "low", "high", "videos"]]) == pytest.approx(tuple(wanted))
    assert found["sd"] == pytest.approx(away.std(ddof=1))
    needed = ((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * found["sd"] / found["difference"]) ** 2
    assert found["videos_needed"] == np.ceil(needed)


def test_beating_every_control_takes_the_largest_p_and_holm_over_the_primary_metrics_and_methods():
    board = built(skilled(12), resamples=9999)
    pairs = board.differences[board.differences["subset"] == "all"]
    worst = {}
    for method in ("good", "poor", "oracle"):
        part = pairs[(pairs["method"] == method) & (pairs["metric"] == "object_auc")]
        worst[method] = np.where(part["difference"] > 0, part["p"], 1).max()
        assert row(board.rows, subset="all", method=method, metric="object_auc")["p"] == pytest.approx(worst[method])
    assert worst["poor"] == 1, "it is worse than one of the controls"
    # Two hypotheses in the family: object_auc of `good` and of `poor`. deletion is not primary, the oracle no method.
    good = row(board.rows, subset="all", method="good", metric="object_auc")
    assert good["p_holm"] == pytest.approx(2 * worst["good"])
    assert good["p_holm"] < 0.01
    assert row(board.rows, subset="all", method="poor", metric="object_auc")["p_holm"] == 1
    assert np.isnan(row(board.rows, subset="all", method="oracle", metric="object_auc")["p_holm"])
    assert np.isnan(row(board.rows, subset="all", method="good", metric="deletion")["p_holm"])
    assert row(board.rows, subset="all", method="good", metric="deletion")["p"] < 0.01


def test_pairs_with_a_missing_value_are_dropped_and_counted():
    table = skilled(12)
    gaps = (table["metric"] == "object_auc") & (
        ((table["method"] == "good") & table["video"].isin(["v0", "v1"]))
        | ((table["method"] == "random") & table["video"].isin(["v1", "v2", "v3"]))
        | (table["method"] == "uniform")
    )
    table.loc[gaps, "value"] = NAN
    found = built(table)
    pair = row(found.differences, subset="all", method="good", control="random", metric="object_auc")
    assert (pair["dropped"], pair["videos"]) == (4, 8)
    kept = table[~gaps & (table["metric"] == "object_auc")].pivot(index="video", columns="method", values="value")
    assert pair["difference"] == pytest.approx((kept["good"] - kept["random"]).mean())
    none = row(found.differences, subset="all", method="good", control="uniform", metric="object_auc")
    assert none["dropped"] == 12
    assert np.isnan(none[["difference", "low", "p"]].astype(float)).all()
    good = row(found.rows, subset="all", method="good", metric="object_auc")
    assert (good["undefined"], good["videos"]) == (2, 10)
    assert good["p"] < 0.05, "a control without a value says nothing"


def test_macro_is_the_mean_over_tasks_and_subsets_are_those_of_their_flags():
    rows = [("a", "v1", "x", "m", "mass", None, 1.0), ("b", "v2", "x", "m", "mass", None, 3.0),
            ("c", "v3", "x", "m", "mass", None, 5.0), ("d", "v4", "y", "m", "mass", None, 9.0),
            ("e", "v4", "y", "m", "mass", None, NAN), ("a", "v1", "x", "m", "srg", "blur", 7.0)]  # fmt: skip
    table = results(rows)
    table.loc[table["sample"] == "b", "correct"] = False
    table.loc[table["sample"] == "c", "gated"] = True
    table.loc[table["metric"] == "srg", "vision"] = True
    table["chance"] = [0.1, 0.2, 0.3, 0.8, NAN, NAN]
    found = built(table, Roles()).rows.set_index(["subset", "metric"])
    assert found.loc[("all", "mass"), "mean"] == pytest.approx(18 / 4)
    assert found.loc[("macro", "mass"), "mean"] == pytest.approx((3 + 9) / 2)
    assert found.loc[("macro", "mass"), "chance"] == pytest.approx((0.2 + 0.8) / 2)
    assert found.loc[("correct", "mass"), "mean"] == pytest.approx((1 + 5 + 9) / 3)
    assert found.loc[("gated", "mass"), "mean"] == 5
    assert found.loc[("vision", "srg"), "mean"] == 7
    assert ("vision", "mass") not in found.index
    assert found.loc[("task: x", "mass"), "mean"] == 3
    assert found.loc[("task: y", "mass"), "undefined"] == 1
    assert found["imputer"].isna().tolist() == (found.index.get_level_values("metric") == "mass").tolist()


def test_the_order_of_the_rows_does_not_matter():
    table = skilled(9)
    nulls = repairings(9)
    keys = ["subset", "method", "metric"]
    one, two = (
        built(rows, nulls=others).rows.sort_values(keys).reset_index(drop=True)
        for rows, others in (
            (table, nulls),
            (table.sample(frac=1, random_state=1), nulls.sample(frac=1, random_state=2)),
        )
    )
    pd.testing.assert_frame_equal(one, two)


def test_a_failed_item_is_no_value_and_no_metric():
    table = skilled(6)
    failed = table.iloc[:1].assign(metric="", value=NAN, sample="x", video="x")
    pd.testing.assert_frame_equal(built(table).rows, built(pd.concat([table, failed])).rows)


def repairings(videos: int, partners: int = 19) -> pd.DataFrame:
    """Scores of `good` and `poor` against other videos' annotation, about 0."""
    generator = np.random.default_rng(5)
    rows = [
        (f"s{video}", f"v{video}", f"t{video % 2}", f"p{partner}", method, "object_auc", generator.normal(0, 0.2))
        for video in range(videos) for method in ("good", "poor") for partner in range(partners)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["sample", "video", "task", "partner", "method", "metric", "value"])


def test_above_chance_by_re_pairing():
    found = built(skilled(9), nulls=repairings(9)).rows
    assert row(found, subset="all", method="good", metric="object_auc")["p_pairing"] == 1 / 1000
    assert row(found, subset="all", method="poor", metric="object_auc")["p_pairing"] > 0.05
    assert row(found, subset="macro", method="good", metric="object_auc")["p_pairing"] == 1 / 1000
    assert row(found, subset="task: t0", method="good", metric="object_auc")["p_pairing"] < 0.01
    others = found[(found["metric"] == "deletion") | ~found["method"].isin(["good", "poor"])]
    assert others["p_pairing"].isna().all()
    assert found["p_shift"].isna().all()


def test_re_pairing_agrees_with_a_count_of_all_pairings():
    # One partner for each of three videos: of the 8 pairings, those whose mean reaches the own one's.
    table = results([(f"s{n}", f"v{n}", "t", "m", "mass", None, value) for n, value in enumerate((0.5, 0.2, 0.4))])
    nulls = pd.DataFrame([
        (f"s{n}", f"v{n}", "t", "", "m", "mass", value, "shift") for n, value in enumerate((0.3, 0.35, 0.4))
    ], columns=["sample", "video", "task", "partner", "method", "metric", "value", "null"])  # fmt: skip
    # own 1.1; with the others' in place: -.2, +.15, 0: reached by {}, {2}, {3}, {2, 3}: 4 of 8
    found = row(built(table, Roles(), 20_000, nulls).rows, subset="all")
    assert found["p_shift"] == pytest.approx(4 / 8, abs=0.01)
    assert np.isnan(found["p_pairing"])
    low = Board(
        *build(Boards.of(table, Context(MetricRoles({"mass": "low"}), resampling=Resampling(20_000))), gather(nulls))
    )
    # Lower is better: at most 1.1 are {}, {1}, {1, 2}, {1, 3}, {1, 2, 3}, {3}: 6 of 8
    assert row(low.rows, subset="all")["p_shift"] == pytest.approx(6 / 8, abs=0.01)


def test_columns_compared_in_parts_are_those_compared_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = built(skilled(12))
    monkeypatch.setattr(leaderboard, "PART", 1)
    parts = built(skilled(12))
    pd.testing.assert_frame_equal(parts.rows, whole.rows)
    pd.testing.assert_frame_equal(parts.differences, whole.differences)
    assert len(matrix(scored(skilled(12)), METRICS).parts(1)) > 1
