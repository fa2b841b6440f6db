"""Nodes at which to compute gradients along a path, selected by the score, which costs one forward pass per point.

By the mean value theorem, every segment of the path has a point where the slope of the score equals its mean slope over
the segment. The gradient at that point, weighted by the segment's length, represents the segment. The score locates it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Segment = tuple[float, float]
SURVEY = 16  # equal intervals of the first survey
MOST = 24  # points of the survey after steep intervals are halved
STEEP = 0.08  # share of the path's whole variation above which an interval is halved
POLISH = 2  # parabolas per node
NEAR = 0.002  # of a segment: closer to a known point, rounding would bend the parabola


class PathProfile:
    """A score along [0, 1] at known points; `score` computes it at others. Both ends must be known."""

    def __init__(self, score: Callable[[Sequence[float]], Iterable[float]], known: Mapping[float, float]) -> None:
        self._score, self.known = score, dict(known)

    def at(self, points: Iterable[float]) -> NDArray[np.float64]:
        """Return the score at `points`; compute it where it is not known yet."""
        wanted = [float(point) for point in points]
        fresh = sorted(set(wanted) - set(self.known))
        if fresh:
            self.known.update(zip(fresh, self._score(fresh), strict=True))
        return np.array([self.known[point] for point in wanted])

    def change(self, segment: Segment) -> float:
        """Return the score at the segment's end minus that at its start: the exact integral of the slope."""
        start, end = self.at(segment)
        return float(end - start)

    def cut(self, count: int) -> list[Segment]:
        """Divide [0, 1] into at most `count` segments of equal variation plus length, after a survey of the path."""
        points = self._survey()
        variation = np.abs(np.diff(self.at(points)))
        share = variation / max(variation.sum(), 1e-12) + np.diff(points)
        cumulative = np.concatenate([[0], np.cumsum(share)]) / share.sum()
        edges = {int(np.abs(cumulative - goal).argmin()) for goal in np.linspace(0, 1, count + 1)}
        return list(pairwise(points[i] for i in sorted(edges)))

    def _survey(self) -> list[float]:
        points = [float(point) for point in np.linspace(0, 1, SURVEY + 1)]
        while True:
            variation = np.abs(np.diff(self.at(points)))
            order = np.argsort(-variation, kind="stable")[: MOST - len(points)]
            steep = [i for i in order if variation[i] > STEEP * variation.sum() and points[i + 1] - points[i] > 1e-3]
            if len(points) >= MOST or not steep:
                return points
            points = sorted([*points, *((points[i] + points[i + 1]) / 2 for i in steep)])

    def nodes(self, segments: Sequence[Segment]) -> list[float]:
        """Return the point in each segment where the slope is the mean slope: the furthest from the chord."""
        sparse = [segment for segment in segments if len(self._inside(segment)) < 3]
        self.at(start + share * (end - start) for start, end in sparse for share in (0.25, 0.5, 0.75))
        for _ in range(POLISH):
            self.at(self._vertex(segment) for segment in segments)
        return [self._vertex(segment) for segment in segments]

    def _inside(self, segment: Segment) -> list[float]:
        return sorted(point for point in self.known if segment[0] < point < segment[1])

    def _vertex(self, segment: Segment) -> float:
        """Return the vertex of the parabola through the known point furthest from the chord and its neighbours."""
        start, end = segment
        points = np.array([start, *self._inside(segment), end])
        scores = self.at(points)
        distance = scores - scores[0] - (scores[-1] - scores[0]) * (points - start) / (end - start)
        middle = int(np.abs(distance[1:-1]).argmax()) + 1
        (x0, x1, x2), (y0, y1, y2) = points[middle - 1 : middle + 2], distance[middle - 1 : middle + 2]
        left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
        bend = (right - left) / (x2 - x0)
        vertex = (x0 + x1) / 2 - left / (2 * bend) if abs(bend) > 1e-12 else x1
        margin = 0.02 * (x2 - x0)
        return float(x1 if abs(vertex - x1) < NEAR * (end - start) else np.clip(vertex, x0 + margin, x2 - margin))
