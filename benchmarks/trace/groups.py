"""Positions of a sequence by what they show: evidence, the same object at other times, other objects, background, text.

A visual token shows an object whose box covers a tenth of it in one of its frames; each token is in one group, the
first of GROUPS that fits. Annotation after the sample's cut, and boxes of hidden objects, show nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attrib.annotation_cells import after_cut, evidence_tracks, visible_evidence, visible_tube
from attrib.capabilities import Places
from attrib.subject import Subject
from attrib.types import Sample

SHOWN = 0.1  # of a token's cell that a box covers, from which on the token shows the object
DRAWS = 3  # of random visual tokens, as many as show evidence
Positions = tuple[int, ...]
BoolArray = NDArray[np.bool_]
GROUPS = ("evidence", "same_object", "other_objects", "background")  # of visual tokens, first come first served
TEXT = ("text", "last")


@dataclass(frozen=True)
class Groups:
    """Positions of each named group, draws of random visual tokens without evidence, and each step's visual tokens.

    Without annotated evidence, all visual tokens are the group `video`. `start` is the step in which evidence begins.
    """

    named: Mapping[str, Positions]
    random: tuple[Positions, ...]
    steps: tuple[Positions, ...]
    start: int | None

    @staticmethod
    def of(subject: Subject, places: Places) -> Groups:
        """Group the positions of the subject's sequence."""
        grid, sample = subject.grid, subject.sample
        visual = np.array(places.visual)
        steps = tuple(tuple(part.tolist()) for part in visual.reshape(grid.steps, -1))
        text = {"text": places.text, "last": places.last}
        shown = shown_tokens(subject, sample) if sample else None
        if sample is None or shown is None or not shown["evidence"].any():
            return Groups({"video": places.visual, **text}, (), steps, None)
        named = {name: tuple(visual[mask].tolist()) for name, mask in shown.items() if mask.any()}
        start = int(np.flatnonzero(shown["evidence"].reshape(grid.steps, -1).any(axis=1))[0])
        random = _random(visual[~shown["evidence"]], len(named["evidence"]), [subject.seed, _number(sample)])
        return Groups({**named, **text}, random, steps, start)


def shown_tokens(subject: Subject, sample: Sample) -> Mapping[str, BoolArray]:
    """Return the mask (n,) of each of GROUPS; no token is in two, and each is in one."""
    grid, times = subject.grid, subject.clip.times
    before_cut = ~after_cut(sample, times)[:, None, None]
    own = {track.id for _, track in evidence_tracks(sample)}

    def of(tracks: Iterable[int]) -> BoolArray:
        tubes = [visible_tube(track, times, grid.rows, grid.columns) for track in sample.tracks if track.id in tracks]
        return _by_token(subject, before_cut * np.max(tubes, axis=0) if tubes else np.zeros((len(times), *cells)))

    cells = (grid.rows, grid.columns)
    others = {track.id for track in sample.tracks} - own
    masks = [_by_token(subject, visible_evidence(sample, times, *cells)), of(own), of(others)]
    masks.append(np.ones_like(masks[0]))
    free, found = np.ones_like(masks[0]), {}
    for name, mask in zip(GROUPS, masks, strict=True):
        found[name] = mask & free
        free &= ~mask
    return found


def _by_token(subject: Subject, shares: NDArray[np.float64]) -> BoolArray:
    """(n,) True for tokens that are covered by SHOWN or more in one of their frames, from shares (t, rows, columns)."""
    each = subject.grid.frames_per_step
    steps = [shares[at : at + each].max(axis=0).ravel() for at in range(0, len(shares), each)]
    return np.concatenate(steps) >= SHOWN


def _number(sample: Sample) -> int:
    return zlib.crc32(sample.id.encode())


def _random(pool: NDArray[np.int64], count: int, seed: list[int]) -> tuple[Positions, ...]:
    """Draw DRAWS sets of `count` positions; none where the pool is smaller."""
    generator = np.random.default_rng(seed)
    drawn = (generator.choice(pool, count, replace=False) for _ in range(DRAWS if len(pool) >= count else 0))
    return tuple(tuple(sorted(chosen.tolist())) for chosen in drawn)
