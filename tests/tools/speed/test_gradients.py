"""The comparison with Captum measures what it says."""

from __future__ import annotations

import numpy as np
import pytest
from captum.attr import IntegratedGradients as Captum

from attrib import registry
from attrib.inputs.space import baseline_of
from attrib.models.families.perception_lm import demo
from attrib.subject import Subject
from attrib.types import Sample
from tools.speed import gradients
from tools.speed.gradients import Cost, cost, equal, ours, subject_of, table


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer steps than are measured with, to be quick."""
    for name, value in {"STEPS": (2, 4), "DEFAULT": 8}.items():
        monkeypatch.setattr(gradients, name, value)


@pytest.fixture(scope="module")
def sample() -> Sample:
    found: Sample = next(iter(registry.get("datasets", "demo")(videos=1, counterfactuals=False)))
    return found


@pytest.fixture(scope="module")
def subject(sample: Sample) -> Subject:
    return subject_of(demo(), sample)


def test_equal_nodes_are_equal_maps_and_errors_are_captums_own(subject: Subject, sample: Sample) -> None:
    found = cost(subject, sample, "blur")
    assert found.same_difference < 1e-5 and found.same_ratio > 0
    baseline = baseline_of(subject, "pixels", "blur")
    _, delta = Captum(subject.score).attribute(
        subject.pixels[None], baseline, n_steps=8, method="gausslegendre", internal_batch_size=3,
        return_convergence_delta=True,
    )  # fmt: skip
    change = float(subject.score(subject.pixels[None]) - subject.score(baseline))
    assert found.default_error == pytest.approx(abs(float(delta) / change), abs=1e-4)
    assert found.error < 0.01 and found.gradients <= 64 and found.captum_steps in (0, 2, 4)


def test_the_fewest_steps_that_reach_the_error_are_taken(subject: Subject) -> None:
    found = ours(subject, "blur", 0)
    assert equal(subject, "blur", float("inf"), found)[0] == 2
    assert equal(subject, "blur", -1.0, found)[0] == 0


def test_rows_are_shares_and_medians() -> None:
    one = Cost("a", "blur", 0.001, 8, 40, 1.0, 0.5, 5.0, 0, 4.0, 1e-7, 1.0)
    two = Cost("b", "blur", 0.02, 12, 60, 2.0, 0.001, 5.0, 24, 4.0, 3e-7, 1.2)
    cells = [next(iter(column.cells)) for column in table([one, two, two]).columns]
    assert cells == ["blur", "3", "33.3%", "12", "60", "66.7%", "24", "0.42", "3e-07", "1.20"]
    assert np.isinf(np.median([np.inf, 1, np.inf]))  # of videos that mostly never reach it
