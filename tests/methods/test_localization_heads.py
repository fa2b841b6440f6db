"""The two criteria worked by hand, and the method against the heads' own maps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from attrib.attention.statistics import HeadStatistics, answer_statistics
from attrib.errors import AttributionError
from attrib.methods.localization_heads import LocalizationHeads, bend, calibrated, localising
from attrib.subject import Subject


def statistics(mass: Tensor, entropy: Tensor) -> HeadStatistics:
    return HeadStatistics(torch.zeros(*mass.shape, 1, 1, 1), mass, torch.zeros_like(mass), entropy)


def test_the_bend_is_farthest_from_the_line() -> None:
    """Falling 9, 8, 2, 1.5, 1, 0: the line is 9, 7.2, 5.4, 3.6, 1.8, 0; distances 0, -.8, 3.4, 2.1, .8, 0."""
    assert bend(torch.tensor([1.5, 9.0, 0.0, 2.0, 1.0, 8.0])) == 2
    assert bend(torch.ones(4)) == 1


def test_heads_that_look_and_are_compact() -> None:
    """Looking (2 or more): (0, 0), (1, 0), (1, 2); the most compact of all, (0, 1), does not look."""
    mass = torch.tensor([[9.0, 0.0, 1.0], [8.0, 1.5, 2.0]])
    entropy = torch.tensor([[0.9, 0.0, 0.1], [0.3, 0.2, 0.6]])
    assert localising(statistics(mass, entropy), 2) == ((1, 0), (1, 2))
    assert localising(statistics(mass, entropy), 9) == ((1, 0), (1, 2), (0, 0))


def test_the_map_is_the_sum_of_the_chosen_heads_attention(subject: Subject) -> None:
    found = answer_statistics(subject)
    chosen = localising(found, 2)
    expected = found.attention[chosen[0]] + found.attention[chosen[1]]
    torch.testing.assert_close(LocalizationHeads(count=2).values(subject), expected)
    fixed = LocalizationHeads(heads=((1, 3), (0, 2))).values(subject)
    torch.testing.assert_close(fixed, found.attention[1, 3] + found.attention[0, 2])


def test_calibrated_heads_are_those_that_most_samples_choose(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    choices = iter([((0, 1), (1, 1)), ((1, 1), (0, 0)), ((1, 1), (0, 1))])
    monkeypatch.setattr("attrib.methods.localization_heads.localising", lambda *_: next(choices))
    assert calibrated([subject] * 3, 2) == ((1, 1), (0, 1))


def test_what_is_not_there_is_refused(subject: Subject) -> None:
    with pytest.raises(AttributionError, match="expected layers below 2 and heads below 4, got 2, 0"):
        LocalizationHeads(heads=((2, 0),)).values(subject)
    with pytest.raises(ValueError, match="count: expected 1 or more"):
        LocalizationHeads(count=0)
