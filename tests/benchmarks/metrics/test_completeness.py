from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attrib.benchmarks.metrics.completeness import Completeness, total
from attrib.methods.centre import Centre
from attrib.methods.integrated_gradients import IntegratedGradients
from attrib.metric import Score
from attrib.subject import Subject
from attrib.testing import QUESTION, ToyModel, check_metric, toy_clip, toy_sample, toy_subject

from linear import blank, sample_of, volume_of

VALUES = np.array([1, -2, 0.5, 0, 0, 0.25, 3, 1.0]).reshape(2, 2, 2)  # they add up to 3.75


def scored(change: float | None, values: np.ndarray = VALUES) -> Score:
    volume = volume_of(values)
    reports = {} if change is None else {"score_change": change, "completeness_error": 0.5}
    volume = replace(volume, provenance=replace(volume.provenance, reports=reports))
    return Completeness().score(volume, blank(), sample_of())


def test_contract():
    check_metric(Completeness())


@pytest.mark.parametrize(("change", "error"), [(3.75, 0), (5, 0.25), (3, 0.25), (-2.5, 2.5)])
def test_values_by_hand(change: float, error: float):
    assert scored(change).value == pytest.approx(error)


def test_twice_the_values_are_not_complete():
    assert scored(3.75, 2 * VALUES).value == pytest.approx(1)


def test_the_video_is_needed_where_the_answer_falls_by_more_than_the_gate():
    assert [scored(change).vision for change in (0.51, 0.5, -2)] == [True, False, False]


@pytest.mark.parametrize(
    ("change", "values", "reason"),
    [
        (None, VALUES, "does not promise"),
        (3.75, VALUES * 0, "zero everywhere"),
        (0.009, VALUES, "less than 0.01 nats"),
        (-0.009, VALUES, "less than 0.01 nats"),
        (float("nan"), VALUES, "less than 0.01 nats"),
    ],
)
def test_undefined_cases(change: float | None, values: np.ndarray, reason: str):
    found = scored(change, values)
    assert np.isnan(found.value) and reason in found.reason
    assert np.isfinite(scored(0.011).value)


@pytest.mark.parametrize("space", ["pixels", "tokens"])
@pytest.mark.parametrize("per_step", [1, 2])
def test_it_is_what_integrated_gradients_reports(space: str, per_step: int):
    """Of merged frames each token's value stands in both of its slices, and counts once."""
    subject = Subject.bind(ToyModel(frames_per_step=per_step), toy_clip(3), QUESTION)
    volume = IntegratedGradients(steps=1, baseline="black", space=space).attribute(subject)
    found = Completeness().score(volume, subject, toy_sample())
    assert found.value == pytest.approx(volume.provenance.reports["completeness_error"], abs=1e-4)
    assert found.value > 1e-3


def test_slices_are_counted_once_only_where_they_are_repeated():
    values = np.arange(10, dtype=np.float32).reshape(5, 1, 2)
    assert total(values, 1) == total(values, 2) == 45
    assert total(values[:3].repeat(2, axis=0)[:5], 2) == 15
    assert total(values[:3].repeat(2, axis=0)[:5], 1) == 21  # 1 + 1 + 5 + 5 + 9


def test_other_methods_promise_nothing():
    subject = toy_subject()
    found = Completeness().score(Centre().attribute(subject), subject, toy_sample())
    assert "does not promise" in found.reason
