"""The band probe on the linear toy, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attrib.inputs.space import Space
from attrib.methods.band_probe import BandProbe
from attrib.subject import Subject
from attrib.testing import COLUMNS, FRAMES, RED, ROWS, ToyModel, check_method, toy_clip, toy_subject
from attrib.types import Clip, Question

DROP = 8 * 0.8 / (4 * ROWS * COLUMNS + 1)  # of the linear toy's score without the red cell's 0.8 more red than green


@pytest.mark.parametrize("space", ["pixels", "tokens"])
def test_one_piece_of_evidence_is_found_with_its_whole_effect(space: Space) -> None:
    expected = np.zeros((FRAMES, ROWS, COLUMNS))
    expected[RED] = DROP
    found = BandProbe(space=space, baseline="black").values(toy_subject(ToyModel(sharpness=0)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_two_pieces_show_where_their_bands_cross_too() -> None:
    """Reds of 204 at (0, 0, 0) and of 25 at (1, 2, 3): the geometric mean of three falls, each of the one or other."""
    frames = np.zeros((2, 12, 16, 3), np.uint8)
    frames[0, :4, :4, 0], frames[1, 8:, 12:, 0] = 204, 25
    subject = Subject.bind(ToyModel(sharpness=0), Clip(frames, np.arange(2) / 2, 1.0), Question("?", ("a", "b")))
    fall = 8 / (2 * ROWS * COLUMNS + 1) * np.array([204, 25]) / 255
    expected = np.zeros((2, ROWS, COLUMNS))
    expected[np.ix_([0, 1], [0, 2], [0, 3])] = np.einsum("t,y,x->tyx", fall, fall, fall) ** (1 / 3)
    np.testing.assert_allclose(BandProbe(baseline="black").values(subject), expected, atol=1e-6)


def test_it_takes_a_version_for_each_band(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, sizes = toy_subject(), []
    kept = ToyModel.encode
    monkeypatch.setattr(ToyModel, "encode", lambda self, pixels: sizes.append(len(pixels)) or kept(self, pixels))
    BandProbe(baseline="black").values(subject)
    assert sizes == [1, 8, FRAMES + ROWS + COLUMNS - 8]


def test_what_the_answer_is_better_without_is_zero() -> None:
    assert not BandProbe(baseline="black").values(toy_subject(ToyModel(sharpness=0)).towards(1)).any()


def test_the_token_variant_keeps_the_contract() -> None:
    check_method(BandProbe(space="tokens", baseline="mean_token"))


def test_fewer_cells_are_coarser() -> None:
    subject = Subject.bind(ToyModel(sharpness=0, frames_per_step=2), toy_clip(), Question("?", ("a", "b")))
    found = BandProbe(cells=1, baseline="black").values(subject)
    fall = 8 * 0.4 / (2 * ROWS * COLUMNS + 1)  # a column or row is the whole frame at all times
    np.testing.assert_allclose(found, np.reshape([0, fall], (2, 1, 1)), atol=1e-6)
