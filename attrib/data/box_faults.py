"""Boxes whose corners are not in order (x2 < x1 or y2 < y1), and a guess at the layout that they were written in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from attrib.data import annotation
from attrib.types.annotation import inverted

SWAPPED, SIZED = "boxes with corners the wrong way round", "boxes that look like x, y, width, height"
_SLACK = 0.02  # by which a box may leave the picture for its numbers to look like x, y, width, height
_HINTS = {SWAPPED: "their corners are the wrong way round", SIZED: "they look like x, y, width, height"}


def kind_of(boxes: NDArray[np.float64]) -> str:
    """Return which fault a video's boxes (n, 4) have; empty if all corners are in order.

    Where every box of the video would fit into the picture as x, y, width, height, that is the better guess.
    """
    if not inverted(boxes).any():
        return ""
    return SIZED if (boxes[:, :2] + boxes[:, 2:] <= 1 + _SLACK).all() else SWAPPED


def left_out(video_id: str, video: annotation.Video) -> Iterator[str]:
    """Yield a warning if boxes of the video are not used, with their number and a hint."""
    rows = [box for track in video.object_tracking for box in track.bounding_boxes]
    boxes = np.asarray(rows, np.float64).reshape(-1, 4)
    kind, count = kind_of(boxes), int(inverted(boxes).sum())
    if kind:
        yield f"{video_id}: {count} of {len(boxes)} boxes left out, expected x1, y1, x2, y2: {_HINTS[kind]}"
