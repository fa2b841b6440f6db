"""Occlusion against Captum's and the linear toy's closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor

from attrib import config
from attrib.errors import ConfigError
from attrib.inputs.space import Space, baseline_of
from attrib.methods.occlusion import Occlusion
from attrib.subject import Subject
from attrib.testing import COLUMNS, QUESTION, RED, ROWS, ToyModel, check_method, toy_clip, toy_subject

DROP = 8 * 0.8 / (4 * ROWS * COLUMNS + 1)  # of the linear toy's score without the red cell's 0.8 more red than green
SIDE = 16  # pixels of one of the made checkpoint's 3 x 3 cells


def linear() -> Subject:
    return toy_subject(ToyModel(sharpness=0))


@pytest.mark.parametrize(("window", "stride"), [((1, 1, 1), (1, 1, 1)), ((2, 2, 2), (1, 1, 2)), ((2, 3, 1), (2, 1, 1))])
def test_pixels_equal_captum(subject: Subject, window: tuple[int, ...], stride: tuple[int, ...]) -> None:
    """Also where the last tube is cut at the border: 3 steps, rows and columns are not 2 times something."""
    shapes, strides = ((each[0], 3, SIDE * each[1], SIDE * each[2]) for each in (window, stride))
    expected = captum.attr.Occlusion(subject.score).attribute(
        subject.pixels[None], shapes, strides, baseline_of(subject, "pixels", "mean")
    )
    found = Occlusion(window, stride, border="inside", baseline="mean").values(subject)  # type: ignore[arg-type]
    assert found.shape == (3, 3, 3)
    assert float(found.abs().max()) > 1e-3
    for channel in expected[0].transpose(0, 1):
        torch.testing.assert_close(channel, found.float().repeat_interleave(SIDE, 1).repeat_interleave(SIDE, 2))


def test_tokens_equal_captum(subject: Subject) -> None:
    tokens = subject.model.encode(subject.pixels[None])
    laid = (tokens.unflatten(1, (3, 3, 3)), baseline_of(subject, "tokens", "mean_token").unflatten(1, (3, 3, 3)))

    def score(laid: Tensor) -> Tensor:
        return subject.score_tokens(laid.flatten(1, 3))

    width = tokens.shape[2]
    expected = captum.attr.Occlusion(score).attribute(laid[0], (2, 1, 2, width), (1, 1, 1, width), laid[1])[0, ..., 0]
    found = Occlusion((2, 1, 2), border="inside", space="tokens", baseline="mean_token").values(subject)
    assert float(found.abs().max()) > 1e-3
    torch.testing.assert_close(found.float(), expected)


@pytest.mark.parametrize("space", ["pixels", "tokens"])
def test_over_the_border_a_cell_counts_by_the_tubes_that_it_shares_with_the_evidence(space: Space) -> None:
    """Tubes of 2 x 2 cells: all four, then two, then one of those over a cell reach the red one."""
    expected = np.zeros((4, ROWS, COLUMNS))
    expected[RED[0], :3, 1:4] = DROP * np.outer([0.5, 1, 0.5], [0.5, 1, 0.5])
    found = Occlusion(space=space, baseline="black").values(linear())
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_inside_the_border_corners_are_favoured() -> None:
    """The one tube over the corner (0, 3) holds the red cell (1, 2), so the corner counts as much as it."""
    found = Occlusion(border="inside", baseline="black").values(linear())[RED[0]]
    assert float(found[0, 3]) == pytest.approx(float(found[1, 2])) == pytest.approx(DROP)


def test_tubes_side_by_side_cover_a_cell_once() -> None:
    expected = np.zeros((4, ROWS, COLUMNS))
    expected[RED[0], :2, 2:] = DROP
    found = Occlusion(stride=(1, 2, 2), baseline="black").values(linear())
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_tubes_in_time() -> None:
    found = Occlusion((2, 1, 1), baseline="black").values(linear())
    np.testing.assert_allclose(found[:, RED[1], RED[2]], [0, DROP / 2, DROP, DROP / 2], atol=1e-6)


@pytest.mark.parametrize("space", ["pixels", "tokens"])
def test_steps_of_several_frames_go_together(space: Space) -> None:
    subject = Subject.bind(ToyModel(sharpness=0, frames_per_step=2), toy_clip(), QUESTION)
    found = Occlusion((1, 1, 1), space=space, baseline="black").values(subject)
    expected = np.zeros((2, ROWS, COLUMNS))
    expected[1, RED[1], RED[2]] = 8 * 0.4 / (2 * ROWS * COLUMNS + 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("space", "shares"), [("pixels", [0.5, 0.5]), ("tokens", [1, 0])])
def test_fewer_cells_are_coarser(space: Space, shares: list[float]) -> None:
    """Two rows for three: the border runs through the red cell's pixels, and below the tokens of rows 0 and 1."""
    found = Occlusion((1, 1, 1), cells=2, space=space, baseline="black").values(linear())
    expected = np.zeros((4, 2, 2))
    expected[2, :, 1] = DROP * np.array(shares)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_no_more_versions_than_the_batch_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, sizes = linear(), []
    kept = ToyModel.encode
    monkeypatch.setattr(ToyModel, "encode", lambda self, pixels: sizes.append(len(pixels)) or kept(self, pixels))
    found = [Occlusion(batch=size, baseline="black").values(subject) for size in (1, 7)]
    torch.testing.assert_close(*found)
    tubes = 4 * (ROWS + 1) * (COLUMNS + 1)
    assert sizes == [1] * (tubes + 1) + [1] + [7] * (tubes // 7) + [tubes % 7]


@pytest.mark.parametrize(
    "parameters",
    [{"space": "tokens", "baseline": "mean_token"}, {"window": (2, 3, 3), "baseline": "mean"},
     {"window": (1, 1, 1), "border": "inside", "batch": 3}],
    ids=str,
)  # fmt: skip
def test_variants_keep_the_contract(parameters: dict[str, Any]) -> None:
    check_method(Occlusion(**parameters))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"stride": [1, 3, 1]}, "stride: expected 1 to the window's 2 cells, got 3"),
        ({"window": [0, 1, 1]}, "stride: expected 1 to the window's 0 cells"),
        ({"window": [1, 1]}, "window"),
        ({"border": "outside"}, "border: input should be 'over' or 'inside'"),
        ({"cells": 0}, "cells: expected 1 or more"),
        ({"baseline": "mean_token"}, "'mean_token' is a baseline of tokens"),
    ],
)
def test_impossible_settings_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.build("methods", "occlusion", parameters)


def test_it_explains_what_the_subject_explains() -> None:
    """Towards the other option the sign turns."""
    found = [Occlusion(baseline="black").values(replace(linear()).towards(option)) for option in (0, 1)]
    torch.testing.assert_close(found[0], -found[1])
