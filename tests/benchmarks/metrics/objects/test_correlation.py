from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from attrib.benchmarks.metrics.objects.correlation import NSS, Pearson, Spearman
from attrib.benchmarks.metrics.objects.ground_truth import evidence_cells
from attrib.metric import Metric, Score
from attrib.types import Track

from linear import blank, sample_of, track_of, volume_of
from others import Near

VALUES = np.array([[[3, 1], [0, -2]], [[2, 2], [-4, 0]]])
LEFT, NOWHERE = [0, 0, 0.5, 1], [0, 0, 0, 0]


def score(metric: Metric, values: object, *tracks: Track) -> Score:
    volume = volume_of(values)
    return metric.score(volume, blank(*volume.values.shape), sample_of(*tracks))


def test_nss_by_hand():
    # Clipped: 3, 1, 0, 0, 2, 2, 0, 0 with mean 1 and variance 18/8 - 1. On the left column the mean is 5/4.
    found = score(NSS(), VALUES, track_of(1, [LEFT] * 2))
    assert found == Near(0.25 / np.sqrt(1.25), 0.0)
    # Cells covered by less than half are no ground truth, those by more count whole: only the 3 of frame 0.
    found = score(NSS(), VALUES, track_of(1, [[0, 0, 0.3, 0.7], NOWHERE]))
    assert found.value == pytest.approx(2 / np.sqrt(1.25))


def test_correlations_equal_numpys_of_values_and_of_ranks_with_the_covered_share():
    rng = np.random.default_rng(0)
    values = np.round(rng.normal(size=(3, 4, 5)), 1)  # with ties
    track = track_of(1, [[0.1, 0.3, 0.77, 0.8]] * 3)
    subject = blank(3, 4, 5)
    shares, _ = evidence_cells(subject, sample_of(track))
    assert len(np.unique(shares)) > 3
    clipped = np.maximum(values, 0).ravel()
    found = score(Pearson(), values, track)
    assert found == Near(np.corrcoef(clipped, shares.ravel())[0, 1], 0.0)
    found = score(Spearman(), values, track)
    ranks = rankdata(clipped), rankdata(shares.ravel())
    assert found == Near(np.corrcoef(*ranks)[0, 1], 0.0)


def test_pearson_by_hand():
    # s as above; g = 1 on the left column. Covariance 5/8 - 1 * 1/2, variances 5/4 and 1/4.
    found = score(Pearson(), VALUES, track_of(1, [LEFT] * 2))
    assert found.value == pytest.approx((5 / 8 - 1 / 2) / np.sqrt(5 / 4 * 1 / 4))
