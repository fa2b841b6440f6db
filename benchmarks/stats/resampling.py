"""Number of resamples of a statistic, their seed, and the draws themselves, some at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS_AT_ONCE = 2_000_000  # bounds the memory of the resampling, whatever the number of videos
DRAWS = 512  # of which temporary copies are made at once
KEPT = 100_000_000  # numbers of one byte: up to so many, the last draws are kept for the next columns
SINGLE = 100  # videos from which on draws are summed in single precision: it rounds 1e4 times less than draws vary


@dataclass(frozen=True)
class Resampling:
    """Number of bootstrap or permutation draws, and the seed that they come from."""

    resamples: int = 10_000
    seed: int = 0

    def counts(self, videos: int) -> Iterator[NDArray[Any]]:
        """Yield blocks (draws, videos): how often each video is among as many drawn with replacement."""
        if self.resamples * videos > KEPT:
            yield from _counts(self, videos)
        else:
            yield from _kept_counts(self, videos)

    def signs(self, videos: int) -> Iterator[NDArray[Any]]:
        """Yield blocks (draws, videos) of 1 and -1."""
        generator = np.random.default_rng(self.seed)
        for rows in self.rows(videos):
            yield 2 * generator.integers(0, 2, (rows, videos), np.int8) - 1

    def rows(self, width: int) -> Iterator[int]:
        """Yield the numbers of draws of `width` values that are made at once; they add up to all."""
        most = max(1, DRAWS_AT_ONCE // max(1, width))
        for start in range(0, self.resamples, most):
            yield min(most, self.resamples - start)


USUAL = Resampling()


def _counts(resampling: Resampling, videos: int) -> Iterator[NDArray[Any]]:
    generator = np.random.default_rng(resampling.seed)
    for rows in resampling.rows(videos):
        drawn = generator.integers(0, videos, (rows, videos))
        drawn += videos * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)


@lru_cache(maxsize=1)
def _kept_counts(resampling: Resampling, videos: int) -> tuple[NDArray[Any], ...]:
    return tuple(block.astype(np.uint8) for block in _counts(resampling, videos))  # 256 times one video: never


def precision(videos: int) -> type[np.floating[Any]]:
    """Return the kind of numbers in which the draws of so many videos are summed."""
    return np.float32 if videos >= SINGLE else np.float64


def parts(draws: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield so many draws at a time that the sums of some columns stay in the processor's cache."""
    return (draws[at : at + DRAWS] for at in range(0, len(draws), DRAWS))
