"""Validation of values when they are constructed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attrib.errors import InputError

FloatArray = NDArray[np.floating[Any]]


def require(condition: bool, message: str) -> None:
    """Raise InputError with `message` unless `condition` holds."""
    if not condition:
        raise InputError(message)


def check_times(times: FloatArray, count: int, owner: str) -> None:
    """Raise InputError unless `times` are `count` finite, strictly increasing real numbers."""
    require(times.shape == (count,), f"{owner}: expected {count} times, got an array of shape {times.shape}")
    require(times.dtype.kind in "fiu", f"{owner}: expected real times, got {times.dtype}")
    require(bool(np.isfinite(times).all()), f"{owner}: times must be finite")
    require(bool((np.diff(times) > 0).all()), f"{owner}: times must increase strictly")
