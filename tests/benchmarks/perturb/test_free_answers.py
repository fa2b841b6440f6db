"""Metrics on a free answer: curves are of its mean log-probability; what needs options says so in one line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attrib.benchmarks.imputers.mean import Mean
from attrib.benchmarks.metrics.faithfulness import SRG
from attrib.benchmarks.perturb.counterfactual import gate
from attrib.benchmarks.perturb.curves import curves
from attrib.errors import InputError
from attrib.subject import Subject
from attrib.testing import COLUMNS, FRAMES, RED, ROWS, toy_answer, toy_volume
from attrib.types import SaliencyVolume


@pytest.fixture
def subject() -> Subject:
    return toy_answer("red, red")


@pytest.fixture
def oracle() -> SaliencyVolume:
    values = np.full((FRAMES, ROWS, COLUMNS), 0.01, np.float32)
    values[RED] = 1
    return toy_volume(values)


def test_curves_are_of_the_mean_log_probability(subject: Subject, oracle: SaliencyVolume) -> None:
    found = curves(oracle, subject, Mean()).most_first
    whole = float(subject.score(subject.pixels[None]))
    assert found.log_odds[0] == pytest.approx(whole, abs=1e-5)
    np.testing.assert_allclose(found.probability, np.exp(found.log_odds), rtol=1e-6)
    assert found.log_odds[1:].max() < whole - 0.1, "without the red cell red is less likely"


def test_the_evidence_is_better_than_its_inverse(subject: Subject, oracle: SaliencyVolume) -> None:
    inverse = replace(oracle, values=1.01 - oracle.values)
    one, two = (SRG(Mean()).score(volume, subject, subject.sample).value for volume in (oracle, inverse))  # type: ignore[arg-type]
    assert one > 0 > two


def test_what_needs_options_is_refused(subject: Subject) -> None:
    assert subject.sample is not None
    assert gate(subject, subject.sample) is None  # no counterfactual videos here, and no right option
    with pytest.raises(InputError, match="only multiple choice"):
        subject.towards(subject.rival)
    with pytest.raises(InputError, match="target option:0: does not apply to a question with a free answer"):
        subject.towards(0)
