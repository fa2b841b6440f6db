"""Content of a page of layers: rows of maps, the selection of rows and frames to draw, and the heading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attrib.errors import InputError

PERCENTILE = 99.5  # full colour stands for this percentile of the drawn values


@dataclass(frozen=True)
class Heading:
    """Text above: `title`, then `answers`, each with a flag for the model's own, then `below` in small letters.

    `notes` at the foot explain cells, rows and boxes.
    """

    title: str
    answers: tuple[tuple[str, bool], ...] = ()
    below: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class LayerRows:
    """Attention on each visual token: `maps` (r, t, h, w), not negative, of rows called `names` (r,) of one `kind`.

    `mass` (r,) is each row's sum over the video, in [0, 1]; `shown` (r,) selects the rows on the page, those above
    `threshold`. `overall` (t, h, w) is the page's last line; `columns` has the indices of its frames.
    Raises InputError if shapes disagree.
    """

    kind: str
    names: tuple[str, ...]
    maps: NDArray[np.float32]
    mass: NDArray[np.float64]
    shown: NDArray[np.bool_]
    threshold: float
    overall: NDArray[np.float32]
    columns: tuple[int, ...]

    def __post_init__(self) -> None:
        count = len(self.names)
        shapes: tuple[Any, ...] = (self.maps.shape[:1], self.mass.shape, self.shown.shape)
        if self.maps.ndim != 4 or shapes != ((count,),) * 3 or self.overall.shape != self.maps.shape[1:]:
            raise InputError(f"rows: expected {count} maps (t, h, w), masses and flags, got {shapes}")
        if not self.columns or not all(0 <= column < self.maps.shape[1] for column in self.columns):
            raise InputError(f"columns: expected frames from 0 to {self.maps.shape[1] - 1}, got {self.columns}")

    def values(self, row: int | None) -> NDArray[np.float32]:
        """Map (t, h, w) of a row; of the last line for None."""
        return self.overall if row is None else np.asarray(self.maps[row])

    @property
    def drawn(self) -> NDArray[np.float32]:
        """Values of the whole page, (lines, columns, h, w)."""
        return np.concatenate([self.maps[self.shown], self.overall[None]])[:, list(self.columns)]

    @property
    def top(self) -> float:
        """Attention that full colour stands for."""
        return float(np.percentile(self.drawn, PERCENTILE)) or float(self.drawn.max())

    def level(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scale values to [0, 1] for the colour map: the square roots of their shares of `top`."""
        top = self.top
        return np.sqrt(np.clip(values / top, 0, 1)).astype(np.float32) if top > 0 else np.zeros_like(values)


def spaced(count: int, most: int, profile: Sequence[float] | None = None) -> tuple[int, ...]:
    """Return the indices of at most `most` of `count` frames, in order of time.

    They are evenly spaced with both ends or, given a `profile`, the frames with its greatest values. Raises InputError
    if `most` is less than 1.
    """
    if most < 1:
        raise InputError(f"columns: expected at least 1 frame, got {most}")
    if profile is None:
        return tuple(np.unique(np.rint(np.linspace(0, count - 1, min(most, count))).astype(int)).tolist())
    order = np.argsort(-np.asarray(profile), kind="stable")
    return tuple(sorted(order[: min(most, count)].tolist()))
