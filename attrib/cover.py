"""Which share of which cell, in which frame, the annotated boxes cover.

Several boxes in a frame count as their exact union; a box while its object is fully hidden says where nothing can be
seen, and is kept apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attrib.types import Evidence, Sample, Track

Box = NDArray[np.floating[Any]]
Boxes = tuple[list[Box], list[Box]]  # of visible and of hidden objects
FloatArray = NDArray[np.float64]


def evidence_tracks(sample: Sample) -> list[tuple[Evidence, Track]]:
    """The evidence but for context, each with its track; what names no annotated track is left out."""
    tracks = {track.id: track for track in sample.tracks}
    return [(item, tracks[item.track]) for item in sample.evidence if item.role != "context" and item.track in tracks]


def evidence_boxes(sample: Sample, times: FloatArray) -> list[Boxes]:
    """The evidence's boxes at each of `times` (t,), each track only during its interval."""
    items = evidence_tracks(sample)
    active = [[track for item, track in items if item.start <= time < item.end] for time in times]
    return [boxes_at(float(time), tracks) for time, tracks in zip(times, active, strict=True)]


def visible_evidence(sample: Sample, times: FloatArray, rows: int, columns: int) -> FloatArray:
    """(t, rows, columns) shares that visible evidence covers."""
    return np.stack([coverage(visible, rows, columns) for visible, _ in evidence_boxes(sample, times)])


def visible_tube(track: Track, times: FloatArray, rows: int, columns: int) -> FloatArray:
    """(t, rows, columns) shares that the track covers at those of `times` (t,) at which it can be seen."""
    return np.stack([coverage(boxes_at(float(time), [track])[0], rows, columns) for time in times])


def boxes_at(time: float, tracks: Iterable[Track]) -> Boxes:
    """The known boxes of visible and of hidden objects at `time`; the nearest annotation says which one is."""
    visible: list[Box] = []
    hidden: list[Box] = []
    for track in tracks:
        box = track.at(time)
        if box is not None:
            nearest = int(np.abs(track.times - time).argmin())
            (hidden if track.hidden[nearest] else visible).append(box)
    return visible, hidden


def coverage(boxes: Sequence[Box], rows: int, columns: int) -> FloatArray:
    """(rows, columns) share of each cell that the union of the xyxy `boxes` covers; what lies outside [0, 1] is cut.

    Exact: the frame is cut along every edge of every box and cell, and the pieces are added up. An inverted box is
    empty.
    """
    edges = np.clip(np.asarray(boxes, np.float64).reshape(-1, 4), 0, 1)
    x, y = (np.unique(np.r_[np.arange(count + 1) / count, edges[:, axis], edges[:, axis + 2]])
            for axis, count in ((0, columns), (1, rows)))  # fmt: skip
    middle_x, middle_y = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
    covered = np.zeros((len(middle_y), len(middle_x)), bool)
    for x1, y1, x2, y2 in edges:
        covered |= np.outer((middle_y > y1) & (middle_y < y2), (middle_x > x1) & (middle_x < x2))
    area = covered * np.outer(np.diff(y), np.diff(x))
    cells = np.zeros((rows, columns))
    np.add.at(cells, ((middle_y * rows).astype(int)[:, None], (middle_x * columns).astype(int)), area)
    return cells * rows * columns
