"""Re-paired twins: numbers worked by hand, and a map that is the same in all videos."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attrib import config
from attrib.benchmarks.jobs.directory import COLUMNS
from attrib.benchmarks.jobs.roles import metric_roles
from attrib.benchmarks.tables.corrected import with_corrected
from attrib.benchmarks.tables.write import summarise

NAN = float("nan")
SETTINGS = config.parse({"methods": {"centre": None}, "metrics": {"object_auc": None, "mass": None}, "resamples": 100})
ENTRIES = config.metric_entries(SETTINGS)


def results_of(values: dict[tuple[str, str, str], float]) -> pd.DataFrame:
    """Results by (sample, method, metric); chance .5, an undefined value with its reason."""
    rows = [
        {"sample": sample, "video": f"v{sample}", "task": "t", "method": method, "metric": metric, "value": value,
         "chance": NAN if np.isnan(value) else 0.5, "reason": "no track" if np.isnan(value) else "", "error": "",
         "correct": True}
        for (sample, method, metric), value in values.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def nulls_of(
    rows: list[tuple[str, str, str, float]], metric: str = "object_auc", null: str = "pairing"
) -> pd.DataFrame:
    """Null scores of (sample of the map, partner whose annotation it is scored on, method, value)."""
    table = pd.DataFrame(rows, columns=["sample", "partner", "method", "value"])
    return table.assign(metric=metric, null=null, task="t", video="v" + table["sample"], reason="", error="")


def twins(results: pd.DataFrame) -> dict[tuple[str, str], float]:
    rows = results[results["metric"] == "object_auc_corrected"]
    return {(row.sample, row.method): row.value for row in rows.itertuples()}


def test_other_maps_on_the_same_annotation_are_taken_off() -> None:
    own = results_of({("a", "m", "object_auc"): 0.9, ("b", "m", "object_auc"): 0.6, ("a", "m", "mass"): 0.2})
    pairs = [("b", "a", "m", 0.7), ("c", "a", "m", 0.4), ("a", "b", "m", 1.0), ("a", "b", "n", 0.0)]
    found = with_corrected(own, nulls_of(pairs), ENTRIES)
    # On a's annotation the other maps have .55: .9 - .55 + .5. On b's, a's map has 1: .6 - 1 + .5.
    assert twins(found) == {("a", "m"): pytest.approx(0.85), ("b", "m"): pytest.approx(0.1)}
    assert found["metric"].tolist() == ["object_auc", "object_auc_corrected"] * 2 + ["mass"]
    assert set(found.loc[found["metric"] == "object_auc_corrected", "chance"]) == {0.5}
    assert found.dtypes.equals(own.dtypes)
    pd.testing.assert_frame_equal(with_corrected(found, nulls_of(pairs), ENTRIES), found)  # a second time, as well


def test_a_map_that_is_the_same_in_all_videos_has_exactly_one_half() -> None:
    values = {"a": 1 / 3, "b": 0.1 + 0.2, "c": 0.7, "d": 0.9}  # of each annotation, whichever video's map it is
    own = results_of({(sample, "centre", "object_auc"): value for sample, value in values.items()})
    pairs = [(one, two, "centre", values[two]) for one in values for two in values if one != two]
    assert set(twins(with_corrected(own, nulls_of(pairs), ENTRIES)).values()) == {0.5}


def test_what_is_undefined_keeps_its_reason() -> None:
    own = results_of({("a", "m", "object_auc"): NAN, ("b", "m", "object_auc"): 0.6, ("c", "m", "object_auc"): 0.5})
    found = with_corrected(own, nulls_of([("b", "a", "m", 0.5), ("a", "b", "m", NAN), ("a", "c", "m", 0.1)]), ENTRIES)
    rows = found[found["metric"] == "object_auc_corrected"].set_index("sample")
    assert rows["value"].isna().tolist() == [True, True, False] and rows["chance"].isna().tolist() == [
        True,
        True,
        False,
    ]
    assert rows.loc["a", "reason"] == "no track" and rows.loc["c", "reason"] == ""
    assert rows.loc["b", "reason"] == "no other video's map of this method is scored on this annotation"


@pytest.mark.parametrize(
    "nulls",
    [None, nulls_of([("b", "a", "m", 0.7)], metric="mass"), nulls_of([("a", "3", "m", 0.7)], null="shift")],
    ids=["none", "of another metric", "shifts"],
)
def test_without_re_paired_scores_there_are_no_twins(nulls: pd.DataFrame | None) -> None:
    own = results_of({("a", "m", "object_auc"): 0.9})
    pd.testing.assert_frame_equal(with_corrected(own, nulls, ENTRIES), own)


def test_twins_have_rows_in_the_tables_but_are_no_judges_and_not_primary() -> None:
    rng = np.random.default_rng(0)
    names = [f"s{number}" for number in range(6)]
    own = results_of({(sample, method, "object_auc"): rng.random() for sample in names for method in ("m", "centre")})
    pairs = [
        (one, two, method, rng.random()) for one in names for two in names if one != two for method in ("m", "centre")
    ]
    nulls = nulls_of(pairs)
    tables = summarise(with_corrected(own, nulls, ENTRIES), nulls, ENTRIES, SETTINGS)
    board = tables.leaderboard[tables.leaderboard["subset"] == "all"].set_index(["metric", "method"])
    twin = board.loc["object_auc_corrected", "m"]
    assert twin["mean"] == pytest.approx(np.mean([value for (_, method), value in twins(
        with_corrected(own, nulls, ENTRIES)).items() if method == "m"]))  # fmt: skip
    assert twin["direction"] == "high" and np.isnan(twin["p_holm"]) and twin["control"] == "centre"
    assert "object_auc_corrected" not in set(tables.agreement["one"]) | set(tables.agreement["two"])
    assert "object_auc_corrected" not in tables.metrics.primary
    assert metric_roles(ENTRIES).twins == {"object_auc_corrected"}
