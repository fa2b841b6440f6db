from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

import attrib
from attrib import config
from attrib.benchmarks.metrics.max_sensitivity import MaxSensitivity
from attrib.method import Method
from attrib.subject import Subject
from attrib.testing import check_metric, toy_subject
from attrib.types import SaliencyVolume

from linear import sample_of, subject_of, volume_of

WEIGHTS = np.random.default_rng(0).normal(size=(2, 3, 3))
RED = np.random.default_rng(1).integers(80, 170, (2, 3, 3))


@dataclass(frozen=True)
class Brightness(Method):
    """Each pixel's red."""

    reference: ClassVar[str] = "none"

    def values(self, subject: Subject) -> Tensor:
        return subject.pixels[:, 0]


def remake(subject: Subject) -> SaliencyVolume:
    return Brightness().attribute(subject, "brightness")


def scored(metric: MaxSensitivity, subject: Subject, remake: Any = remake, **sample: Any) -> Any:
    return metric.score(remake(subject), remake, subject, replace(sample_of(), **sample))


def test_contract():
    check_metric(MaxSensitivity())


def test_it_is_the_largest_change_over_the_draws_written_out():
    subject, metric = subject_of(WEIGHTS, RED, bias=5.0), MaxSensitivity(radius=0.05, draws=4)
    before = torch.nn.functional.avg_pool2d(subject.pixels[:, 0], 2)
    changes = []
    for draw in range(4):
        noise = np.random.default_rng([0, 6, draw]).uniform(-0.05, 0.05, tuple(subject.pixels.shape))
        after = torch.nn.functional.avg_pool2d((subject.pixels + torch.from_numpy(noise).float())[:, 0], 2)
        changes.append(float((after - before).norm() / before.norm()))
    found = scored(metric, subject)
    assert found.value == pytest.approx(max(changes), rel=1e-5) and np.isnan(found.chance)
    assert max(changes) > 1.01 * min(changes) > 0


def test_scale_does_not_matter_and_more_noise_changes_more():
    subject = subject_of(WEIGHTS, RED, bias=5.0)

    def doubled(subject: Subject) -> SaliencyVolume:
        volume = remake(subject)
        return replace(volume, values=2 * volume.values)

    small, large = (scored(MaxSensitivity(radius=radius), subject).value for radius in (0.01, 0.1))
    assert scored(MaxSensitivity(radius=0.01), subject, doubled).value == pytest.approx(small, rel=1e-5)
    assert 0 < 5 * small < large


def test_a_map_that_ignores_the_video_never_changes():
    fixed = volume_of(np.arange(18.0).reshape(2, 3, 3))
    subject = subject_of(WEIGHTS, RED, bias=5.0)
    assert MaxSensitivity().score(fixed, lambda _: fixed, subject, sample_of()).value == 0


def test_draws_that_change_the_answer_do_not_count():
    weights = np.full((2, 3, 3), 40.0)
    red = np.full((2, 3, 3), 127)
    edge = subject_of(weights, red, bias=-float(weights.sum()) * 127 / 255)  # both options are as likely
    metric = MaxSensitivity(radius=0.1, draws=6)
    kept = list(metric.versions(edge))
    assert 0 < len(kept) < 6
    assert all(int(each.logprobs.argmax()) == edge.predicted for each in kept)
    assert all(float((each.pixels - edge.pixels).abs().max()) <= 0.1 + 1e-6 for each in kept)
    changes = [np.linalg.norm(remake(each).values - remake(edge).values) for each in kept]
    assert scored(metric, edge).value <= max(changes) / np.linalg.norm(remake(edge).on_grid(3, 3).values)
    level = -float(weights.sum()) * 127 / 255
    sides = [subject_of(weights, red, bias=level + shift) for shift in (-0.2, 0.2)]  # nearer than any draw
    assert {each.predicted for each in sides} == {0, 1}
    scores = [scored(MaxSensitivity(radius=0.1, draws=1), each) for each in sides]
    assert sorted(score.reason for score in scores) == ["", "noise of radius 0.1 changes the answer in every draw"]


def test_a_share_of_the_samples_is_chosen_by_their_ids():
    subject, metric = toy_subject(), MaxSensitivity(share=0.25, draws=1)
    reasons = [scored(metric, subject, id=f"video_{number}").reason for number in range(200)]
    chosen = reasons.count("")
    assert 30 < chosen < 70 and set(reasons) == {"", "not among the selected 25 % of the samples (share)"}
    assert reasons == [scored(metric, subject, id=f"video_{number}").reason for number in range(200)]
    assert 0 < [scored(metric, subject, id=f"video_{number}_0").reason for number in range(18)].count("") < 10


def test_a_map_of_zeros_is_undefined():
    nothing = volume_of(np.zeros((2, 3, 3)))
    score = MaxSensitivity().score(nothing, lambda _: nothing, subject_of(WEIGHTS, RED, bias=5.0), sample_of())
    assert np.isnan(score.value) and score.reason == "the saliency is zero everywhere"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({"radius": 0}, "radius: expected more than 0"), ({"radius": 2}, "at most 1, got 2"),
     ({"share": 0}, "share: expected more than 0"), ({"draws": 0}, "draws: expected 1 or more")],
)  # fmt: skip
def test_bad_parameters_are_refused(parameters: dict[str, Any], words: str):
    with pytest.raises(attrib.ConfigError, match=words):
        config.build("metrics", "max_sensitivity", parameters)
