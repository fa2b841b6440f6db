"""Built-in world as a data set: generated on first use and cached in the user's cache folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attrib.data.perception_test import PerceptionTest
from attrib.types import Sample


def cache_folder() -> Path:
    """Path of the cache: `$ATTRIB_CACHE`, else `$XDG_CACHE_HOME/attrib`, else `~/.cache/attrib`."""
    named = os.environ.get("ATTRIB_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attrib"


@dataclass(frozen=True)
class Demo:
    """`videos` held-out videos of the built-in world, balanced over its question families; `seed` selects them.

    They are generated once for each setting, into `root` or, if that is empty, into the cache folder. `counterfactuals`
    adds copies of each video with content removed, which counterfactual metrics and the model gate require.
    """

    videos: int = 24
    seed: int = 0
    root: str = ""
    counterfactuals: bool = True

    def __iter__(self) -> Iterator[Sample]:
        """Generate the data set if it is missing, then read it like any data set in the official layout."""
        from attrib.demo.generate import generate  # drawing code that only this data set needs

        name = f"demo-{self.videos}-{self.seed}" + "-counterfactual" * self.counterfactuals
        root = Path(self.root) if self.root else cache_folder() / name
        generate(root, videos=self.videos, seed=self.seed, split="valid", counterfactuals=self.counterfactuals)
        yield from PerceptionTest(str(root))
