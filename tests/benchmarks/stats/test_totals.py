from __future__ import annotations

import numpy as np
import pytest

from attrib.benchmarks.stats.bootstrap import intervals
from attrib.benchmarks.stats.permutation import sign_flip
from attrib.benchmarks.stats.products import Floats
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.stats.totals import Totals, differences, joined, totals

VIDEOS = [f"v{index // 2 % 12:02}" for index in range(40)]  # one to four samples each
TASKS = ["one" if index % 3 else "two" for index in range(40)]
ONE, TWO = np.array([0, 1, 2, 2]), np.array([3, 3, 0, 1])
STRATA = pytest.mark.parametrize("strata", [None, TASKS])


def values() -> Floats:
    """Four columns: one complete, one that lacks a video, two that lack samples."""
    found = np.random.default_rng(0).gamma(1.0, size=(40, 4))
    found[[place for place, video in enumerate(VIDEOS) if video == "v03"], 1] = np.nan
    found[[0, 7, 21], 2] = found[[7, 30, 31], 3] = np.nan
    return found


def slow_mean(column: Floats, strata: list[str] | None, weights: dict[str, float]) -> float:
    """Mean over strata of the weighted mean over samples, sample by sample."""
    means = []
    for stratum in sorted(set(strata or [""])):
        rows = [row for row in range(40) if (strata or [""] * 40)[row] == stratum and not np.isnan(column[row])]
        size = sum(weights[VIDEOS[row]] for row in rows)
        if size:
            means.append(sum(weights[VIDEOS[row]] * column[row] for row in rows) / size)
    return float(np.mean(means)) if means else float("nan")


@STRATA
def test_means_are_those_of_a_loop_over_samples(strata: list[str] | None) -> None:
    names, weights = sorted(set(VIDEOS)), np.random.default_rng(1).integers(0, 3, (5, 12))
    weights[4] = 0
    found = totals(values(), VIDEOS, strata).means(weights)
    wanted = [
        [slow_mean(column, strata, dict(zip(names, draw.tolist(), strict=True))) for draw in weights]
        for column in values().T
    ]
    assert found == pytest.approx(np.array(wanted), nan_ok=True)
    assert np.isnan(found[:, 4]).all()


@STRATA
def test_means_that_leave_one_video_out_are_those_of_a_loop(strata: list[str] | None) -> None:
    names = sorted(set(VIDEOS))
    wanted = [
        [slow_mean(column, strata, {name: float(name != left) for name in names}) for column in values().T]
        for left in names
    ]
    assert totals(values(), VIDEOS, strata).without_each() == pytest.approx(np.array(wanted))


def test_without_the_only_video_of_a_task_the_other_tasks_are_left() -> None:
    found = totals(np.array([[1.0], [3.0], [8.0]]), ["a", "b", "c"], ["x", "x", "y"]).without_each()
    assert found[:, 0].tolist() == [5.5, 4.5, 2.0]  # (3 + 8) / 2, (1 + 8) / 2, 2
    assert np.isnan(totals(np.array([[1.0]]), ["a"]).without_each()).all()


def both(strata: list[str] | None) -> tuple[Totals, Totals]:
    """Totals of differences: from every difference, and from the four columns."""
    given = values()
    plain = totals(given[:, ONE] - given[:, TWO], VIDEOS, strata)
    return plain, differences(plain, totals(given, VIDEOS, strata), ONE, TWO)


@STRATA
def test_differences_of_few_columns_are_those_of_every_sample_that_has_both(strata: list[str] | None) -> None:
    plain, quick = both(strata)
    weights = np.random.default_rng(2).integers(0, 3, (7, 12))
    assert quick.means(weights) == pytest.approx(plain.means(weights))
    some = np.array([0, 2, 3, 5, 8]), np.array([3, 1])
    assert quick.take(*some).means(weights[:, :5]) == pytest.approx(plain.take(*some).means(weights[:, :5]))
    assert quick.source is not None
    assert quick.source.rest.nnz, "the case lacks values"


@STRATA
def test_differences_of_few_columns_have_the_same_intervals_and_p(strata: list[str] | None) -> None:
    plain, quick = both(strata)
    assert np.array(intervals(quick)) == pytest.approx(np.array(intervals(plain)), abs=1e-9)
    assert sign_flip(quick).tolist() == sign_flip(plain).tolist()


def test_equal_columns_differ_by_exactly_nothing() -> None:
    given = np.repeat(np.random.default_rng(3).normal(size=(30, 1)), 2, axis=1)
    data = differences(
        totals(given[:, :1] - given[:, 1:], range(30)), totals(given, range(30)), np.array([0]), np.array([1])
    )
    assert intervals(data, Resampling(500)) == [(0.0, 0.0, 0.0, 30)]
    assert sign_flip(data, Resampling(500)).tolist() == [1.0]


def test_many_columns_and_draws_in_parts_are_one_product_with_each_column() -> None:
    """More columns than a tile has: some lack what others have, a third of them half of the videos."""
    generator, videos = np.random.default_rng(4), [f"{video:02}" for video in range(60)]
    given = generator.normal(size=(60, 300))
    given[generator.random(given.shape) < 0.01] = np.nan
    given[::2, ::3] = np.nan
    draws = generator.integers(0, 3, (20, 60)).astype(np.float64)
    own, one, two = totals(given, videos), np.arange(0, 299, 2), np.arange(1, 300, 2)
    away = given[:, one] - given[:, two]
    together = joined(own, differences(totals(away, videos), own, one, two))
    everything = np.hstack([given, away])
    wanted = draws @ np.nan_to_num(everything) / (draws @ ~np.isnan(everything))
    assert pytest.approx(wanted, abs=1e-12) == together.means(draws).T
    assert together.scale[:300] == pytest.approx(own.scale)
