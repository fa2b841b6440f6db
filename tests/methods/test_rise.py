"""RISE against a plain loop over the same draws, and against the effects of an additive model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from attrib import config
from attrib.errors import ConfigError
from attrib.inputs.space import baseline_of
from attrib.methods.rise import Rise, coarse_masks
from attrib.subject import Subject
from attrib.testing import BLUE, COLUMNS, FRAMES, RED, ROWS, ToyModel, check_method, toy_subject

EFFECT = 8 * 0.8 / (FRAMES * ROWS * COLUMNS + 1)  # of the red cell on the linear toy's score, against black


def enlarged(grid: NDArray[np.float64], window: tuple[int, ...], smooth: bool) -> NDArray[np.float64]:
    """One axis at a time: by repetition, or by straight lines between the middles of the cells."""
    for axis, cell in enumerate(window):
        if not smooth:
            grid = grid.repeat(cell, axis)
            continue
        middles, places = np.arange(grid.shape[axis]), (np.arange(grid.shape[axis] * cell) + 0.5) / cell - 0.5
        grid = np.apply_along_axis(lambda line, at=places, of=middles: np.interp(at, of, line), axis, grid)
    return grid


@pytest.mark.parametrize("smooth", [True, False])
def test_masks_are_coarse_grids_enlarged_and_shifted(smooth: bool) -> None:
    size, window = (3, 7, 8), (1, 3, 4)
    torch.manual_seed(5)
    found = coarse_masks(6, size, window, 0.3, smooth=smooth)
    torch.manual_seed(5)
    grids = (torch.rand(6, 1, 4, 4, 3) < 0.3).double().numpy()[:, 0]
    shifts = np.stack([torch.randint(cell, (6,)).numpy() for cell in window], axis=1)
    for mask, grid, (t, y, x) in zip(found, grids, shifts, strict=True):
        whole = enlarged(grid, window, smooth)
        np.testing.assert_allclose(mask, whole[t : t + 3, y : y + 7, x : x + 8], atol=1e-6)
    assert (0 < float(found.mean()) < 1 and len(np.unique(found)) == 2) or smooth


def regression(scores: NDArray[np.float64], masks: NDArray[np.float64]) -> NDArray[np.float64]:
    """The slope of a line through the points of each place."""
    flat = masks.reshape(len(masks), -1)
    return np.array([np.polyfit(column, scores, 1)[0] for column in flat.T]).reshape(masks.shape[1:])


@pytest.mark.parametrize("method", [
    Rise(samples=24, cells=2, batch=5), Rise(samples=24, steps=2, batch=24, space="tokens", baseline="mean_token"),
    Rise(samples=24, cells=2, space="tokens", baseline="dropped", kept=0.7),
], ids=str)  # fmt: skip
def test_it_is_a_regression_on_masks_run_one_by_one(subject: Subject, method: Rise) -> None:
    """Places where a smooth mask is always the same would have no slope: here there is none."""
    pixels = method.space == "pixels"
    found = method.attribute(subject)
    size = (3, 48, 48) if pixels else (3, 3, 3)
    side = -(-size[1] // min(method.cells, 3))
    window = (method.steps, side, side)
    torch.manual_seed(subject.seed)
    counts = [min(method.batch, 24 - start) for start in range(0, 24, method.batch)]
    masks = torch.cat([coarse_masks(k, size, window, method.kept, smooth=pixels) for k in counts])
    scores = [score_of(subject, method, mask) for mask in masks]
    expected = regression(np.array(scores), masks.double().numpy())
    assert abs(expected).max() > 1e-3
    np.testing.assert_allclose(found.values, expected, atol=1e-4 * abs(expected).max())
    assert -1 <= found.provenance.reports["monte_carlo_agreement"] <= 1


def score_of(subject: Subject, method: Rise, mask: torch.Tensor) -> float:
    """One version of the clip, without the code that is tested."""
    if method.space == "pixels":
        absent = baseline_of(subject, "pixels", "blur")[0]
        return float(subject.score((mask[:, None] * subject.pixels + (1 - mask[:, None]) * absent)[None])[0])
    keep, tokens = mask.flatten().bool(), subject.visual
    if method.baseline == "dropped":
        return float(subject.log_odds(subject.model.score_tokens(tokens, subject.question, keep))[0])
    return float(subject.score_tokens(torch.where(keep[None, :, None], tokens, tokens.mean(1, keepdim=True)))[0])


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.8])
def test_on_an_additive_model_the_expectation_is_the_effect(kept: float) -> None:
    """Over 40 seeds the mean is within four standard errors of every cell's effect, whatever the masks' mean."""
    subject = [toy_subject(ToyModel(sharpness=0), seed=seed) for seed in range(40)]
    method = Rise(samples=30, kept=kept, space="tokens", baseline="black", batch=30)
    maps = np.stack([method.attribute(each).values for each in subject]).astype(float)
    expected = np.zeros((FRAMES, ROWS, COLUMNS))
    expected[RED] = EFFECT
    error = maps.std(axis=0, ddof=1) / np.sqrt(len(maps))
    assert error[BLUE] > 0
    assert (abs(maps.mean(axis=0) - expected) <= 4 * error + 1e-6).all()
    assert maps.mean(axis=0)[RED] == pytest.approx(EFFECT, rel=1e-4)


def test_cells_of_several_tokens_have_their_mean_effect() -> None:
    """With 2 rows for 3 and 2 columns for 4, and shifts of 0 or 1, a token shares its cell with others half the time.

    The expectation is the effect of all tokens in the cell: at a neighbour, half of the red token's.
    """
    maps = [
        Rise(samples=400, cells=2, space="tokens", baseline="black", batch=400)
        .attribute(toy_subject(ToyModel(sharpness=0), seed=seed)).values for seed in range(10)
    ]  # fmt: skip
    found = np.mean(maps, axis=0)[RED[0]] / EFFECT
    np.testing.assert_allclose(found[1], [0, 0.5, 1, 0.5], atol=0.06)
    np.testing.assert_allclose(found[:, RED[2]], [0.5, 1, 0.5], atol=0.06)


def test_forward_passes_are_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, sizes, kept = toy_subject(), [], ToyModel.encode
    monkeypatch.setattr(ToyModel, "encode", lambda self, pixels: sizes.append(len(pixels)) or kept(self, pixels))
    Rise(samples=20, batch=8).attribute(subject)
    assert sizes == [8, 8, 4]


@pytest.mark.parametrize(
    "parameters", [{"space": "tokens"}, {"space": "tokens", "baseline": "dropped"}, {"steps": 2}], ids=str
)
def test_variants_keep_the_contract(parameters: dict[str, Any]) -> None:
    check_method(Rise(**parameters))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kept": 1}, "kept: expected a probability between 0 and 1, got 1"),
        ({"cells": 0}, "cells: expected 1 or more"),
        ({"baseline": "dropped"}, "'dropped' leaves out tokens; set space to 'tokens'"),
        ({"baseline": "mean_token"}, "'mean_token' is a baseline of tokens"),
        ({"baseline": "blurr", "space": "tokens"}, "baseline"),
    ],
)
def test_impossible_settings_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.build("methods", "rise", parameters)
