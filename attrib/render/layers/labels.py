"""Placement of box labels on a small picture: near their box, clear of other labels, and over few other boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from attrib.render.options import Box
from attrib.render.text import drawable, shortened, text_width

SIZE = 4.4  # letter size in points
_PAD = 2.0  # points around the words
_ROOM = 62.0  # points of a label, at most
_FINE = 10  # pixels by which a point is measured
_LINES = 2  # most lines between a label and its box
_COVERED, _FAR, _SHORT = (
    12.0,
    2.0,
    3.0,
)  # costs of covering a box, of each line away, of the id alone


@dataclass(frozen=True)
class Tag:
    """Rectangle of a label in shares of the frame, and its distance from its box in lines."""

    label: str
    left: float
    right: float
    top: float
    bottom: float
    away: int

    def line(self, box: Box) -> tuple[tuple[float, float], tuple[float, float]]:
        """Line, (x, x) and (y, y), from the label to its box."""
        x1, y1, x2, y2 = box.corners
        x = float(np.clip((x1 + x2) / 2, self.left, self.right))
        return (x, (x1 + x2) / 2), (self.bottom, y1) if self.bottom <= y1 else (self.top, y2)

    def over(self, corners: tuple[float, float, float, float]) -> float:
        """Share of the label that is inside a rectangle."""
        wide = min(self.right, corners[2]) - max(self.left, corners[0])
        tall = min(self.bottom, corners[3]) - max(self.top, corners[1])
        return max(wide, 0) * max(tall, 0) / ((self.right - self.left) * (self.bottom - self.top))


def place_labels(boxes: Sequence[Box], cell: tuple[float, float]) -> list[Tag]:
    """Return a tag for each box, in their order, on a picture of `cell` (width, height) inches.

    Labels shrink to their ids where words would cover too much; they overlap only if no free position is left.
    """
    tags: list[Tag] = []
    for box in boxes:
        others = [other.corners for other in boxes if other is not box]
        choices = list(_choices(box, cell))
        free = [tag for tag in choices if not any(tag.over((t.left, t.top, t.right, t.bottom)) > 0 for t in tags)]
        tags.append(min(free or choices, key=lambda tag: _cost(tag, box, others)))
    return tags


def _cost(tag: Tag, box: Box, others: Sequence[tuple[float, float, float, float]]) -> float:
    covered = sum(tag.over(corners) for corners in others) + tag.over(box.corners)
    return _COVERED * covered + _FAR * tag.away + _SHORT * (tag.label != _words(box))


def _words(box: Box) -> str:
    return shortened(drawable(box.label), round(SIZE * _FINE), _ROOM * _FINE)


def _choices(box: Box, cell: tuple[float, float]) -> Iterator[Tag]:
    """Yield candidate tags above, below and inside the box and on either side; with the label, then with the id."""
    x1, y1, x2, y2 = box.corners
    tall = (SIZE + _PAD) / 72 / cell[1]
    for label in dict.fromkeys((_words(box), box.label.split(" : ")[0])):
        wide = (_width(label) + _PAD) / 72 / cell[0]
        rows = [(y1 - k * tall, k) for k in range(_LINES)] + [(y2 + (k + 1) * tall, k) for k in range(_LINES)]
        for bottom, away in [*rows, (y1 + tall, 0)]:
            for start in (x1, (x1 + x2 - wide) / 2, x2 - wide, x1 - wide, x2):
                left = float(np.clip(start, 0, max(1 - wide, 0)))
                if tall <= bottom <= 1 + 1e-9:
                    yield Tag(label, left, left + wide, bottom - tall, bottom, away)


def _width(text: str) -> float:
    """Width of `text` in points."""
    return text_width(text, round(SIZE * _FINE)) / _FINE
