"""Straight path from a baseline to the inputs: scores and gradients at its points, and its integral for reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attrib.inputs.space import Baseline, Inputs, Space, baseline_of
from attrib.runtime.memory import batches

if TYPE_CHECKING:
    from torch import Tensor

    from attrib.subject import Subject

FEWEST, MOST = 64, 1024  # intervals of the integral for reference
ACCURACY = 0.01  # that it has to reach
LEAST = 1e-5  # nats; less is rounding error and no useful divisor


@dataclass(frozen=True, eq=False)
class Reference:
    """Densely sampled integral; `moved`: share of its L2 norm by which the last halving of the intervals changed it."""

    values: Tensor
    moved: float
    gradients: int

    def distance(self, values: Tensor) -> float:
        """Return the L2 distance of other values over the norm of these; infinite for values beside zeros."""
        away, norm = float((values.cpu().double() - self.values).norm()), float(self.values.norm())
        return away / norm if norm else float("inf") if away else 0.0


@dataclass(eq=False)
class Path:
    """The straight path from a baseline to the inputs, run in batches of points; counts its evaluations."""

    inputs: Inputs
    baseline: Tensor
    batch: int
    gradients: int = 0
    forwards: int = 0

    @staticmethod
    def of(subject: Subject, space: Space, baseline: Baseline, batch: int) -> Path:
        """Return the path from the subject's baseline to its pixels or visual tokens."""
        return Path(Inputs.of(subject, space), baseline_of(subject, space, baseline), batch)

    @property
    def zeros(self) -> Tensor:
        """Zeros with one value per location."""
        return torch.zeros_like(self.baseline[0, :, 0])

    def scores(self, at: Sequence[float]) -> list[float]:
        """Return the score at each point, by forward passes."""
        self.forwards += len(at)
        with torch.no_grad():
            scores = [self.inputs.score(self._points(at[chunk])) for chunk in batches(len(at), self.batch)]
        return [float(score) for batch in scores for score in batch]

    def slopes(self, at: Sequence[float]) -> Iterable[tuple[float, Tensor]]:
        """Yield the score and (x - x') times the gradient, features summed, at each point."""
        self.gradients += len(at)
        change = self.inputs.values - self.baseline
        for chunk in batches(len(at), self.batch):
            with torch.enable_grad():
                points = self._points(at[chunk]).requires_grad_()
                scores = self.inputs.score(points)
                (gradients,) = torch.autograd.grad(scores.sum(), points)
            slopes = (change * gradients).sum(dim=2)
            yield from zip(scores.tolist(), slopes, strict=True)

    def integral(self, change: float) -> Reference:
        """Return the mean of `slopes` over the whole path, for reference, by the trapezoidal rule.

        From FEWEST intervals on these are halved until that changes the map by at most ACCURACY of its L2 norm and its
        sum is as close to `change`, the difference of the score; up to MOST intervals.
        """
        count = FEWEST
        total = (self._sum([0.0, 1.0]) / 2 + self._sum([i / count for i in range(1, count)])) / count
        while True:
            middle = self._sum([(i + 0.5) / count for i in range(count)]) / count
            total, before, count = (total + middle) / 2, total, 2 * count
            moved = Reference(total, 0, 0).distance(before)
            missing = abs(float(total.sum()) - change)
            if count >= MOST or (moved <= ACCURACY and missing <= max(ACCURACY * abs(change), LEAST)):
                return Reference(total, moved, count + 1)

    def _sum(self, at: Sequence[float]) -> Tensor:
        return sum((slope.cpu().double() for _, slope in self.slopes(at)), start=self.zeros.cpu().double())

    def _points(self, at: Sequence[float]) -> Tensor:
        share = self.baseline.new_tensor([float(point) for point in at]).view(-1, *[1] * (self.baseline.ndim - 1))
        return self.baseline + share * (self.inputs.values - self.baseline)
