from __future__ import annotations

import gc
from dataclasses import replace
from weakref import ref

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from attrib.annotation_cells import PEERS, length_of, peer_evidence, subsample
from attrib.benchmarks.metrics.cache import MOST, per_subject
from attrib.benchmarks.metrics.objects.ground_truth import evidence_cells
from attrib.benchmarks.metrics.objects.other_videos import InformationGain, ShuffledAUC
from attrib.benchmarks.metrics.roc import auc
from attrib.metric import Metric, Score
from attrib.subject import Subject
from attrib.types import Evidence, Sample

from linear import blank, sample_of, track_of, volume_of
from others import Near, among, subjects_of, video_of

VALUES = np.array([[[3, 1], [0, -2]], [[2, 2], [-4, 0]]])
LEFT, TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT = [0, 0, 0.5, 1], [0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1]
RIGHT_PEER = video_of("a", track_of(1, [TOP_RIGHT] * 2))
LATE_PEER = video_of("b", track_of(1, [BOTTOM_LEFT] * 2), evidence=(Evidence(1, 0.1),))  # frame 1 only
LEFT_PEER = video_of("c", track_of(1, [LEFT] * 2))
OWN = sample_of(track_of(1, [TOP_LEFT] * 2))
BOTH = (ShuffledAUC(), InformationGain())


def score(metric: Metric, *peers: Sample, sample: Sample = OWN, values: object = VALUES) -> Score:
    volume = volume_of(values)
    return metric.score(volume, among(blank(*volume.values.shape), *peers), sample)


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_shuffled_auc_by_hand_with_each_other_video_alike():
    # G has 3 and 2. Against {1, 2}: 3.5 of 4 pairs; against {0}: 2 of 2; against {3, 0, 2, 0}: 3.5 + 2.5 of 8.
    assert score(ShuffledAUC(), RIGHT_PEER) == Near(3.5 / 4, 0.5)
    assert score(ShuffledAUC(), LATE_PEER) == Near(1, 0.5)
    assert score(ShuffledAUC(), LEFT_PEER) == Near(6 / 8, 0.5)
    found = score(ShuffledAUC(), RIGHT_PEER, LATE_PEER, LEFT_PEER)
    assert found.value == pytest.approx((3.5 / 4 + 1 + 6 / 8) / 3)  # all pairs in one pot would give 11.5 / 14


def test_information_gain_by_hand():
    # One other video on the two top right cells: q = (1/2 + 1/8) / 2 there, (0 + 1/8) / 2 elsewhere. The evidence has
    # 3/8 and 2/8 of the saliency: p = (3/8 + 1/8) / 2 and (2/8 + 1/8) / 2.
    bits = np.log2(np.array([3 / 8, 2 / 8]) + 1 / 8) - np.log2(1 / 8)
    assert score(InformationGain(), RIGHT_PEER) == Near(bits.mean(), 0.0)
    # A second one on 4 cells, both top left ones among them: 6 cells in all, each of them 1/6; two videos and one more.
    bits = np.log2(2 * np.array([3 / 8, 2 / 8]) + 1 / 8) - np.log2(2 / 6 + 1 / 8)
    assert score(InformationGain(), RIGHT_PEER, LEFT_PEER).value == pytest.approx(bits.mean())


def test_information_gain_counts_the_covered_share_of_the_others_and_whole_cells_of_its_own():
    # The other video covers half of the top right and a quarter of the top left cell, in both frames.
    other = video_of("d", track_of(1, [[0.375, 0, 0.75, 0.5]] * 2))
    prior = 0.25 / 1.5 + 1 / 8
    bits = np.log2(np.array([3 / 8, 2 / 8]) + 1 / 8) - np.log2(prior)
    own = sample_of(track_of(1, [[0, 0, 0.6, 0.5]] * 2))  # the top left cell, and a fifth of the one beside it
    assert score(InformationGain(), other, sample=own).value == pytest.approx(bits.mean())


def test_a_half_that_rounding_touched_is_a_half_of_the_others_too():
    half = video_of("d", track_of(1, [[1.5 / 3, 0, 2 / 3, 1]] * 2))  # in floating point 0.4999999999999999 of a column
    own = sample_of(track_of(1, [[2 / 3, 0, 1, 1]] * 2))
    assert score(ShuffledAUC(), half, sample=own, values=[[[0, 1, 3]], [[0, 2, 0]]]) == Near(2 / 4, 0.5)


def test_no_saliency_on_the_evidence_is_finite():
    missed = [[[0, 1], [0, 0]], [[0, 1], [0, 0]]]
    assert score(InformationGain(), RIGHT_PEER, values=missed).value == pytest.approx(0)  # q is as low there
    assert score(InformationGain(), LEFT_PEER, values=missed).value == pytest.approx(np.log2(1 / 8 / (1 / 4 + 1 / 8)))
    assert score(ShuffledAUC(), RIGHT_PEER, values=missed).value == 0


def test_the_area_equals_scikit_learns():
    rng = np.random.default_rng(0)
    for weighted in (False, True):
        one, two = np.round(rng.normal(0.5, 1, 30), 1), np.round(rng.normal(size=40), 1)
        weights = rng.integers(0, 4, 40) / 3 if weighted else None
        every = np.r_[np.ones(30), np.ones(40) if weights is None else weights]
        wanted = roc_auc_score([1] * 30 + [0] * 40, np.r_[one, two], sample_weight=every)
        assert auc(one, two, weights) == pytest.approx(wanted, abs=1e-12)


def test_shuffled_auc_equals_scikit_learn_on_the_pairs_of_two_videos():
    rng = np.random.default_rng(1)
    values = np.round(rng.random((2, 6, 6)), 1)
    own, other = (track_of(1, [[x, 0, x + 0.5, 0.5]] * 2) for x in (0, 1 / 3))  # they overlap
    inside = np.zeros((2, 6, 6), bool)
    inside[:, :3, :3] = True
    elsewhere = np.roll(inside, 2, axis=2)
    saliency = values.astype(np.float32)
    wanted = roc_auc_score([1] * 18 + [0] * 18, np.r_[saliency[inside], saliency[elsewhere]])
    found = score(ShuffledAUC(), video_of("other", other), sample=sample_of(own), values=values)
    assert found.value == pytest.approx(wanted)


# --- which others, and where ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", BOTH, ids=str)
def test_others_are_looked_at_at_the_same_share_of_their_own_length(metric: Metric):
    track = LATE_PEER.tracks[0]
    slow = replace(LATE_PEER, tracks=(replace(track, times=3 * track.times),), evidence=(Evidence(1, 0.3),))
    assert (length_of(LATE_PEER), length_of(slow)) == (1.0, 3.0)
    assert score(metric, slow) == score(metric, LATE_PEER)
    assert score(metric, replace(slow, evidence=(Evidence(1, 1.6),))).reason  # after the frame at half of its length


@pytest.mark.parametrize("metric", BOTH, ids=str)
def test_evidence_after_the_others_cut_is_none(metric: Metric):
    own = sample_of(track_of(1, [TOP_RIGHT] * 2))
    cut, early = replace(RIGHT_PEER, cut=0.5), replace(RIGHT_PEER, evidence=(Evidence(1, 0.0, 0.1),))
    assert score(metric, cut, sample=own) == score(metric, early, sample=own)
    assert score(metric, cut, sample=own) != score(metric, RIGHT_PEER, sample=own)


@pytest.mark.parametrize("metric", BOTH, ids=str)
def test_a_map_paired_with_another_video_is_not_held_against_that_video(metric: Metric):
    """The other samples of that video neither."""
    again = replace(RIGHT_PEER, id="a_1", tracks=(track_of(1, [BOTTOM_LEFT] * 2),))
    without = score(metric, LATE_PEER, LEFT_PEER, sample=RIGHT_PEER)
    assert score(metric, RIGHT_PEER, again, LATE_PEER, LEFT_PEER, sample=RIGHT_PEER) == without
    assert score(metric, RIGHT_PEER, again, LATE_PEER, LEFT_PEER) != score(metric, LATE_PEER, LEFT_PEER)
    assert "no other video" in score(metric, RIGHT_PEER, again, sample=RIGHT_PEER).reason


@pytest.mark.parametrize("metric", BOTH, ids=str)
def test_others_are_undefined_without_evidence_of_theirs(metric: Metric):
    unseen = replace(RIGHT_PEER, evidence=())
    hidden = video_of("d", track_of(1, [TOP_RIGHT] * 2, hidden=True))
    for peers in ((), (unseen,), (hidden,)):
        found = score(metric, *peers)
        assert "no other video" in found.reason
        assert np.isnan(found.chance)
    assert score(metric, unseen, hidden, RIGHT_PEER) == score(metric, RIGHT_PEER)


def test_only_scored_cells_are_drawn_from():
    """After the own cut nothing counts; nor where the own evidence is hidden."""
    found = score(ShuffledAUC(), RIGHT_PEER, sample=replace(OWN, cut=0.5))
    assert found.value == 1  # 3 against 1; frame 1 would add 2 against 2
    assert "no other video" in score(ShuffledAUC(), LATE_PEER, sample=replace(OWN, cut=0.5)).reason
    tracks = OWN.tracks[0], track_of(2, [TOP_RIGHT] * 2, hidden=[False, True])
    own = replace(OWN, tracks=tracks, evidence=(Evidence(1), Evidence(2, 0.5)))
    assert score(ShuffledAUC(), RIGHT_PEER, sample=own).value == 1  # {3, 2} against the 1 of frame 0
    # q is 1 on that one of seven cells; p is 3/6 and 2/6 where both are 1/7 without a word.
    bits = np.log2(np.array([3 / 6, 2 / 6]) + 1 / 7) - np.log2(1 / 7)
    assert score(InformationGain(), RIGHT_PEER, sample=own).value == pytest.approx(bits.mean())


def test_at_most_so_many_others_are_drawn():
    videos = [replace(RIGHT_PEER, id=f"s{i:04}") for i in range(3 * PEERS)]
    found = subsample(videos, 0)
    assert len({each.id for each in found}) == PEERS == 64
    assert subsample(reversed(videos), 0) == found
    assert subsample(videos, 1) != found
    places = [{int(each.id[1:]) - first for each in subsample(videos[first : first + 150], 0)} for first in (0, 1)]
    assert places[0] != places[1]  # not the same few for every video of a data set
    assert subsample(videos[:PEERS], 0) == tuple(videos[:PEERS])
    assert 0.3 < np.mean([int(each.id[1:]) for each in found]) / len(videos) < 0.7  # not the first ones


def test_which_others_are_drawn_does_not_depend_on_the_map_or_the_metric():
    videos = [replace(peer, id=f"s{i:04}") for i in range(50) for peer in (LATE_PEER, LEFT_PEER)]
    subject = among(blank(), *videos)
    chosen = subsample(videos, subject.seed)
    for metric in BOTH:
        assert score(metric, *videos) == score(metric, *chosen)


def test_peers_without_any_are_an_empty_stack():
    assert peer_evidence((), np.array([0.0, 0.5]), 3, 4).shape == (0, 2, 3, 4)


# --- priors gain nothing ----------------------------------------------------------------------------------------------


def test_the_mean_of_any_fixed_map_over_all_videos_is_one_half():
    rng = np.random.default_rng(4)
    values = rng.random((3, 5, 5)) ** 3
    videos = []
    for index in range(7):  # boxes of many sizes, for many lengths of time
        x, y, width, height = *rng.uniform(0, 0.5, 2), *rng.uniform(0.2, 0.5, 2)
        track = track_of(1, [[x, y, x + width, y + height]] * 3)
        videos.append(video_of(f"v{index}", track, evidence=(Evidence(1, 0.0, rng.uniform(0.1, 1.5)),)))
    found = [ShuffledAUC().score(volume_of(values), each, each.sample).value for each in subjects_of(videos, 3, 5)]
    assert np.std(found) > 0.02
    assert np.mean(found) == pytest.approx(0.5, abs=1e-12)


# --- kept -------------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_worked_out_once_and_goes_with_the_subject():
    asked: list[object] = []

    @per_subject
    def count(subject: Subject, key: int) -> int:
        asked.append((subject.seed, key))
        return len(asked)

    one, two = blank(), replace(blank(), seed=7)
    assert [count(one, 1), count(one, 1), count(one, 2), count(two, 1), count(one, 1)] == [1, 1, 2, 3, 1]
    for key in range(2, MOST + 2):
        count(one, key)
    assert count(one, 1) > MOST  # forgotten, as the oldest
    gone = ref(two)
    del two
    gc.collect()
    assert gone() is None


def test_annotations_are_laid_on_the_grid_once_for_all_maps():
    subject, other = blank(), blank()
    assert evidence_cells(subject, OWN)[0] is evidence_cells(subject, OWN)[0]
    assert evidence_cells(other, OWN)[0] is not evidence_cells(subject, OWN)[0]


def test_the_metrics_do_not_keep_a_subject_alive():
    subject = among(blank(), RIGHT_PEER)
    for metric in BOTH:
        metric.score(volume_of(VALUES), subject, OWN)
    gone = ref(subject)
    del subject
    gc.collect()
    assert gone() is None
