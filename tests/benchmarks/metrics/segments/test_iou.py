from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attrib.benchmarks.metrics.segments.ground_truth import Profile, profile
from attrib.benchmarks.metrics.segments.iou import SegmentIoU, longest_runs, random_interval, whole_video
from attrib.metric import Score
from attrib.subject import Subject
from attrib.types import Clip, SaliencyVolume, Segment

from linear import blank, sample_of, volume_of


def action(start: float, end: float) -> Segment:
    return Segment("action", "event", start, end, (1,))


def timed(masses: list[float], times: list[float], end: float) -> tuple[SaliencyVolume, Subject]:
    """Frames of these masses at these times."""
    volume = volume_of(np.array(masses)[:, None, None] * [[1.0, 0.0]])
    subject = blank(len(masses), 1, 2)
    seconds = np.array(times)
    return replace(volume, times=seconds), replace(subject, clip=Clip(subject.clip.frames, seconds, end))


def found(masses: list[float], *segments: Segment, cut: float | None = None) -> Profile:
    """Frames of half a second."""
    volume, subject = timed(masses, (np.arange(len(masses)) * 0.5).tolist(), 0.5 * len(masses))
    return profile(volume, subject, sample_of(segments=segments, cut=cut), "action")


def score(masses: list[float], *segments: Segment, cut: float | None = None) -> Score:
    item = found(masses, *segments, cut=cut)
    return SegmentIoU().score(volume_of(np.array(masses)[:, None, None] * [[1.0, 0.0]]), item.subject, item.sample)


def ticks(start: float, end: float) -> set[int]:
    """The eighths of a second of a half-open interval."""
    return set(range(round(start * 8), round(end * 8)))


def of_sets(one: set[int], two: set[int]) -> float:
    return len(one & two) / len(one | two)


def test_by_hand():
    # Mean 2: the run is frames 1 and 2, [0.5, 1.5) s; the segment [0.75, 1.75) shares 0.75 of 1.25 s.
    assert score([0, 4, 3, 1], action(0.75, 1.75)).value == pytest.approx(0.75 / 1.25)
    assert score([0, 4, 3, 1], action(0.5, 1.5)).value == pytest.approx(1)
    assert score([0, 4, 3, 1], action(0.0, 0.5)).value == 0


def test_what_equals_the_mean_is_not_above_it():
    assert longest_runs(found([1, 1, 4, 2], action(0.0, 1.0))) == [(2, 3)]
    assert longest_runs(found([0.3, 0.9, 0.6], action(0.0, 1.0))) == [(1, 2)]  # nor by rounding


def test_runs_of_the_same_length_count_by_their_mean():
    # 3 and 4 stand alone: [0, 0.5) has 0.5 of 1.25 s, [1, 1.5) has 0.25 of 1.5 s.
    assert score([3, 1, 4, 0], action(0.0, 1.25)).value == pytest.approx((0.5 / 1.25 + 0.25 / 1.5) / 2)


def test_the_longest_run_wins_and_not_the_strongest():
    assert longest_runs(found([9, 0, 3, 3, 0, 0], action(0.0, 1.0))) == [(2, 4)]


def test_runs_are_measured_in_seconds_and_not_in_frames():
    volume, subject = timed([5, 5, 0, 5, 0, 0], [0.0, 0.25, 0.5, 1.0, 2.0, 3.0], 4.0)
    item = profile(volume, subject, sample_of(segments=(action(1.0, 1.5),)), "action")
    assert longest_runs(item) == [(3, 4)]
    assert SegmentIoU().score(volume, subject, item.sample).value == pytest.approx(0.5)
    assert whole_video(item) == pytest.approx(0.5 / 4)


def test_the_last_frame_ends_with_the_clip():
    volume, subject = timed([0, 0, 1], [0.0, 0.5, 1.0], 3.0)
    own = sample_of(segments=(action(1.0, 2.0),))
    assert SegmentIoU().score(volume, subject, own).value == pytest.approx(1 / 2)


def test_overlapping_segments_count_once_and_end_with_the_clip():
    item = found([1, 2, 3, 4], action(0.25, 0.75), action(0.5, 1.25), action(1.75, 9.0))
    seconds, covered = item.seconds
    assert seconds.tolist() == [0.5] * 4
    assert covered == pytest.approx([0.25, 0.5, 0.25, 0.25])
    assert whole_video(item) == pytest.approx(1.25 / 2)


def test_nothing_after_the_cut_counts():
    item = found([1, 3, 9, 9], action(0.5, 2.0), cut=1.25)
    assert item.seconds[0] == pytest.approx([0.5, 0.5, 0.25])
    assert whole_video(item) == pytest.approx(0.75 / 1.25)
    assert score([1, 3, 9, 9], action(0.5, 2.0), cut=1.0).value == pytest.approx(1)  # the segment ends with it


def test_answers_without_a_map_equal_a_plain_count():
    rng = np.random.default_rng(0)
    for _ in range(10):
        start, other = rng.integers(0, 17, 2) / 8
        item = found(rng.random(6).tolist(), action(start, start + 0.875), action(other, other + 0.5))
        truth = (ticks(start, start + 0.875) | ticks(other, other + 0.5)) & ticks(0, 3)
        every = [ticks(i / 2, j / 2) for i in range(6) for j in range(i + 1, 7)]
        assert random_interval(item) == pytest.approx(np.mean([of_sets(each, truth) for each in every]))
        assert whole_video(item) == pytest.approx(of_sets(ticks(0, 3), truth))


def test_chance_is_the_better_one_of_the_answers_without_a_map():
    long, short = action(0.0, 1.4), action(1.5, 2.0)
    item = found([1, 2, 3, 4], long)
    assert whole_video(item) > random_interval(item)
    assert score([1, 2, 3, 4], long).chance == whole_video(item)
    masses = [1, 2, 3, 4, 1, 1, 1, 1]
    item = found(masses, short)
    assert random_interval(item) > whole_video(item)
    assert score(masses, short).chance == random_interval(item)


def test_a_profile_that_is_the_same_in_all_frames_names_no_time():
    volume = volume_of(np.array([[[3, 1]], [[1, 3]], [[2, 2]]]))
    case = SegmentIoU().score(volume, blank(3, 1, 2), sample_of(segments=(action(0.0, 0.5),)))
    assert case.reason == "the saliency of all frames is the same"
