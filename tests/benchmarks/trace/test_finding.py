"""Crossings and sentences by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attrib.benchmarks.stats.bootstrap import clustered_interval
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.trace.finding import finding, points, rises
from attrib.benchmarks.trace.table import COLUMNS, ROWS, means

LAYERS = np.arange(4.0)
FEW = Resampling(200, 1)
Curves = dict[str, tuple[float, ...]]
FIRST: Curves = {"evidence": (1, 0.75, 0.25, 0), "text": (0, 0.2, 0.5, 0), "last": (0, 0, 0.75, 1)}
SECOND: Curves = {"evidence": (0.9, 0.8, 0.4, 0), "text": (0, 0.1, 0.8, 0), "last": (0, 0, 0.2, 1)}
ELSEWHERE: Curves = {"evidence": (0, 0, 0, 0), "text": (1, 1, 1, 0), "last": (0, 0, 0, 1)}


def rows(**samples: Curves) -> pd.DataFrame:
    found = [(name, "asked", "group", "residual", layer, part, share) for name, curves in samples.items()
             for part, curve in curves.items() for layer, share in enumerate(curve)]  # fmt: skip
    return pd.DataFrame(found, columns=list(ROWS))


@pytest.mark.parametrize(
    ("values", "at"),
    [((-1, 1, 1, 1), 0.5), ((-1, 3, -1, 1), 2.5), ((-3, -3, -3, 1), 2.75), ((-1, 0, 2, 3), 1.0), ((1, 1, -1, 1), 2.5)],
)
def test_a_curve_rises_for_good_where_its_last_line_crosses_zero(values: tuple[float, ...], at: float) -> None:
    assert rises(LAYERS, np.array(values, float)) == pytest.approx(at)


@pytest.mark.parametrize("values", [(1, 2, 3, 4), (-1, 1, 2, 0), (-1, -1, -1, -1)])
def test_a_curve_that_is_above_or_ends_below_rises_nowhere(values: tuple[float, ...]) -> None:
    assert np.isnan(rises(LAYERS, np.array(values, float)))


def test_the_points_of_one_video() -> None:
    """0.75 to 0.25 passes a half at 1.5; 0 to 0.75 at 1 + 2/3; 0.75 - 0 to 0.25 - 0.75 passes 0 at 1 + 0.75 / 1.25."""
    found = points(LAYERS, np.array(FIRST["evidence"], float), np.array(FIRST["last"], float))
    assert found == pytest.approx({"leaves": 1.5, "arrives": 1 + 2 / 3, "crossing": 1.6})


def test_the_finding_of_several_videos() -> None:
    found = finding(rows(a=FIRST, b=SECOND, c=ELSEWHERE), {"a": "x", "b": "y", "c": "z"}, FEW)
    crossing = [1.6, 2 + 0.2 / 1.2, 2.0]  # the third is 0 up to layer 2, and the last token's alone from there
    assert found["crossing"]["mean"] == pytest.approx(np.mean(crossing))
    expected = clustered_interval(crossing, ["x", "y", "z"], FEW)
    assert (found["crossing"]["low"], found["crossing"]["high"]) == pytest.approx((expected.low, expected.high))
    assert (found["holds"], found["samples"], found["videos"], found["source"]) == (2, 3, 3, "evidence")
    assert found["leaves"]["videos"] == 2  # never there in the third
    assert found["leading"] == [["evidence", 0, 1], ["text", 2, 2], ["last", 3, 3]]  # means .63 .52, .77, 1


def test_the_sentence_names_who_carries_the_answer_where() -> None:
    found = finding(rows(a=FIRST, b=SECOND), {"a": "x", "b": "y"}, FEW)
    assert found["leading"] == [["evidence", 0, 1], ["text", 2, 2], ["last", 3, 3]]
    ends = f"[{found['crossing']['low']:.1f}, {found['crossing']['high']:.1f}]"
    assert found["sentence"] == (
        "The evidence object's tokens carry the answer up to layer 1, the text's tokens at layer 2, the last token "
        f"from layer 3 on. The curves of the evidence object's tokens and of the last token cross at layer 1.9 {ends}; "
        "the former carry it first in 2 of 2 videos."
    )


def test_two_questions_of_one_video_are_questions_and_one_video_has_no_interval() -> None:
    found = finding(rows(a=FIRST, b=SECOND), {"a": "x", "b": "x"}, FEW)
    assert found["sentence"].endswith("cross at layer 1.9; the former carry it first in 2 of 2 questions.")


def test_without_annotated_evidence_the_source_is_the_video() -> None:
    curves = {"video": FIRST["evidence"], "text": (0.0,) * 4, "last": (0, 0, 0.45, 1)}
    found = finding(rows(a=curves), {"a": "x"}, FEW)
    assert found["sentence"].startswith(
        "The video's tokens carry the answer up to layer 1, no group alone at layer 2, the last token from layer 3 on."
    )
    assert finding(rows(), {}, FEW) == {}


def test_the_table_has_means_over_samples_and_intervals_over_videos() -> None:
    videos = {"a": "x", "b": "x", "c": "y", "d": "z"}
    table = means(rows(a=FIRST, b=SECOND, c=SECOND, d=ELSEWHERE), videos, FEW)
    assert tuple(table.columns) == COLUMNS and len(table) == 12
    (one,) = table[(table["part"] == "evidence") & (table["layer"] == 2)].itertuples()
    expected = clustered_interval([0.25, 0.4, 0.4, 0], list(videos.values()), FEW)
    assert (one.mean, one.low, one.high, one.videos) == pytest.approx(tuple(expected))


def test_a_part_that_a_video_lacks_is_a_mean_over_the_others() -> None:
    table = means(rows(a=FIRST, b={"same_object": (0.5, 0, 0, 0)}), {"a": "x", "b": "y"}, FEW)
    (one,) = table[(table["part"] == "same_object") & (table["layer"] == 0)].itertuples()
    assert (one.mean, one.videos) == (0.5, 1)
    assert means(rows(), {}, FEW).empty
