"""Conformance check of imputers."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from attrib.imputer import BoolArray, Canvas, Imputer, PixelImputer, TokenImputer
from attrib.model import TokenGrid
from attrib.testing.toy_model import COLUMNS, FRAMES, ROWS
from attrib.testing.toy_world import RED, toy_subject


def check_imputer(imputer: Imputer) -> None:
    """Raise AssertionError unless `imputer` fulfils the contract of attrib.Imputer on the toy clip.

    Its parameters are JSON and identify it. Without removed cells nothing changes, and equal calls have equal results.
    Kept pixels do not change; removed ones do, and stay finite and within [0, 1]. The caller's pixels and random state
    do not change. A token imputer drops tokens when all cells are removed.
    """
    json.dumps(asdict(imputer))
    assert imputer == type(imputer)(**asdict(imputer)), f"{imputer}: expected it to equal one with its parameters"
    hash(imputer)
    if isinstance(imputer, PixelImputer):
        _check_pixels(imputer)
    else:
        assert isinstance(imputer, TokenImputer), f"{imputer}: expected a PixelImputer or a TokenImputer"
        for grid in (TokenGrid(FRAMES, ROWS, COLUMNS), TokenGrid(3, 2 * ROWS, 2 * COLUMNS, frames_per_step=2)):
            _check_tokens(imputer, grid)


def _check_pixels(imputer: PixelImputer) -> None:
    pixels = torch.rand(toy_subject().pixels.shape, generator=torch.Generator().manual_seed(2**20 + 7))
    original, state = pixels.clone(), torch.get_rng_state()
    for removed in _removals(FRAMES):
        version = imputer.prepare(Canvas(pixels, ROWS, COLUMNS))(removed)
        _check_version(imputer, version, original, removed)
        again = imputer.prepare(Canvas(pixels, ROWS, COLUMNS))(removed)
        assert torch.equal(version, again), f"{imputer}: two calls differ"
    fill = imputer.prepare(Canvas(pixels, ROWS, COLUMNS))
    _, some, every = (fill(removed) for removed in _removals(FRAMES))
    fresh = imputer.prepare(Canvas(pixels, ROWS, COLUMNS))(_removals(FRAMES)[2])
    assert torch.equal(every, fresh) and some.shape == every.shape, f"{imputer}: a version depends on earlier ones"
    assert torch.equal(pixels, original), f"{imputer}: the clip's pixels were changed"
    assert torch.equal(torch.get_rng_state(), state), f"{imputer}: it uses torch's global generator"


def _check_version(imputer: PixelImputer, version: Tensor, pixels: Tensor, removed: BoolArray) -> None:
    assert version.shape == pixels.shape and version.dtype == pixels.dtype, (
        f"{imputer}: expected {pixels.dtype} {tuple(pixels.shape)}, got {version.dtype} {tuple(version.shape)}"
    )
    assert bool(((version >= 0) & (version <= 1)).all()), f"{imputer}: expected finite values in [0, 1]"
    hidden = Canvas(pixels, ROWS, COLUMNS).per_pixel(removed)[:, None].expand_as(pixels)
    assert torch.equal(version[~hidden], pixels[~hidden]), f"{imputer}: kept pixels were changed"
    assert not removed.any() or not torch.equal(version[hidden], pixels[hidden]), f"{imputer}: removed cells still show"


def _check_tokens(imputer: TokenImputer, grid: TokenGrid) -> None:
    tokens = len(range(0, grid.frames, grid.frames_per_step)) * grid.rows * grid.columns
    none, some, every = _removals(grid.frames)
    for removed in (none, some, every):
        keep = imputer.keep(removed, grid)
        assert keep.shape == (tokens,) and keep.dtype == torch.bool, (
            f"{imputer}: expected {tokens} booleans, got {keep.dtype} {tuple(keep.shape)}"
        )
        assert torch.equal(keep, imputer.keep(removed, grid)), f"{imputer}: two calls differ"
    assert bool(imputer.keep(none, grid).all()), f"{imputer}: it drops tokens of kept cells"
    assert not bool(imputer.keep(every, grid).all()), f"{imputer}: it drops no token when every cell is removed"


def _removals(frames: int) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Return masks with no cell removed, the red one in its frame, and all."""
    none = np.zeros((frames, ROWS, COLUMNS), bool)
    some = none.copy()
    some[RED] = True
    return none, some, ~none
