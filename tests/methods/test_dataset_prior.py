"""The prior of other videos' evidence, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attrib.annotation_cells import length_of
from attrib.errors import AttributionError
from attrib.methods.dataset_prior import DatasetPrior
from attrib.testing import BLUE, RED, toy_peer, toy_sample, toy_subject
from attrib.types import Evidence, Sample, Track

# Toy frames lie at 0, 1/4, 1/2 and 3/4 of the clip, so at 0, .5, 1 and 1.5 s of a peer whose boxes end at 1.5 s.
RED_PEER = replace(toy_sample(), video=Path("other.mp4"), evidence=(Evidence(1, 0.5, 1.0),))


def found(*peers: Sample) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return DatasetPrior().attribute(replace(toy_subject(), peers=peers)).values


def slower(track: Track) -> Track:
    return replace(track, times=2 * track.times)


def test_it_is_the_mean_over_the_others_that_have_evidence() -> None:
    bare = replace(RED_PEER, evidence=()), replace(RED_PEER, evidence=(Evidence(1, role="context"),))
    expected = np.zeros((4, 3, 4))
    expected[:, BLUE[1], BLUE[2]] = 0.5
    expected[1, RED[1], RED[2]] = 0.5
    np.testing.assert_allclose(found(toy_peer(), *bare, RED_PEER), expected)


def test_time_is_relative() -> None:
    """A peer of twice the length and twice as slow says the same; so does the last annotation being an action's."""
    tracks = tuple(slower(track) for track in RED_PEER.tracks)
    long = replace(RED_PEER, tracks=tracks, segments=(), evidence=(Evidence(1, 1.0, 2.0),))
    assert (length_of(RED_PEER), length_of(long)) == (2.0, 4.0)
    assert length_of(replace(long, segments=(replace(toy_sample().segments[0], end=4.5),))) == 4.5
    np.testing.assert_array_equal(found(long), found(RED_PEER))


def test_the_own_annotation_does_not_count() -> None:
    subject = replace(toy_subject(), peers=(RED_PEER,))
    without = replace(subject, sample=None)
    np.testing.assert_array_equal(*(DatasetPrior().attribute(each).values for each in (subject, without)))


@pytest.mark.parametrize(
    ("peers", "message"),
    [((), "expected samples of other videos"), ((replace(RED_PEER, evidence=()),), "expected evidence in other")],
)
def test_without_others_it_says_what_it_needs(peers: tuple[Sample, ...], message: str) -> None:
    with pytest.raises(AttributionError, match=message):
        found(*peers)
