"""Shares of cells that annotated boxes cover in each frame, for one sample and for other videos' samples.

Several boxes in a frame count as their exact union. Boxes of fully hidden objects are separate: nothing is visible
there. Other videos are compared at the same position and relative time.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attrib.types import Evidence, Sample, Track

Box = NDArray[np.floating[Any]]
Boxes = tuple[list[Box], list[Box]]  # of visible and of hidden objects
FloatArray = NDArray[np.float64]
PEERS = 64  # largest number of other videos' samples; thousands more would hardly change the mean


def evidence_tracks(sample: Sample) -> list[tuple[Evidence, Track]]:
    """Return evidence with its track; omits context and evidence without an annotated track."""
    tracks = {track.id: track for track in sample.tracks}
    return [(item, tracks[item.track]) for item in sample.evidence if item.role != "context" and item.track in tracks]


def evidence_boxes(sample: Sample, times: FloatArray) -> list[Boxes]:
    """Return the evidence's boxes at each of `times` (t,), each track only during its interval."""
    items = evidence_tracks(sample)
    active = [[track for item, track in items if item.start <= time < item.end] for time in times]
    return [boxes_at(float(time), tracks) for time, tracks in zip(times, active, strict=True)]


def visible_evidence(sample: Sample, times: FloatArray, rows: int, columns: int) -> FloatArray:
    """Return the share of each cell (t, rows, columns) that visible evidence covers; 0 from the sample's cut on."""
    shares = np.stack([coverage(visible, rows, columns) for visible, _ in evidence_boxes(sample, times)])
    shares[after_cut(sample, times)] = 0
    return shares


def after_cut(sample: Sample, times: FloatArray) -> NDArray[np.bool_]:
    """Return which of `times` (t,) are at or after the sample's cut, where annotation is no evidence."""
    return times >= (np.inf if sample.cut is None else sample.cut)


def length_of(sample: Sample) -> float:
    """Return the annotated length in seconds: the end of the last segment, or one step after the last box."""
    tracks = (
        float(track.times[-1] + np.median(np.diff(track.times))) for track in sample.tracks if len(track.times) > 1
    )
    return max((*tracks, *(segment.end for segment in sample.segments)), default=0.0)


def subsample(samples: Iterable[Sample], seed: int) -> tuple[Sample, ...]:
    """Return at most PEERS of `samples`, sorted by id; the selection depends on the seed and on all their ids."""
    known = sorted(samples, key=lambda sample: sample.id)
    if len(known) <= PEERS:
        return tuple(known)
    names = zlib.crc32("\n".join(sample.id for sample in known).encode())
    chosen = np.random.default_rng([seed, names]).choice(len(known), PEERS, replace=False)
    return tuple(known[index] for index in sorted(chosen))


def peers_with_evidence(peers: Iterable[Sample], seed: int) -> tuple[Sample, ...]:
    """Return the peers that represent the other videos' evidence: at most PEERS that have any."""
    return subsample((peer for peer in peers if evidence_tracks(peer)), seed)


def peer_evidence(peers: Sequence[Sample], shares: FloatArray, rows: int, columns: int) -> FloatArray:
    """Return shares (p, t, rows, columns) that each peer's visible evidence covers at `shares` (t,) of its length."""
    volumes = [visible_evidence(peer, shares * length_of(peer), rows, columns) for peer in peers]
    return np.stack(volumes) if volumes else np.zeros((0, len(shares), rows, columns))


def visible_tube(track: Track, times: FloatArray, rows: int, columns: int) -> FloatArray:
    """Return shares (t, rows, columns) that the track covers at `times` (t,), 0 where it is not visible."""
    return np.stack([coverage(boxes_at(float(time), [track])[0], rows, columns) for time in times])


def boxes_at(time: float, tracks: Iterable[Track]) -> Boxes:
    """Return the boxes of visible and of hidden objects at `time`; the nearest annotation decides which it is."""
    visible: list[Box] = []
    hidden: list[Box] = []
    for track in tracks:
        box = track.at(time)
        if box is not None:
            nearest = int(np.abs(track.times - time).argmin())
            (hidden if track.hidden[nearest] else visible).append(box)
    return visible, hidden


def coverage(boxes: Sequence[Box], rows: int, columns: int) -> FloatArray:
    """Return the share of each cell (rows, columns) that the union of the xyxy `boxes` covers, clipped to [0, 1].

    Exact: the frame is divided along every edge of every box and cell, and the covered areas are added up. A single box
    is the product of its shares of rows and of columns. An inverted box is empty.
    """
    edges = np.clip(np.asarray(boxes, np.float64).reshape(-1, 4), 0, 1)
    if not len(edges):
        return np.zeros((rows, columns))
    if len(edges) == 1:
        x1, y1, x2, y2 = edges[0]
        return np.outer(_overlap(y1, y2, rows), _overlap(x1, x2, columns))
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


def _overlap(low: float, high: float, cells: int) -> FloatArray:
    """Return the share of each of `cells` equal intervals of [0, 1] that is in [low, high)."""
    edges = np.arange(cells + 1) / cells
    return np.clip(np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1]), 0, None) * cells
