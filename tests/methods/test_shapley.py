"""Shapley values against the formula over all subsets, Captum, and worked examples."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations
from math import factorial
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from attrib import config
from attrib.errors import AttributionError, ConfigError, InputError
from attrib.inputs.players import players_of
from attrib.inputs.removal import Removal
from attrib.inputs.space import baseline_of
from attrib.methods.shapley import Game, Shapley, sampled
from attrib.subject import Subject
from attrib.testing import COLUMNS, FRAMES, RED, ROWS, ToyModel, check_method, toy_clip, toy_sample, toy_subject
from attrib.testing.toy_world import BLUE, QUESTION

MANY = 10**6


def score_without(subject: Subject, removed: tuple[int, ...], method: Shapley) -> float:
    """The score without some of the 3 frames, or of the 12 cells of 2 x 2 a frame."""
    side = 1 if method.players == "frames" else method.cells
    gone = torch.zeros(3, side, side, dtype=torch.bool)
    gone.view(-1)[list(removed)] = True
    rows = torch.arange(48 if method.space == "pixels" else 3) * side // (48 if method.space == "pixels" else 3)
    mask = gone[:, rows][:, :, rows]
    if method.space == "pixels":
        absent = baseline_of(subject, "pixels", "mean")[0]
        return float(subject.score(torch.where(mask[:, None], absent, subject.pixels)[None])[0])
    return float(subject.log_odds(subject.model.score_tokens(subject.visual, subject.question, ~mask.flatten()))[0])


def brute_force(subject: Subject, count: int, method: Shapley) -> NDArray[np.float64]:
    """The mean over all subsets, one forward pass each."""
    scores = {
        chosen: score_without(subject, chosen, method)
        for size in range(count + 1) for chosen in combinations(range(count), size)
    }  # fmt: skip
    values = np.zeros(count)
    for player in range(count):
        for chosen, score in scores.items():
            if player not in chosen:
                weight = factorial(len(chosen)) * factorial(count - len(chosen) - 1) / factorial(count)
                values[player] += weight * (score - scores[tuple(sorted((*chosen, player)))])
    return values


@pytest.mark.parametrize("method", [
    Shapley("frames", baseline="mean"), Shapley("frames", space="tokens", baseline="dropped"),
    Shapley(cells=1, baseline="mean", batch=3),
], ids=str)  # fmt: skip
def test_few_players_are_exact(subject: Subject, method: Shapley) -> None:
    volume = method.attribute(subject)
    expected = brute_force(subject, 3, method)
    assert abs(expected).min() > 1e-4
    np.testing.assert_allclose(volume.values[:, 0, 0], expected, atol=1e-5)
    reports = volume.provenance.reports
    change = score_without(subject, (), method) - score_without(subject, (0, 1, 2), method)
    assert reports["score_change"] == pytest.approx(change, abs=1e-5)
    assert float(volume.values.sum()) == pytest.approx(change, abs=1e-5)
    assert reports["completeness_error"] < 1e-5 and reports["forward_evaluations"] == 7
    assert "monte_carlo_error" not in reports


@pytest.mark.slow
def test_cells_equal_captum(subject: Subject) -> None:
    """Nine cells of one frame: 511 versions."""
    one = Subject.bind(subject.model, replace(subject.clip, frames=subject.clip.frames[:1],
                                              times=subject.clip.times[:1]), subject.question)  # fmt: skip
    index = (torch.arange(9).view(3, 3).repeat_interleave(16, 0).repeat_interleave(16, 1)).expand(1, 1, 3, 48, 48)
    reference = captum.attr.ShapleyValueSampling(one.score)
    torch.manual_seed(0)
    sampled_by_captum = reference.attribute(
        one.pixels[None], baseline_of(one, "pixels", "mean"), feature_mask=index.contiguous(), n_samples=60,
        perturbations_per_eval=9,
    )[0, 0, 0, ::16, ::16]  # fmt: skip
    found = Shapley(baseline="mean").attribute(one)
    assert found.provenance.reports["forward_evaluations"] == 511
    scale = float(abs(found.values).max())
    np.testing.assert_allclose(found.values[0], sampled_by_captum, atol=0.1 * scale)
    assert np.corrcoef(found.values[0].ravel(), sampled_by_captum.numpy().ravel())[0, 1] > 0.98


def test_pairs_of_orders_by_hand() -> None:
    """Each player's drop, one forward pass at a time, along an order and back."""
    subject = toy_subject()
    removal = Removal.of(subject, "tokens", "mean_token")
    players = players_of(subject, removal.inputs, "frames", 1, 1.0)
    game = Game(removal, players, float(subject.score_tokens(subject.visual)[0]), 5)
    orders = torch.tensor([[2, 0, 3, 1], [1, 3, 0, 2]])
    found = sampled(game, orders)
    mean = subject.visual.mean(1, keepdim=True)
    for order, estimate in zip(orders.tolist(), found, strict=True):
        expected = np.zeros(4)
        for each in (order, order[::-1]):
            tokens = subject.visual.clone()
            before = float(subject.score_tokens(tokens)[0])
            for player in each:
                tokens[0, player * 12 : (player + 1) * 12] = mean
                after = float(subject.score_tokens(tokens)[0])
                expected[player] += (before - after) / 2
                before = after
        np.testing.assert_allclose(estimate, expected, atol=1e-5)
    assert game.forwards == 1 + 2 * 2 * 3
    torch.testing.assert_close(found[0], found[1])  # one is the other's reverse


def test_all_orders_are_the_exact_values() -> None:
    subject = toy_subject()
    removal = Removal.of(subject, "tokens", "mean_token")
    players = players_of(subject, removal.inputs, "frames", 1, 1.0)
    game = Game(removal, players, float(subject.score_tokens(subject.visual)[0]), 64)
    mean = sampled(game, torch.tensor(list(permutations(range(4))))).mean(dim=0)
    found = Shapley("frames", space="tokens", baseline="mean_token").values(subject).flatten()
    assert float(found.abs().max()) > 0.1
    torch.testing.assert_close(found, mean, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("space", ["pixels", "tokens"])
def test_on_an_additive_model_one_pair_is_exact(space: Any) -> None:
    found = Shapley(space=space, baseline="black").attribute(toy_subject(ToyModel(sharpness=0)))
    expected = np.zeros((FRAMES, ROWS, COLUMNS))
    expected[RED] = 8 * 0.8 / (FRAMES * ROWS * COLUMNS + 1)
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert found.provenance.reports["forward_evaluations"] == 1 + 2 * 6 * 47


def test_the_monte_carlo_error_is_that_of_many_seeds() -> None:
    """The reported norm, squared and averaged over seeds, against the squared distance to the exact values."""
    exact = Shapley("frames", forwards=MANY, space="tokens", baseline="mean_token").attribute(toy_subject()).values
    squares, reported = [], []
    for seed in range(60):
        method = Shapley("frames", forwards=14, space="tokens", baseline="mean_token")
        found = method.attribute(toy_subject(seed=seed))
        assert found.provenance.reports["forward_evaluations"] == 13
        assert found.provenance.reports["completeness_error"] < 1e-5
        squares.append(float(np.square(found.values - exact).sum()))
        norm = float(np.linalg.norm(found.values[:, 0, 0]))
        reported.append((found.provenance.reports["monte_carlo_error"] * norm) ** 2)
    assert np.mean(squares) > 1e-8
    assert np.mean(reported) == pytest.approx(np.mean(squares), rel=0.35)


def test_objects_share_the_fall_and_keep_its_sum() -> None:
    """The red cell alone has an effect on the linear toy; a table over the whole frame takes half of it."""
    red, blue, _ = toy_sample().tracks
    table = replace(red, id=3, boxes=np.tile([0.0, 0, 1, 1], (FRAMES, 1)))
    subject = toy_subject(ToyModel(sharpness=0))
    method, drop = Shapley("objects", baseline="black"), 8 * 0.8 / (FRAMES * ROWS * COLUMNS + 1)
    alone = method.attribute(replace(subject, sample=replace(toy_sample(), tracks=(red, blue)))).values
    expected = np.zeros((FRAMES, ROWS, COLUMNS))
    expected[:, RED[1], RED[2]] = drop / FRAMES
    np.testing.assert_allclose(alone, expected, atol=1e-6)
    found = method.attribute(replace(subject, sample=replace(toy_sample(), tracks=(red, table))))
    expected /= 2
    expected += drop / 2 / expected.size
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert found.provenance.reports["completeness_error"] < 1e-5


def test_a_box_without_an_area_is_worth_nothing() -> None:
    red, blue, _ = toy_sample().tracks
    flat = replace(blue, boxes=np.tile([0.5, 0.5, 0.5, 0.5], (len(blue.boxes), 1)))
    subject, method = toy_subject(ToyModel(sharpness=0)), Shapley("objects", baseline="black")
    with_it, without = (
        method.attribute(replace(subject, sample=replace(toy_sample(), tracks=tracks))).values
        for tracks in ((red, flat), (red,))
    )
    np.testing.assert_allclose(with_it, without, atol=1e-6)
    assert without.any()


def test_an_object_counts_in_the_second_in_which_it_matters() -> None:
    red, blue, _ = toy_sample().tracks
    subject = replace(toy_subject(ToyModel(sharpness=0)), sample=replace(toy_sample(), tracks=(red, blue)))
    found = Shapley("object_seconds", baseline="black").attribute(subject).values
    expected = np.zeros((FRAMES, ROWS, COLUMNS))
    expected[2:, RED[1], RED[2]] = 8 * 0.8 / (FRAMES * ROWS * COLUMNS + 1) / 2  # two frames a second
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[BLUE] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("players", ["frames", "objects"])
def test_steps_of_several_frames_keep_the_sum(players: Any) -> None:
    bound = Subject.bind(ToyModel(frames_per_step=2), toy_clip(), QUESTION)
    volume = Shapley(players).attribute(replace(bound, sample=toy_sample()))
    change = volume.provenance.reports["score_change"]
    assert abs(change) > 0.1
    assert float(volume.values[::2].sum()) == pytest.approx(change, rel=1e-4)


def test_without_objects_it_is_zero_and_without_a_sample_it_says_what_it_needs() -> None:
    subject = replace(toy_subject(), sample=replace(toy_sample(), tracks=()))
    assert not Shapley("objects").attribute(subject).values.any()
    with pytest.raises(InputError, match="players objects need an annotated sample; choose cells or frames"):
        Shapley("objects").check(replace(subject, sample=None))
    with pytest.raises(AttributionError, match="players objects: expected an annotated sample"):
        Shapley("objects").attribute(replace(subject, sample=None))


@pytest.mark.parametrize("parameters", [{"space": "tokens", "baseline": "dropped"}, {"space": "tokens"}], ids=str)
def test_variants_keep_the_contract(parameters: dict[str, Any]) -> None:
    check_method(Shapley(forwards=1, **parameters))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"players": "object"}, "players: input should be 'cells', 'frames', 'objects' or 'object_seconds'"),
        ({"players": "objects", "space": "tokens"}, "objects are boxes of pixels"),
        ({"seconds": 0}, "seconds: expected more than 0"),
        ({"baseline": "dropped"}, "set space to 'tokens'"),
        ({"forwards": 0}, "forwards: expected 1 or more"),
    ],
)
def test_impossible_settings_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.build("methods", "shapley", parameters)
