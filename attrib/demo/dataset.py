"""The built-in world as a data set: generated on first use, kept in the user's cache folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attrib.data.perception_test import PerceptionTest
from attrib.types import Sample


def cache_folder() -> Path:
    """`$ATTRIB_CACHE`, else `$XDG_CACHE_HOME/attrib`, else `~/.cache/attrib`."""
    named = os.environ.get("ATTRIB_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attrib"


@dataclass(frozen=True)
class Demo:
    """`videos` held-out videos of the built-in world, balanced over its question families; `seed` chooses them.

    They are written to `root`, or to the cache folder when it is empty, once for each setting, with `counterfactuals`
    also each video with something taken away: what counterfactual metrics and the model gate need.
    """

    videos: int = 24
    seed: int = 0
    root: str = ""
    counterfactuals: bool = True

    def __iter__(self) -> Iterator[Sample]:
        """Generate what is missing, then read it as any data set in the official layout."""
        from attrib.demo.generate import generate  # drawing code that only this data set needs

        name = f"demo-{self.videos}-{self.seed}" + "-counterfactual" * self.counterfactuals
        root = Path(self.root) if self.root else cache_folder() / name
        generate(root, videos=self.videos, seed=self.seed, split="valid", counterfactuals=self.counterfactuals)
        yield from PerceptionTest(str(root))
