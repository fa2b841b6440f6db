"""Heads chosen on one half of the videos and reported on the other: a planted head holds, luck does not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from attrib import config
from attrib.benchmarks.atlas.atlas import selected
from attrib.benchmarks.atlas.head_scores import STATISTICS
from attrib.benchmarks.atlas.jobs import Options
from attrib.benchmarks.atlas.selection import Scores, best, crossed, first_half, halves, mean_over, report
from attrib.benchmarks.stats.bootstrap import clustered_interval
from attrib.benchmarks.stats.resampling import Resampling

VIDEOS, HEADS, PLANTED = 40, 64, 17


def scores(lift: float, seed: int) -> Scores:
    """Noise round .5 of SD .1, two samples a video; `lift` is added to the planted head."""
    values = 0.5 + 0.1 * np.random.default_rng(seed).normal(size=(2 * VIDEOS, HEADS))
    values[:, PLANTED] += lift
    return Scores(values, [f"v{video}" for video in range(VIDEOS) for _ in range(2)], Resampling(500, 3))


def test_halves_split_the_videos_and_not_their_samples() -> None:
    found = scores(0, 0)
    first = first_half(found.videos, 3)
    assert first.sum() == VIDEOS and (first[::2] == first[1::2]).all()
    assert (first_half(found.videos[::-1], 3)[::-1] == first).all()  # whatever the order of the rows
    assert (first_half(found.videos, 4) != first).any()
    assert first_half(["a", "b", "c"], 0).sum() == 2
    parts = halves(found, 2)
    assert (parts[0][0] == ~first).all() and (parts[1][0] == first).all()
    assert parts[0][1] == best(found.of(first), 2) and parts[1][1] == best(found.of(~first), 2)
    assert parts[0][1] != parts[1][1]


def test_the_best_heads_by_hand() -> None:
    values = np.array([[0.1, 0.9, 0.5, np.nan, 0.9], [0.3, 0.7, 0.5, np.nan, 0.7], [0.2, np.nan, 0.5, np.nan, 0.8]])
    found = Scores(values, ["a", "b", "b"])
    assert best(found, 2) == [1, 4] and best(found, 9) == [1, 4, 2, 0]  # ties to the earlier, never one without value
    assert mean_over(values[:, [0, 3]]).tolist() == [0.1, 0.3, 0.2]
    assert np.isnan(mean_over(values[:, [3]])).all()


def test_a_planted_head_is_found_on_one_half_and_holds_on_the_other() -> None:
    found = scores(0.2, 1)
    for samples, heads in halves(found, 1):
        assert heads == [PLANTED]
        here = report(found.of(samples), heads)
        own = found.values[samples][:, PLANTED]
        expected = clustered_interval(own, found.of(samples).videos, Resampling(500, 3))
        assert here["chosen"] == expected._asdict() and here["chosen"]["low"] > 0.6
        assert here["all_heads"]["mean"] == pytest.approx(found.values[samples].mean())
        assert here["difference"]["mean"] == pytest.approx(own.mean() - found.values[samples].mean())
        assert here["difference"]["low"] > 0.1 and here["difference"]["p"] == pytest.approx(1 / 501)
        assert here["random_heads"]["p"] == pytest.approx(1 / 64, abs=0.015)  # one choice in 64 is the head itself
    both = crossed(found, halves(found, 1))
    assert both["chosen"]["mean"] == pytest.approx(found.values[:, PLANTED].mean())
    assert both["chosen"]["videos"] == VIDEOS and both["difference"]["p"] == pytest.approx(1 / 501)


def test_in_pure_noise_the_other_half_falls_to_chance() -> None:
    """The best 3 of 64 means of 20 videos' noise lie 2 standard errors (.016 each) above .5 where they were chosen."""
    where_chosen, elsewhere, p = [], [], []
    for seed in range(20):
        found = scores(0, 1000 + seed)
        for samples, heads in halves(found, 3):
            where_chosen.append(float(found.values[~samples][:, heads].mean()))
            here = report(found.of(samples), heads)
            elsewhere.append(here["chosen"]["mean"])
            p.append(here["difference"]["p"])
    assert min(where_chosen) > 0.51 and np.mean(where_chosen) > 0.52
    assert np.mean(elsewhere) == pytest.approx(0.5, abs=0.004)
    assert np.mean(np.array(p) < 0.05) <= 0.1 and np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.15)


def test_random_heads_are_all_choices_of_as_many() -> None:
    values = np.random.default_rng(5).normal(size=(6, 5))
    found = report(Scores(values, list("abcdef"), Resampling(200)), [0, 3])["random_heads"]
    every = [values[:, list(pair)].mean() for pair in itertools.combinations(range(5), 2)]
    assert found["mean"] == pytest.approx(np.mean(every), abs=0.03)
    assert (found["low"], found["high"]) == (pytest.approx(min(every)), pytest.approx(max(every)))
    reached = np.mean([mean >= values[:, [0, 3]].mean() - 1e-9 for mean in every])
    assert found["p"] == pytest.approx(reached, abs=0.05)


def test_a_choice_of_heads_without_any_value_is_none() -> None:
    """One of three heads never has a value: half of the choices with a value reach the chosen head, not a third."""
    values = np.tile([0.9, 0.1, np.nan], (4, 1))
    found = report(Scores(values, ["a", "b", "c", "d"], Resampling(100)), [0])["random_heads"]
    assert found["p"] == pytest.approx(0.5, abs=0.06)
    assert found["mean"] == pytest.approx(0.5, abs=0.05)


def test_samples_without_a_value_are_left_out() -> None:
    found = scores(0.2, 2)
    gaps = found.values.copy()
    gaps[:2] = np.nan  # a whole video
    here = report(Scores(gaps, found.videos, Resampling(200)), [PLANTED])
    assert here["chosen"]["videos"] == VIDEOS - 1
    assert here["random_heads"]["mean"] == pytest.approx(np.nanmean(gaps), abs=0.003)
    nothing = report(Scores(np.full((4, 3), np.nan), list("abcd"), Resampling(200)), [0])
    assert all(np.isnan(nothing[name]["mean"]) for name in ("chosen", "all_heads", "random_heads", "difference"))


def test_heads_are_chosen_by_shuffled_auc_where_no_video_has_another_object() -> None:
    values = np.random.default_rng(6).uniform(size=(8, len(STATISTICS), 3, 2))
    settings = config.parse({"methods": {}, "metrics": {}, "resamples": 100})
    values[:, STATISTICS.index("shuffled_auc"), 2, 1] += 1
    assert selected(values, list("abcdefgh"), settings, Options(top=1))[1]["statistic"] == "object_auc"
    values[:, STATISTICS.index("object_auc")] = np.nan
    parts, found = selected(values, list("abcdefgh"), settings, Options(top=1))
    assert found["statistic"] == "shuffled_auc" and [half["heads"] for half in found["halves"]] == [[[2, 1]]] * 2
    assert [heads for _, heads in parts] == [[5], [5]] and found["both"]["chosen"]["mean"] > 1
    values[:, STATISTICS.index("shuffled_auc")] = np.nan
    parts, found = selected(values, list("abcdefgh"), settings, Options(top=1))
    assert parts == [] and found["statistic"] is None and "halves" not in found
