from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from attrib.benchmarks.jobs.roles import MetricRoles
from attrib.benchmarks.stats.multiple import ALPHA
from attrib.benchmarks.tables.above_chance import gather
from attrib.benchmarks.tables.generality import GENERALITY, LEAST_PARTNERS, Gaps, generality, middle_chance, not_beaten
from attrib.benchmarks.tables.matrix import matrix, scored
from attrib.metric import Direction

from board_cases import NAN, results

COLUMNS = ["sample", "video", "task", "partner", "method", "metric", "value"]


def case(own: list[float], others: list[list[float]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One sample for each video, of one task."""
    table = results([(f"s{n}", f"v{n}", "t", "m", "mass", None, value) for n, value in enumerate(own)])
    rows = [(f"s{n}", f"v{n}", "t", f"p{place:02}", "m", "mass", value)
            for n, values in enumerate(others) for place, value in enumerate(values)]  # fmt: skip
    return table, pd.DataFrame(rows, columns=COLUMNS)


def by_task(table: pd.DataFrame, nulls: pd.DataFrame, directions: dict[str, Direction]) -> pd.DataFrame:
    groups = table.drop_duplicates("sample").set_index("sample")["task"]
    gaps = Gaps.of(matrix(scored(table), MetricRoles(directions)), gather(nulls))
    assert gaps is not None
    return gaps.by_video(groups)


def told(table: pd.DataFrame, nulls: pd.DataFrame, directions: dict[str, Direction]) -> pd.DataFrame:
    return generality(by_task(table, nulls, directions))


def test_generality_by_hand():
    below = list(np.linspace(0, 0.4, 19))
    # p = 1/20 beats; one partner as high gives 2/20; the middle: 9 of 19 higher is above it, 10 are not
    table, nulls = case(
        [0.5, 0.5, 0.5, 0.5, 0.5],
        [below, [*below[:18], 0.5], [*below[:10], *[0.6] * 9], [*below[:9], *[0.6] * 10], [0.6] * 19],
    )
    (found,) = told(table, nulls, {"mass": "high"}).to_dict("records")
    assert (found["group"], found["method"], found["metric"], found["null"]) == ("t", "m", "mass", "pairing")
    assert (found["tested"], found["partners"]) == (5, 19)
    assert found["beats"] == 1 / 5
    assert found["beats_chance"] == pytest.approx(0.05)
    assert found["above"] == 3 / 5
    z, share, n = stats.norm.ppf(0.975), 1 / 5, 5  # Wilson's interval
    middle, half = (share + z**2 / 2 / n), z * np.sqrt(share * (1 - share) / n + (z / 2 / n) ** 2)
    ends = [(middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)]
    assert [found["beats_low"], found["beats_high"]] == pytest.approx(ends)


def test_with_few_partners_no_map_can_beat_its_null_and_chance_says_so():
    table, nulls = case([9.0], [[0.0] * 18])
    (found,) = told(table, nulls, {"mass": "high"}).to_dict("records")
    assert (found["beats"], found["beats_chance"], found["above"]) == (0, 0, 1)


def test_low_is_better_where_the_metric_says_so_and_ties_are_no_gain():
    table, nulls = case([0.1, 0.9, 0.5], [[0.5] * 19] * 3)
    (found,) = told(table, nulls, {"mass": "low"}).to_dict("records")
    assert found["beats"] == found["above"] == pytest.approx(1 / 3)


def test_samples_of_one_video_count_as_their_mean_and_undefined_ones_not():
    table = results([("a", "v", "t", "m", "mass", None, 0.9), ("b", "v", "t", "m", "mass", None, 0.1),
                     ("c", "w", "t", "m", "mass", None, NAN)])  # fmt: skip
    rows = [(name, video, "t", f"p{place:02}", "m", "mass", 0.4 if name != "c" else 0.0)
            for name, video in (("a", "v"), ("b", "v"), ("c", "w")) for place in range(19)]  # fmt: skip
    (found,) = told(table, pd.DataFrame(rows, columns=COLUMNS), {}).to_dict("records")
    assert (found["tested"], found["beats"]) == (1, 1), "the mean .5 beats .4, the sample b alone would not"


def test_a_partner_that_one_sample_of_a_video_lacks_is_not_compared():
    table = results([("a", "v", "t", "m", "mass", None, 0.9), ("b", "v", "t", "m", "mass", None, 0.1)])
    rows = [(name, "v", "t", f"p{place:02}", "m", "mass", 0.4 if place < 19 else 9.0)
            for name, count in (("a", 25), ("b", 19)) for place in range(count)]  # fmt: skip
    (found,) = told(table, pd.DataFrame(rows, columns=COLUMNS), {}).to_dict("records")
    assert (found["partners"], found["beats"]) == (19, 1)


def test_tasks_and_nulls_are_apart_and_row_order_does_not_matter():
    table = pd.concat([case([0.5] * 3, [[]] * 3)[0].assign(task=task, sample=lambda t, k=task: k + t["sample"])
                       for task in ("x", "y")])  # fmt: skip
    nulls = pd.concat([
        case([0.5] * 3, [[0.1] * 19, [0.9] * 19, [0.1] * 19])[1].assign(
            task=task, null=null, sample=lambda t, k=task: k + t["sample"])
        for task in ("x", "y") for null in ("pairing", "shift")
    ])  # fmt: skip
    found = told(table, nulls, {})
    assert list(zip(found["group"], found["null"], strict=True)) == [
        ("x", "pairing"), ("x", "shift"), ("y", "pairing"), ("y", "shift")]  # fmt: skip
    assert found["beats"].tolist() == pytest.approx([2 / 3] * 4)
    shuffled = told(table.sample(frac=1, random_state=0), nulls.sample(frac=1, random_state=1), {})
    pd.testing.assert_frame_equal(found, shuffled)


def test_groups_other_than_tasks_take_the_mean_of_a_videos_questions_and_leave_out_the_rest():
    table = results([("a", "v", "x", "m", "mass", None, 0.9), ("b", "v", "y", "m", "mass", None, 0.1),
                     ("c", "w", "y", "m", "mass", None, 0.9)])  # fmt: skip
    nulls = pd.DataFrame([(name, name, "", f"p{place:02}", "m", "mass", 0.4)
                          for name in "abc" for place in range(19)], columns=COLUMNS)  # fmt: skip
    gaps = Gaps.of(matrix(scored(table), MetricRoles()), gather(nulls))
    assert gaps is not None
    both = gaps.by_video(pd.Series({"a": "g", "b": "g"})).to_dict("records")
    assert [(row["group"], row["video"], row["p"], row["partners"]) for row in both] == [("g", "v", 1 / 20, 19)]
    alone = gaps.by_video(pd.Series({"b": "g", "c": "h"})).to_dict("records")
    assert [(row["group"], row["video"], row["p"]) for row in alone] == [("g", "v", 1), ("h", "w", 1 / 20)]


def test_a_question_without_a_null_does_not_keep_its_video_from_being_tested():
    table = results([("a", "v", "x", "m", "mass", None, 0.9), ("b", "v", "rare", "m", "mass", None, 0.1)])
    nulls = pd.DataFrame([("a", "v", "x", f"p{place:02}", "m", "mass", 0.4) for place in range(19)], columns=COLUMNS)
    gaps = Gaps.of(matrix(scored(table), MetricRoles()), gather(nulls))
    assert gaps is not None
    found = gaps.by_video(pd.Series({"a": "g", "b": "g"})).to_dict("records")
    assert [(row["video"], row["p"], row["partners"]) for row in found] == [("v", 1 / 20, 19)]


def test_a_map_that_knows_nothing_is_above_the_middle_as_often_as_is_said():
    for partners, chance in ((2, 2 / 6), (3, 1 / 2), (4, 4 / 10)):
        places = [[float(other < own) for other in range(partners)] for own in range(partners + 1)]
        table, nulls = case([0.5] * (partners + 1), places)
        (found,) = told(table, nulls, {}).to_dict("records")
        assert found["above"] == pytest.approx(chance) == middle_chance(np.array(partners))


def test_a_map_that_cannot_reach_the_level_is_an_exception_only_below_the_middle_of_its_null():
    many, few = [0.0] * 18, [0.0, 0.0, 0.9]
    table, nulls = case([0.5] * 5, [[*many, 0.1], [*many, 0.9], few, [0.9, 0.9, 0.0], [0.9, 0.0]])
    found = not_beaten(by_task(table, nulls, {}))
    assert found["video"].tolist() == ["v1", "v3", "v4"], "p: 1/20 2/20; 2/4 above; 3/4 below; 2/3 a tie is no gain"
    assert found["p"].tolist() == pytest.approx([2 / 20, 3 / 4, 2 / 3])
    assert found["partners"].tolist() == [19, 3, 2]


def test_without_a_defined_score_there_is_nothing_to_tell():
    table, nulls = case([NAN, NAN], [[0.1] * 19] * 2)
    found = told(table, nulls, {})
    assert found.empty
    assert list(found.columns) == GENERALITY


def test_the_least_number_of_partners_is_that_with_which_a_map_can_beat_its_null() -> None:
    assert 1 / (1 + LEAST_PARTNERS) <= ALPHA < 1 / LEAST_PARTNERS
    for partners, beats in ((LEAST_PARTNERS, 1.0), (LEAST_PARTNERS - 1, 0.0)):
        table, nulls = case([0.9], [[0.1] * partners])
        (found,) = told(table, nulls, {"mass": "high"}).to_dict("records")
        assert (found["beats"], found["beats_chance"] > 0) == (beats, bool(beats))
