"""Mean saliency in the cells of a grid, and the error for items that cannot be scored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attrib.errors import InputError
from attrib.subject import Subject
from attrib.types import SaliencyVolume

FloatArray = NDArray[np.floating[Any]]
TOLERANCE = 1e-6  # relative; smaller differences are rounding of a constant in float32 (steps of 1e-7)


class UndefinedError(Exception):
    """An item has no value; the message is the reason in its result row."""


def cell_values(volume: SaliencyVolume, subject: Subject, rows: int, columns: int) -> NDArray[np.float64]:
    """Return mean signed saliency per cell (t, rows, columns). Raises InputError if it is of another clip."""
    times = subject.clip.times
    if volume.times.shape != times.shape or not np.allclose(volume.times, times, rtol=0, atol=1e-3):
        raise InputError(
            f"volume: expected the clip's {len(times)} frames from {times[0]:.3f} to {times[-1]:.3f} s, "
            f"got {len(volume.times)} from {volume.times[0]:.3f} to {volume.times[-1]:.3f} s"
        )
    return volume.on_grid(rows, columns).values.astype(np.float64)


def on_tokens(volume: SaliencyVolume, subject: Subject) -> NDArray[np.float64]:
    """Return the mean signed saliency per cell of the token grid (t, rows, columns); raises like `cell_values`."""
    return cell_values(volume, subject, subject.grid.rows, subject.grid.columns)


def require_contrast(values: FloatArray) -> None:
    """Raise UndefinedError when `values` rank nothing: all zero, or all equal."""
    largest = float(np.abs(values).max())
    if largest == 0:
        raise UndefinedError("the saliency is zero everywhere")
    if float(np.ptp(values)) <= TOLERANCE * largest:
        raise UndefinedError("the saliency is the same everywhere")
