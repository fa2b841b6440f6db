"""The oracle, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attrib.errors import AttributionError
from attrib.methods.oracle import Oracle
from attrib.subject import Subject
from attrib.testing import BLUE, RED, toy_sample, toy_subject
from attrib.types import Evidence, Sample


def found(sample: Sample) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return Oracle().attribute(replace(toy_subject(), sample=sample)).values


def test_it_is_the_red_cell_while_it_is_evidence() -> None:
    expected = np.zeros((4, 3, 4))
    expected[RED] = 1
    np.testing.assert_allclose(found(toy_sample()), expected)


def test_alternatives_count_and_context_does_not() -> None:
    roles = Evidence(1, role="context"), Evidence(2, 0.0, 1.0, "alternative"), Evidence(9)
    expected = np.zeros((4, 3, 4))
    expected[:2, BLUE[1], BLUE[2]] = 1
    np.testing.assert_allclose(found(replace(toy_sample(), evidence=roles)), expected)


def test_only_what_is_visible_counts_and_cells_by_their_share() -> None:
    red, blue, _ = toy_sample().tracks
    left = red.boxes * [1, 1, 1, 1] - [0.125, 0, 0.125, 0]  # half a cell to the left
    moved = replace(red, boxes=left, hidden=np.array([False, False, False, True]))
    values = found(replace(toy_sample(), tracks=(moved, blue), evidence=(Evidence(1, 1.0, 2.0),)))
    expected = np.zeros((4, 3, 4))
    expected[2, 1, 1:3] = 0.5
    np.testing.assert_allclose(values, expected)


def test_without_evidence_it_is_zero() -> None:
    assert not found(replace(toy_sample(), evidence=())).any()


def test_without_a_sample_it_says_what_it_needs() -> None:
    subject: Subject = replace(toy_subject(), sample=None)
    with pytest.raises(AttributionError, match="expected an annotated sample"):
        Oracle().attribute(subject)
