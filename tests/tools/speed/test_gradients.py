"""The comparison with Captum measures what it says."""

from __future__ import annotations

import numpy as np
import pytest
from captum.attr import IntegratedGradients as Captum

from attrib import registry
from attrib.demo.built_in import demo
from attrib.inputs import path
from attrib.inputs.space import baseline_of
from attrib.subject import Subject
from attrib.types import Sample
from tools.speed import gradients
from tools.speed.gradients import Captums, Cost, captums, cost, ours, subject_of, sum_error, table


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer steps than are measured with, and a reference of 17 points, to be quick."""
    for name, value in {"STEPS": (2, 4), "DEFAULT": 8}.items():
        monkeypatch.setattr(gradients, name, value)
    for name, value in {"FEWEST": 8, "MOST": 16}.items():
        monkeypatch.setattr(path, name, value)


@pytest.fixture(scope="module")
def sample() -> Sample:
    found: Sample = next(iter(registry.get("datasets", "demo")(videos=1, counterfactuals=False)))
    return found


@pytest.fixture(scope="module")
def subject(sample: Sample) -> Subject:
    """Four frames, to be quick."""
    model = demo()
    model.frames = 4
    return subject_of(model, sample)


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
    assert found.error < 0.01 and found.gradients <= 64 and found.sum_steps in (0, 2, 4)
    dense = Captum(subject.score).attribute(
        subject.pixels[None], baseline, n_steps=17, method="riemann_trapezoid", internal_batch_size=3
    )[0].sum(dim=1) * 17 / 16  # fmt: skip  # Captum's weights of 17 points add up to 16 / 17
    maps = (captums(subject, "blur", 8), ours(subject, "blur", 0).values)
    expected = [float((values - dense).norm() / dense.norm()) for values in maps]
    assert [found.default_distance, found.distance] == pytest.approx(expected, rel=1e-3)
    assert expected[0] > 0.1 and found.map_steps in (0, 2, 4)


def test_the_fewest_steps_that_are_good_are_taken_and_computed_once(subject: Subject) -> None:
    runs = Captums(subject, "blur", {})
    assert runs.fewest(lambda _: True)[0] == 2 and set(runs.known) == {2}
    kept = runs.at(2)
    assert runs.fewest(lambda _: False) == (0, runs.at(4)[0]) and runs.at(2) is kept
    assert runs.fewest(lambda values: values is not kept[1])[0] == 4
    assert sum_error(kept[1], 2 * float(kept[1].double().sum())) == pytest.approx(0.5)


def test_rows_are_shares_and_medians() -> None:
    one = Cost("a", "blur", 0.001, 0.05, 8, 40, 1.0, 0.5, 0.2, 5.0, 0, 4.0, 24, 2.0, 1e-7, 1.0)
    two = Cost("b", "blur", 0.02, 0.1, 12, 60, 2.0, 0.001, 0.3, 5.0, 24, 4.0, 50, 4.0, 3e-7, 1.2)
    cells = [next(iter(column.cells)) for column in table([one, two, two]).columns]
    assert cells[:6] == ["blur", "3", "33.3%", "10.0%", "12", "60"]
    assert cells[6:] == ["66.7%", "30.0%", "24", "0.42", "50", "0.50", "3e-07", "1.20"]
    assert np.isinf(np.median([np.inf, 1, np.inf]))  # of videos that mostly never reach it
