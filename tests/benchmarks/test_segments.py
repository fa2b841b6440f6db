from __future__ import annotations

import numpy as np
import pytest
from linear import blank, sample_of, volume_of
from sklearn.metrics import roc_auc_score

from attrib.benchmarks.metrics.segments import SegmentAUC, SegmentEnergy
from attrib.metric import Metric
from attrib.testing import check_metric
from attrib.types import Evidence, Segment

ALL = (SegmentEnergy(), SegmentAUC())
# Frames at 0, 0.5, 1, 1.5 s; positive sums 3, 1, 4, 0 of 8.
VALUES = np.array([[[3, -1]], [[0, 1]], [[2, 2]], [[-5, -5]]])


def segment(start: float, end: float, parents: tuple[int, ...] = (1,), kind: str = "action") -> Segment:
    return Segment(kind, "event", start, end, parents)  # type: ignore[arg-type]


def score(metric: Metric, values: object, *segments: Segment, **sample: object):
    volume = volume_of(values)
    return metric.score(volume, blank(*volume.values.shape), sample_of(segments=segments, **sample))


def reason(metric: Metric, values: object, *segments: Segment, **sample: object) -> str:
    found = score(metric, values, *segments, **sample)
    assert np.isnan(found.value)
    return found.reason


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_contract(metric: Metric):
    check_metric(metric)


def test_energy_by_hand():
    # Half-open: the frame at 1.0 s is not inside. Signed sums would give 3 / -8, per-frame normalising 2 / 3.
    found = score(SegmentEnergy(), VALUES, segment(0.0, 1.0))
    assert (found.value, found.chance) == (pytest.approx(4 / 8), 0.5)
    found = score(SegmentEnergy(), VALUES, segment(1.0, 1.2))
    assert (found.value, found.chance) == (pytest.approx(4 / 8), 0.25)


def test_auc_by_hand_with_ties_half():
    found = score(SegmentAUC(), VALUES, segment(0.0, 1.0))  # 3 beats 0, loses to 4; 1 beats 0, loses to 4
    assert (found.value, found.chance) == (0.5, 0.5)
    assert score(SegmentAUC(), VALUES, segment(1.0, 1.5)).value == 1
    assert score(SegmentAUC(), VALUES, segment(1.5, 2.0)).value == 0
    tied = np.array([[[3, 0]], [[1, 2]], [[9, -9]], [[0, 0]]])
    assert score(SegmentAUC(), tied, segment(0.0, 0.5)).value == pytest.approx((0.5 + 0 + 1) / 3)


def test_frames_with_the_same_values_elsewhere_tie_in_spite_of_rounding():
    rng = np.random.default_rng(0)
    row = 10.0 ** -rng.uniform(0, 12, 12)  # sums of numbers this far apart depend on their order
    rows = np.stack([rng.permutation(row) for _ in range(12)])
    assert score(SegmentAUC(), rows[:, None], segment(0.0, 2.0)).value == 0.5


def test_auc_equals_scikit_learn():
    values = np.random.default_rng(0).normal(size=(12, 3, 4))
    inside = (np.arange(12) * 0.5 >= 2) & (np.arange(12) * 0.5 < 4)
    wanted = roc_auc_score(inside, np.maximum(values, 0).sum(axis=(1, 2)))
    assert score(SegmentAUC(), values, segment(2.0, 4.0)).value == pytest.approx(wanted)


def test_segments_of_evidence_of_one_kind_count_together():
    segments = segment(0.0, 0.5), segment(1.0, 1.5, (7, 1)), segment(0.5, 1.0, (7,)), segment(1.5, 2.0, ())
    found = score(SegmentEnergy(), VALUES, *segments)
    assert (found.value, found.chance) == (pytest.approx(7 / 8), 0.5)


def test_overlapping_segments_count_once():
    found = score(SegmentEnergy(), VALUES, segment(0.0, 1.0), segment(0.5, 1.5))
    assert (found.value, found.chance) == (pytest.approx(1), 0.75)


def test_the_evidence_interval_of_the_track_does_not_matter():
    found = score(SegmentEnergy(), VALUES, segment(0.0, 0.5), evidence=(Evidence(1, 1.0, 1.5),))
    assert found.value == pytest.approx(3 / 8)


def test_frames_after_the_cut_are_not_scored():
    found = score(SegmentEnergy(), VALUES, segment(0.5, 2.0), cut=1.0)
    assert (found.value, found.chance) == (pytest.approx(1 / 4), 0.5)


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_undefined_cases(metric: Metric):
    assert "no segment" in reason(metric, VALUES)
    assert "no segment" in reason(metric, VALUES, segment(0.0, 1.0, (2,)))
    assert "no segment" in reason(metric, VALUES, segment(0.0, 1.0), evidence=())
    assert "no segment" in reason(metric, VALUES, segment(0.0, 1.0), evidence=(Evidence(1, role="context"),))
    assert "no frame" in reason(metric, VALUES, segment(0.1, 0.4))
    assert "no frame" in reason(metric, VALUES, segment(1.0, 2.0), cut=1.0)
    assert "after the cut" in reason(metric, VALUES, segment(0.0, 1.0), cut=0.0)
    assert "no positive" in reason(metric, VALUES * 0, segment(0.0, 1.0))
    assert "no positive" in reason(metric, -1 - VALUES**2, segment(0.0, 1.0))
    assert "the same everywhere" in reason(metric, VALUES * 0 + 2, segment(0.0, 1.0))


def test_a_segment_over_all_frames_has_energy_but_no_ranking():
    found = score(SegmentEnergy(), VALUES, segment(0.0, 9.0))
    assert (found.value, found.chance) == (pytest.approx(1), 1)
    assert "every frame" in reason(SegmentAUC(), VALUES, segment(0.0, 9.0))


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_positive_scaling_changes_nothing(metric: Metric):
    assert score(metric, VALUES, segment(0.0, 1.0)) == score(metric, 1024 * VALUES, segment(0.0, 1.0))


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_the_evidence_ranks_above_a_noisy_copy_above_noise_above_its_inverse(metric: Metric):
    rng = np.random.default_rng(5)
    scores = []
    for _ in range(20):
        start = rng.integers(0, 8)
        oracle = np.full((12, 2, 2), 0.0)
        oracle[start : start + 4] = 1
        noise = rng.random(oracle.shape)
        volumes = (oracle, oracle + 3 * noise, noise, 1 - oracle)
        where = segment(0.5 * start, 0.5 * start + 2.0)
        scores.append([score(metric, values, where).value for values in volumes])
    means = np.mean(scores, axis=0)
    assert (np.diff(means) < 0).all(), means
