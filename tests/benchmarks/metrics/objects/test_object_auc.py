"""Object AUC against its definition written out pair by pair, and numbers worked by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from attrib import registry
from attrib.annotation_cells import coverage
from attrib.benchmarks.metrics.objects.object_auc import ObjectAUC
from attrib.types import Evidence, Track

from linear import blank, sample_of, track_of, volume_of

TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT = [0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1]
NOWHERE = [0, 0, 0, 0]
VALUES = np.array([[[3, 1], [0, 2]], [[2, 0], [0, -4]]])
PAIR = track_of(1, [TOP_LEFT] * 2), track_of(2, [TOP_RIGHT] * 2)


def value(values: object, *tracks: Track, **sample: object) -> float:
    volume = volume_of(values)
    score = ObjectAUC().score(volume, blank(*volume.values.shape), sample_of(*tracks, **sample))
    assert not score.reason and score.chance == 0.5, score
    return score.value


def reason(values: object, *tracks: Track, **sample: object) -> str:
    volume = volume_of(values)
    score = ObjectAUC().score(volume, blank(*volume.values.shape), sample_of(*tracks, **sample))
    assert np.isnan(score.value) and np.isnan(score.chance)
    return score.reason


def random_tracks(rng: np.random.Generator, frames: int) -> list[Track]:
    """Tracks that appear and vanish, of all sizes; the first one is the evidence."""
    tracks = []
    for number in range(1, 6):
        low, high = rng.uniform(0, 0.6, (frames, 2)), rng.uniform(0.05, 0.4, (frames, 2))
        boxes = np.concatenate([low, low + high], axis=1)
        boxes[rng.random(frames) < 0.4] = NOWHERE
        tracks.append(track_of(number, boxes, hidden=rng.random(frames) < 0.2))
    return tracks


def defined(values: np.ndarray, tracks: list[Track], evidence: set[int], cut: float) -> float:
    """The definition, pair by pair and frame by frame."""
    saliency = np.maximum(values, 0)
    times = np.arange(len(values)) / 2

    def means(track: Track) -> dict[int, float]:
        found = {}
        for frame in np.flatnonzero(times < cut):
            shares = coverage([track.boxes[frame]], *values.shape[1:]) * (not track.hidden[frame])
            if shares.sum() > 0:
                found[int(frame)] = float((shares * saliency[frame]).sum() / shares.sum())
        return found

    pairs = []
    for one, two in product(tracks, tracks):
        if one.id in evidence and two.id not in evidence:
            first, second = means(one), means(two)
            if both := sorted(first.keys() & second.keys()):
                own, other = (np.mean([each[frame] for frame in both]) for each in (first, second))
                pairs.append(0.5 if abs(own - other) < 1e-9 * saliency.max() else float(own > other))
    return float(np.mean(pairs))


@pytest.mark.parametrize("evidence", [{1}, {1, 4}])
def test_it_equals_the_definition_pair_by_pair(evidence: set[int]):
    rng = np.random.default_rng(8)
    found = []
    for _ in range(30):
        tracks, values = random_tracks(rng, 8), rng.normal(size=(8, 4, 5))
        items = tuple(Evidence(number) for number in sorted(evidence))
        found.append(value(values, *tracks, evidence=items, cut=3.2))
        assert found[-1] == pytest.approx(defined(values.astype(np.float32), tracks, evidence, 3.2))
    assert len(set(found)) > 3


@pytest.mark.parametrize("name", ["bump", "recency", "ends", "noise"])
def test_a_map_of_time_alone_gets_exactly_one_half(name: str):
    rng = np.random.default_rng(5)
    time = np.linspace(0, 1, 9)
    profile = {"bump": np.exp(-(((time - 0.5) / 0.15) ** 2)), "recency": time, "ends": (time - 0.5) ** 2,
               "noise": rng.random(9)}[name]  # fmt: skip
    for _ in range(50):
        tracks = random_tracks(rng, 9)
        assert value(np.broadcast_to(profile[:, None, None], (9, 6, 6)), *tracks) == 0.5


def test_the_control_recency_gets_exactly_one_half_where_objects_come_and_go():
    subject = blank(6, 4, 4)
    tracks = random_tracks(np.random.default_rng(2), 6)
    volume = registry.get("methods", "recency")().attribute(subject, "recency")
    assert ObjectAUC().score(volume, subject, sample_of(*tracks)).value == 0.5


def test_by_hand():
    values = np.array([[[4, 1], [0, 2]], [[2, 1], [6, -9]]])
    tracks = (
        track_of(1, [TOP_LEFT] * 2),  # evidence: 4, 2, mean 3
        track_of(2, [BOTTOM_LEFT] * 2),  # 0, 6: mean 3, a tie
        track_of(3, [TOP_RIGHT] * 2),  # 1, 1: outranked
        track_of(4, [[0, 0, 1, 1]] * 2),  # 7 / 4 and, with -9 clipped, 9 / 4: mean 2, outranked
        track_of(5, [NOWHERE, TOP_RIGHT]),  # shown in the second frame alone, 1 against the evidence's 2: outranked
    )
    assert value(values, *tracks) == pytest.approx(3.5 / 4)
    two = (Evidence(1), Evidence(5))  # track 5 has 1 in that frame, the others 6, 1 and 9 / 4: half a pair of three
    assert value(values, *tracks, evidence=two) == pytest.approx((2.5 + 0.5) / 6)


def test_frames_weigh_the_same_whatever_area_the_object_has_in_them():
    small, large = [0, 0, 0.25, 0.25], [0, 0, 0.5, 0.5]
    values = np.array([[[8, 5], [0, 0]], [[1, 5], [0, 0]]])
    # Means 8 and 1: 4.5 against 5. Weighted by area they would be (8 / 4 + 1) / (5 / 4) = 2.4, and with the sizes the
    # other way round (8 + 1 / 4) / (5 / 4) = 6.6, above 5.
    for boxes in ([small, large], [large, small], [large, large]):
        assert value(values, track_of(1, boxes), PAIR[1]) == 0
    assert value(values + np.array([[[0.0]], [[1.1]]]) * [[1, 0], [0, 0]], track_of(1, [large, small]), PAIR[1]) == 1


def test_cells_weigh_by_the_covered_share():
    wide = [0, 0, 0.75, 0.5]  # all of the top left cell, half of the top right: (4 + 1) / 1.5 = 3.33
    values = np.array([[[4, 2], [3.2, 0]]])
    assert value(values, track_of(1, [wide]), track_of(2, [BOTTOM_LEFT])) == 1


def test_objects_are_compared_over_the_whole_clip_and_not_the_evidence_interval():
    values = np.array([[[8, 3], [0, 0]], [[0, 3], [0, 0]]])
    assert value(values, *PAIR) == 1  # 4 against 3
    assert value(values, *PAIR, evidence=(Evidence(1, 0.5, 1.0),)) == 1  # over the interval it would be 0 against 3


def test_hidden_frames_and_frames_after_the_cut_are_left_out_for_both():
    values = np.array([[[2, 3], [0, 0]], [[9, 3], [0, 0]]])
    one, other = PAIR
    assert value(values, one, other) == 1
    assert value(values, track_of(1, [TOP_LEFT] * 2, hidden=[False, True]), other) == 0
    assert value(values, one, track_of(2, [TOP_RIGHT] * 2, hidden=[False, True])) == 0
    assert value(values, one, other, cut=0.5) == 0


def test_equal_objects_tie_in_spite_of_rounding():
    values = np.full((3, 4, 4), 0.1)
    values[:, 3, 3] = 7
    tracks = [track_of(i, [[0.01 * i, 0.02 * i, 0.01 * i + 0.3, 0.6]] * 3) for i in range(1, 12)]
    assert value(values, *tracks) == 0.5


def test_the_evidence_ranks_above_a_noisy_copy_above_noise_above_its_inverse():
    rng = np.random.default_rng(4)
    scores = []
    for _ in range(20):
        corners = rng.uniform(0, 0.6, (4, 2))
        tracks = [track_of(i + 1, [[x, y, x + 0.4, y + 0.4]] * 2) for i, (x, y) in enumerate(corners)]
        oracle = np.stack([coverage([tracks[0].boxes[0]], 6, 6)] * 2)
        noise = np.repeat(np.repeat(rng.random((2, 3, 3)), 2, 1), 2, 2)
        scores.append([value(each, *tracks) for each in (oracle, oracle + 1.5 * noise, noise, 1 - oracle)])
    means = np.mean(scores, axis=0)
    assert (np.diff(means) < 0).all(), means
    assert means[0] > 0.98  # boxes overlap
    assert means[2] == pytest.approx(0.5, abs=0.1)


def test_an_object_without_a_rival_is_undefined():
    one, two = PAIR
    assert "no other track" in reason(VALUES, one)
    assert "no other track" in reason(VALUES, one, two, evidence=(Evidence(1), Evidence(2)))
    assert "no other track" in reason(VALUES, one, track_of(2, [TOP_RIGHT] * 2, hidden=True))
    assert "no other track" in reason(VALUES, one, track_of(2, [NOWHERE, TOP_RIGHT]), cut=0.5)
    assert "no evidence track" in reason(VALUES, one, two, evidence=())
    assert "no evidence track" in reason(VALUES, one, two, evidence=(Evidence(9),))
    assert "no evidence track" in reason(VALUES, track_of(1, [NOWHERE] * 2), two)
    assert "after the cut" in reason(VALUES, one, two, cut=-1.0)
    turns = track_of(1, [TOP_LEFT, NOWHERE]), track_of(2, [NOWHERE, TOP_RIGHT])
    assert reason(VALUES, *turns) == "no frame shows the evidence together with another track"
