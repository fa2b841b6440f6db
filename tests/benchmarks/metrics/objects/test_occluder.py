from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attrib.benchmarks.metrics.objects.occluder import HiddenAUC, events
from attrib.metric import Score
from attrib.types import Evidence, Track

from linear import STEP, blank, sample_of, track_of, volume_of

LEFT, RIGHT = [0, 0, 0.5, 1], [0.5, 0, 1, 1]
BALL_LEFT, BALL_RIGHT = [0.1, 0.4, 0.4, 0.9], [0.6, 0.4, 0.9, 0.9]
BALL = track_of(1, [BALL_LEFT, BALL_LEFT, BALL_RIGHT], hidden=[False, True, True])
VALUES = [[[9, 9], [0, 0]], [[0.4, 0.1], [0.2, 0.3]], [[0.1, 0.3], [0.2, 0.0]]]


def cup(number: int, *boxes: list[float], label: str = "cup", marked: bool = False) -> Track:
    return replace(track_of(number, boxes), label=label, is_occluder=marked)


CUPS = cup(2, LEFT, LEFT, RIGHT), cup(3, RIGHT, RIGHT, LEFT)


def score(values: object, *tracks: Track, **sample: object) -> Score:
    volume = volume_of(values)
    return HiddenAUC().score(volume, blank(len(volume.values)), sample_of(*tracks, **sample))


def chosen(*tracks: Track, **sample: object) -> list[tuple[int, list[float], int]]:
    """Of each event the frame, the weights of the hiding object's cells, and the number of rivals."""
    found = events(blank(3), sample_of(*tracks, **sample))
    return [(event.frame, np.round(event.hiding, 6).tolist(), len(event.rivals)) for event in found]


def test_two_cups_and_three_frames_by_hand() -> None:
    # Frame 0: nothing is hidden. 1: left .3 against right .2, won. 2: the cups have changed places, .15 against .15.
    found = score(VALUES, BALL, *CUPS)
    assert (found.value, found.chance) == (pytest.approx((1 + 0.5) / 2), 0.5)
    assert chosen(BALL, *CUPS) == [(1, [0.5, 0, 0.5, 0], 1), (2, [0, 0.5, 0, 0.5], 1)]


def test_the_other_cup_and_the_inverse_map_lose() -> None:
    sharp = [[[0, 0], [0, 0]], [[1, 0], [1, 0]], [[0, 1], [0, 1]]]
    assert score(sharp, BALL, *CUPS).value == 1
    assert score(1.01 - np.array(sharp), BALL, *CUPS).value == 0


def test_means_are_weighted_by_the_shares_of_the_cells() -> None:
    wide = cup(2, [0, 0, 0.75, 0.5], [0, 0, 0.75, 0.5], [0, 0, 0.75, 0.5])
    ball = track_of(1, [[0.1, 0.1, 0.4, 0.4]] * 3, hidden=[False, True, False])
    other = cup(3, *[[0, 0.5, 1, 1]] * 3)
    assert chosen(ball, wide, other)[0][1] == pytest.approx([2 / 3, 1 / 3, 0, 0], abs=1e-6)
    values = np.zeros((3, 2, 2))
    values[1] = [[0.9, 0.0], [0.5, 0.6]]  # .6 against .55
    assert score(values, ball, wide, other).value == 1
    values[1] = [[0.8, 0.0], [0.5, 0.6]]  # .533 against .55
    assert score(values, ball, wide, other).value == 0


def test_a_map_that_says_nothing_while_the_object_is_hidden_is_at_chance() -> None:
    assert score([[[9, 1], [0, 0]], np.zeros((2, 2)), np.full((2, 2), 0.3)], BALL, *CUPS).value == 0.5


def test_negative_saliency_counts_as_none() -> None:
    assert score([[[0, 1], [0, 0]], [[0, -1], [0, -1]], [[-5, 0], [0, 0]]], BALL, *CUPS).value == 0.5


def test_rivals_have_the_occluders_label_or_else_are_all_that_is_seen() -> None:
    table = cup(4, *[[0, 0, 1, 1]] * 3, label="table")
    assert [rivals for *_, rivals in chosen(BALL, *CUPS, table)] == [1, 1], "the other cup"
    book = cup(5, *[RIGHT] * 3, label="book")
    assert [rivals for *_, rivals in chosen(BALL, CUPS[0], table, book)] == [2, 2], "no other cup: all other objects"
    hidden = replace(cup(6, *[LEFT] * 3), hidden=np.ones(3, bool))
    assert [rivals for *_, rivals in chosen(BALL, *CUPS, hidden)] == [1, 1], "what is hidden is no rival"


def test_what_hides_is_marked_then_covers_most_then_is_smallest() -> None:
    ball = track_of(1, [[0, 0, 0.5, 1]] * 3, hidden=[True, False, False])
    table = cup(4, *[[0, 0, 1, 1]] * 3, label="table")
    near = cup(2, *[[0, 0, 0.5, 0.92]] * 3)  # covers .92: a tie with the table's 1, and smaller
    far = cup(3, *[[0, 0, 0.5, 0.88]] * 3)  # covers .88: none
    assert chosen(ball, table, near)[0][1] == pytest.approx([1 / 1.84, 0, 0.84 / 1.84, 0], abs=1e-6)
    assert chosen(ball, table, far)[0][1] == [0.25] * 4
    half = cup(5, *[[0, 0, 0.5, 0.5]] * 3, marked=True)  # covers one half, but is annotated as an occluder
    assert chosen(ball, table, near, half)[0][1] == [1, 0, 0, 0]
    less = cup(5, *[[0, 0, 0.5, 0.49]] * 3, marked=True)
    assert chosen(ball, table, near, less)[0][1] != [1, 0, 0, 0]


def test_the_occluder_may_be_the_evidence_and_only_while_it_is() -> None:
    cups_too = (Evidence(2, 0.0, 2 * STEP),)
    assert [frame for frame, *_ in chosen(BALL, *CUPS, evidence=cups_too)] == [1]
    ball = (Evidence(1, 2 * STEP),)
    assert [frame for frame, *_ in chosen(BALL, *CUPS, evidence=ball)] == [2]


@pytest.mark.parametrize(
    ("tracks", "sample", "words"),
    [
        ((), {}, "no object is hidden in the clip's frames"),
        (CUPS, {}, "no object is hidden in the clip's frames"),
        ((track_of(1, BALL.boxes), *CUPS), {}, "no object is hidden in the clip's frames"),
        ((BALL, *CUPS), {"cut": STEP}, "no object is hidden in the clip's frames"),
        ((BALL, *CUPS), {"cut": 0.0}, "every frame of the clip lies after the cut"),
        ((BALL,), {}, "no visible object covers half of a hidden object's box"),
        ((BALL, cup(2, RIGHT, RIGHT, LEFT)), {}, "no visible object covers half of a hidden object's box"),
        ((BALL, *CUPS), {"evidence": (Evidence(3),)}, "neither a hidden object nor what hides it is evidence"),
        ((BALL, *CUPS), {"evidence": (Evidence(1, role="context"),)}, "neither a hidden object nor what hides it"),
        ((BALL, *CUPS), {"evidence": (Evidence(1, 0, STEP),)}, "neither a hidden object nor what hides it is evidence"),
        ((BALL, CUPS[0]), {}, "no other object is seen while one is hidden"),
        ((BALL, CUPS[0], cup(3, *[[1.2, 0, 1.4, 1]] * 3)), {}, "no other object is seen while one is hidden"),
        ((track_of(1, [[0.3, 0.3, 0.3, 0.3]] * 3, hidden=True), *CUPS), {}, "no object is hidden in the clip's frames"),
    ],
)  # fmt: skip
def test_undefined_cases_have_their_reason(tracks: tuple[Track, ...], sample: dict[str, object], words: str) -> None:
    found = score(VALUES, *tracks, **sample)
    assert np.isnan(found.value) and np.isnan(found.chance)
    assert found.reason.startswith(words)


@pytest.mark.parametrize(
    ("values", "words"),
    [(np.zeros((3, 2, 2)), "no positive saliency"), (np.full((3, 2, 2), 2.0), "the saliency is the same everywhere")],
)
def test_a_map_without_contrast_is_undefined(values: object, words: str) -> None:
    assert score(values, BALL, *CUPS).reason.startswith(words)
