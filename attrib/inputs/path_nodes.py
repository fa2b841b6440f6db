"""Nodes at which to take gradients along a path, chosen by the score, which costs a forward pass a point.

By the mean value theorem every segment of the path has a point where the slope of the score is its mean slope over the
segment. A gradient taken there stands for the segment with its length as weight; the score says where that is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Segment = tuple[float, float]
SURVEY = 16  # even intervals that are looked at first
MOST = 24  # points of the survey once steep intervals are halved
STEEP = 0.08  # share of the path's whole variation above which an interval is halved
POLISH = 2  # parabolas per node
NEAR = 0.002  # of a segment: closer to a known point, rounding would bend the parabola


class Profile:
    """A score along [0, 1] at the points known so far; `score` gives it at others. Both ends must be known."""

    def __init__(self, score: Callable[[Sequence[float]], Iterable[float]], known: Mapping[float, float]) -> None:
        self._score, self.known = score, dict(known)

    def at(self, points: Iterable[float]) -> NDArray[np.float64]:
        """The score at `points`; those not known yet are asked for."""
        wanted = [float(point) for point in points]
        fresh = sorted(set(wanted) - set(self.known))
        if fresh:
            self.known.update(zip(fresh, self._score(fresh), strict=True))
        return np.array([self.known[point] for point in wanted])

    def change(self, segment: Segment) -> float:
        """The score at the segment's end minus that at its start: the exact integral of the slope."""
        start, end = self.at(segment)
        return float(end - start)

    def cut(self, count: int) -> list[Segment]:
        """[0, 1] in at most `count` segments that share variation and length evenly, after a survey of the path."""
        points = self._survey()
        variation = np.abs(np.diff(self.at(points)))
        share = variation / max(variation.sum(), 1e-12) + np.diff(points)
        reached = np.concatenate([[0], np.cumsum(share)]) / share.sum()
        edges = {int(np.abs(reached - goal).argmin()) for goal in np.linspace(0, 1, count + 1)}
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
        """One point in each segment where the slope is the segment's mean slope: furthest from the chord."""
        lacking = [segment for segment in segments if len(self._inside(segment)) < 3]
        self.at(start + share * (end - start) for start, end in lacking for share in (0.25, 0.5, 0.75))
        for _ in range(POLISH):
            self.at(self._vertex(segment) for segment in segments)
        return [self._vertex(segment) for segment in segments]

    def _inside(self, segment: Segment) -> list[float]:
        return sorted(point for point in self.known if segment[0] < point < segment[1])

    def _vertex(self, segment: Segment) -> float:
        """The vertex of the parabola through the known point furthest from the chord and its neighbours."""
        start, end = segment
        points = np.array([start, *self._inside(segment), end])
        scores = self.at(points)
        away = scores - scores[0] - (scores[-1] - scores[0]) * (points - start) / (end - start)
        middle = int(np.abs(away[1:-1]).argmax()) + 1
        (x0, x1, x2), (y0, y1, y2) = points[middle - 1 : middle + 2], away[middle - 1 : middle + 2]
        left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
        bend = (right - left) / (x2 - x0)
        vertex = (x0 + x1) / 2 - left / (2 * bend) if abs(bend) > 1e-12 else x1
        margin = 0.02 * (x2 - x0)
        return float(x1 if abs(vertex - x1) < NEAR * (end - start) else np.clip(vertex, x0 + margin, x2 - margin))
