"""Number of resamples of a statistic, and their seed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resampling:
    """Number of bootstrap or permutation draws, and the seed that they come from."""

    resamples: int = 10_000
    seed: int = 0


USUAL = Resampling()
