"""Independent pieces of a computation in threads: NumPy works outside of Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

MOST = 4  # threads: each has arrays of its own
Given = TypeVar("Given")
Result = TypeVar("Result")


def in_threads(function: Callable[[Given], Result], pieces: Sequence[Given]) -> list[Result]:
    """Return the function's result for each piece, in order, from as many threads as this process has processors."""
    with ThreadPoolExecutor(min(MOST, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, pieces))
