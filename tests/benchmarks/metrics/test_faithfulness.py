from __future__ import annotations

import numpy as np
import pytest

from attrib import registry
from attrib.benchmarks.imputers.mean import Mean
from attrib.benchmarks.imputers.token import Token
from attrib.benchmarks.metrics.faithfulness import SRG, Comprehensiveness, CurveMetric, Deletion, Insertion, Sufficiency
from attrib.benchmarks.perturb.curves import chance_curves
from attrib.testing import check_metric

from linear import sample_of, subject_of, volume_of

# As in test_perturbation: f goes 400, 260, 210 as cells 7 and 6 are replaced by the mean red of 70.
RED = np.arange(0, 160, 20).reshape(2, 2, 2)
WEIGHTS = np.array([0, 0, 0, 0, 0, 0, 255, 510.0]).reshape(2, 2, 2)
BEST_FIRST = np.arange(8.0).reshape(2, 2, 2)
CLASSES = (SRG, Deletion, Insertion, Comprehensiveness, Sufficiency)
METRICS = tuple(cls(Mean()) for cls in CLASSES)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("name", registry.names("imputers"))
def test_contract(cls: type[CurveMetric], name: str):
    imputer = registry.get("imputers", name)()
    check_metric(cls(imputer))
    check_metric(cls(imputer, "probability"))


def test_values_by_hand():
    subject, volume = subject_of(WEIGHTS, RED), volume_of(BEST_FIRST)
    deletion = (660 + 470) / 16 + 210 * 0.75
    least_first = 400 * 0.75 + 610 / 8
    insertion = (560 + 750) / 16 + 400 * 0.75
    # The top 1, 5, 10, 20 and 50 % of 8 cells are 0, 0, 1, 2 and 4 of them.
    comprehensiveness = (0 + 0 + 140 + 190 + 190) / 5
    sufficiency = (190 + 190 + 50 + 0 + 0) / 5
    found = [metric.score(volume, subject, sample_of()).value for metric in METRICS]
    wanted = [least_first - deletion, deletion, insertion, comprehensiveness, sufficiency]
    assert found == pytest.approx(wanted, abs=1e-3)


def test_shares_of_many_cells():
    """Of 128 cells 1, 5, 10, 20 and 50 % are 1, 6, 13, 26 and 64; cells add up, so that falls are sums of the top."""
    rng = np.random.default_rng(3)
    weights, red = rng.normal(size=(2, 8, 8)), rng.integers(0, 256, (2, 8, 8))
    costs = weights * (red - red.mean()) / 255
    subject, volume = subject_of(weights, red), volume_of(rng.normal(size=(2, 8, 8)))
    ordered = costs.ravel()[np.argsort(-volume.values.ravel())]
    falls = np.array([ordered[:count].sum() for count in (1, 6, 13, 26, 64)])
    found = [metric.score(volume, subject, sample_of()).value for metric in METRICS[3:]]
    assert found == pytest.approx([falls.mean(), ordered.sum() - falls.mean()], abs=1e-4)


def test_values_of_the_probability_by_hand():
    """The same world with log-odds 400, 260 and 210 over 255, less 1."""
    subject, volume = subject_of(WEIGHTS / 255, RED, bias=-1.0), volume_of(BEST_FIRST)
    p, without_7, removed, only_7 = (1 / (1 + np.exp(1 - f / 255)) for f in (400, 260, 210, 350))
    deletion = ((p + without_7) + (without_7 + removed)) / 16 + 0.75 * removed
    least_first = 0.75 * p + (p + removed) / 8
    insertion = ((removed + only_7) + (only_7 + p)) / 16 + 0.75 * p
    comprehensiveness = ((p - without_7) + 2 * (p - removed)) / 5
    sufficiency = (2 * (p - removed) + (p - only_7)) / 5
    found = [cls(Mean(), "probability").score(volume, subject, sample_of()).value for cls in CLASSES]
    wanted = [least_first - deletion, deletion, insertion, comprehensiveness, sufficiency]
    assert found == pytest.approx(wanted, abs=1e-6)


def test_dropped_tokens_by_hand():
    """f is a sum over the tokens that are there: 400 + 120 with both, 120 without cell 7, 0 without all."""
    weights = np.array([0, 0, 0, 0, 0, 0, 255, 510.0]).reshape(2, 2, 2)
    subject, volume = subject_of(weights, RED), volume_of(BEST_FIRST)
    found = Comprehensiveness(Token()).score(volume, subject, sample_of())
    assert found.value == pytest.approx((0 + 0 + 280 + 400 + 400) / 5, abs=1e-3)
    assert found.vision is True


def test_chance_is_0_for_srg_and_a_random_orders_value_for_the_others():
    subject, volume = subject_of(WEIGHTS, RED), volume_of(BEST_FIRST)
    random = chance_curves(subject, Mean())
    found = [metric.score(volume, subject, sample_of()).chance for metric in METRICS]
    whole, falls = random.most_first.log_odds[0], random.most_first.log_odds
    kept = random.insertion.log_odds
    assert found[:3] == [0, random.most_first.auc(), random.insertion.auc()]
    assert found[3] == pytest.approx((3 * whole - falls[1:4].sum()) / 5)  # counts 0, 0, 1, 2, 4
    assert found[4] == pytest.approx((5 * whole - 2 * kept[0] - kept[1:4].sum()) / 5)


@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_a_score_says_whether_the_answer_needs_the_video(metric: CurveMetric):
    # Everything removed costs 190 times the scale of the weights: 0.6 or 0.4 nats, the gate being 0.5.
    found = [
        metric.score(volume_of(BEST_FIRST), subject_of(WEIGHTS * fall / 190, RED), sample_of()).vision
        for fall in (0.6, 0.4, -5)
    ]
    assert found == [True, False, False]


def test_metrics_of_one_imputer_share_their_evaluations():
    subject, volume = subject_of(WEIGHTS, RED), volume_of(BEST_FIRST)
    SRG(Mean()).score(volume, subject, sample_of())
    seen = subject.model.evaluated
    assert seen == 1 + 4 + 4 + 1  # full, most first 1 2 4 6, least first 1 2 4 6, removed
    Deletion(Mean()).score(volume, subject, sample_of())
    assert subject.model.evaluated == seen + 4  # the random order of the chance level
    Insertion(Mean()).score(volume, subject, sample_of())
    assert subject.model.evaluated == seen + 4 + 1 + 4  # the least salient 7 removed; the random order's 2 4 6 and 7
    seen = subject.model.evaluated
    for metric in METRICS:
        metric.score(volume, subject, sample_of())
    assert subject.model.evaluated == seen
    for cls in CLASSES:
        cls(Mean(), "probability").score(volume, subject, sample_of())
    assert subject.model.evaluated == seen


def test_the_evidence_ranks_above_a_noisy_copy_above_noise_above_its_inverse():
    rng = np.random.default_rng(0)
    weights, red = rng.normal(size=(4, 4, 4)), rng.integers(0, 256, (4, 4, 4))
    subject = subject_of(weights, red)
    oracle = weights * (red - red.mean())
    noise = rng.normal(size=oracle.shape) * oracle.std()
    volumes = [volume_of(values) for values in (oracle, oracle + noise, noise, -oracle)]
    for metric in METRICS:
        values = [metric.score(volume, subject, sample_of()).value for volume in volumes]
        assert values == sorted(values, reverse=metric.direction == "high")
        assert len(set(values)) == 4


def test_srg_of_the_inverse_is_the_negative():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(4, 4, 4))
    subject = subject_of(rng.normal(size=(4, 4, 4)), rng.integers(0, 256, (4, 4, 4)))
    found = [SRG(Mean()).score(volume_of(sign * values), subject, sample_of()).value for sign in (1, -1)]
    assert found[0] == pytest.approx(-found[1], rel=1e-5)
    assert abs(found[0]) > 0.01


def test_positive_scaling_changes_nothing():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(3, 4, 4))
    subject = subject_of(rng.normal(size=(3, 4, 4)), rng.integers(0, 256, (3, 4, 4)))
    for metric in METRICS:
        found = [metric.score(volume_of(scale * values), subject, sample_of()) for scale in (1, 1024)]
        assert found[0] == found[1]


@pytest.mark.parametrize("metric", METRICS, ids=str)
@pytest.mark.parametrize(
    ("values", "reason"), [(np.zeros((2, 2, 2)), "zero everywhere"), (np.ones((2, 2, 2)), "the same everywhere")]
)
def test_a_volume_that_ranks_nothing_is_undefined(metric: CurveMetric, values: np.ndarray, reason: str):
    found = metric.score(volume_of(values), subject_of(WEIGHTS, RED), sample_of())
    assert np.isnan(found.value)
    assert reason in found.reason


def test_an_answer_that_is_not_finite_is_undefined():
    subject = subject_of(np.full((2, 2, 2), np.inf), RED)
    found = SRG(Mean()).score(volume_of(BEST_FIRST), subject, sample_of())
    assert np.isnan(found.value)
    assert "not finite" in found.reason
