from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attrib.benchmarks.metrics.reference_error import ReferenceDistance
from attrib.methods.centre import Centre
from attrib.methods.integrated_gradients import IntegratedGradients
from attrib.metric import Score
from attrib.testing import check_metric, toy_sample, toy_subject

from linear import blank, sample_of, volume_of

VALUES = np.arange(1.0, 9).reshape(2, 2, 2)
PROMISED = {"score_change": 3.0, "completeness_error": 0.5}


def scored(reports: dict[str, float], values: np.ndarray = VALUES) -> Score:
    volume = volume_of(values)
    volume = replace(volume, provenance=replace(volume.provenance, reports=reports))
    return ReferenceDistance().score(volume, blank(), sample_of())


def test_contract():
    check_metric(ReferenceDistance())


def test_it_is_what_the_method_reports():
    assert scored({**PROMISED, "reference_error": 0.07}) == Score(0.07)
    subject = replace(toy_subject(), sample=toy_sample())
    volume = IntegratedGradients(steps=1, baseline="black", checked=1).attribute(subject)
    found = ReferenceDistance().score(volume, subject, toy_sample())
    assert found.value == volume.provenance.reports["reference_error"] > 0.01


@pytest.mark.parametrize(
    ("reports", "values", "reason"),
    [
        (PROMISED, VALUES, "has not compared this sample's map"),
        ({"reference_error": 0.1}, VALUES, "does not promise"),
        ({**PROMISED, "reference_error": 0.1}, VALUES * 0, "zero everywhere"),
        ({**PROMISED, "score_change": 0.009, "reference_error": 0.1}, VALUES, "less than 0.01 nats"),
    ],
)
def test_undefined_cases(reports: dict[str, float], values: np.ndarray, reason: str):
    found = scored(reports, values)
    assert np.isnan(found.value) and reason in found.reason


def test_other_methods_promise_nothing():
    found = ReferenceDistance().score(Centre().attribute(toy_subject()), toy_subject(), toy_sample())
    assert "does not promise" in found.reason
