"""Integrated gradients: Captum's at a fixed number of path points, or as many points as the map needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from captum.attr import IntegratedGradients as Captum

from attrib.inputs.path_nodes import PathProfile, Segment
from attrib.inputs.space import Baseline, Inputs, Space, baseline_of, require_space
from attrib.method import Attribution, Batched, Method, require_at_least
from attrib.runtime.memory import batches

if TYPE_CHECKING:
    from torch import Tensor

    from attrib.subject import Subject

LEAST = 1e-5  # nats; less is rounding error and no useful divisor
FIRST = 8  # nodes of the first round


@dataclass(frozen=True)
class IntegratedGradients(Batched, Method):
    """(x - x') times the mean gradient on the straight path from a baseline x' (Sundararajan et al. 2017, eq. 3).

    `steps` points: Captum's IntegratedGradients with Gauss-Legendre nodes. With `steps` 0, mean-value nodes
    (`inputs.path_nodes`) are added until the completeness error is at most `tolerance`, up to `max_steps` gradients.
    Features are summed. Reports `completeness_error`, |sum - (f(x) - f(x'))| / |f(x) - f(x')|, and the numbers of
    gradients and forward passes.
    """

    reference: ClassVar[str] = "Sundararajan et al. 2017, eq. 3"

    steps: int = 0
    baseline: Baseline = "blur"
    space: Space = "pixels"
    tolerance: float = 0.01
    max_steps: int = 64
    batch: int = 1  # path points per forward and backward pass: each holds a whole video

    def __post_init__(self) -> None:
        require_space(self.space, self.baseline)
        require_at_least("steps", self.steps, 0)
        require_at_least("tolerance", self.tolerance, 0)
        require_at_least("max_steps", self.max_steps, 1)
        require_at_least("batch", self.batch, 1)

    def values(self, subject: Subject) -> Tensor:
        """Return signed nats per pixel or token; they add up to f(x) - f(x') except for the reported error."""
        return self.values_and_reports(subject).values

    def values_and_reports(self, subject: Subject) -> Attribution:
        """Return the values with `completeness_error`, `score_change` and the numbers of evaluations."""
        inputs = Inputs.of(subject, self.space)
        path = Path(inputs, baseline_of(subject, self.space, self.baseline), self.batch)
        known = {0.0: path.scores([0.0])[0], 1.0: float(subject.log_odds(subject.logprobs[None]))}
        change = known[1.0] - known[0.0]
        total = self._fixed(path) if self.steps else self._adaptive(path, PathProfile(path.scores, known))
        error = abs(float(total.cpu().double().sum()) - change) / max(abs(change), LEAST)
        reports = {"completeness_error": error, "score_change": change}
        costs = {"gradient_evaluations": float(path.gradients), "forward_evaluations": float(path.forwards)}
        return Attribution(inputs.volume(total[None]), {**reports, **costs})

    def _fixed(self, path: Path) -> Tensor:
        path.gradients += self.steps
        with torch.enable_grad():
            attributed: Tensor = Captum(path.inputs.score).attribute(
                path.inputs.values, path.baseline, n_steps=self.steps, method="gausslegendre",
                internal_batch_size=self.batch,
            )  # fmt: skip
        return attributed.detach()[0].sum(dim=1)

    def _adaptive(self, path: Path, profile: PathProfile) -> Tensor:
        pieces: dict[Segment, Piece] = {}
        new = profile.cut(min(FIRST, self.max_steps))
        while new:
            nodes = profile.nodes(new)
            for segment, node, (score, slope) in zip(new, nodes, path.slopes(nodes), strict=True):
                profile.known[node] = score
                share = (segment[1] - segment[0]) * slope
                pieces[segment] = Piece(node, share, float(share.cpu().double().sum()) - profile.change(segment))
            new = []
            for segment in self._worst(pieces, profile.change((0.0, 1.0)), (self.max_steps - path.gradients) // 2):
                node = pieces.pop(segment).node
                new += [(segment[0], node), (node, segment[1])]
        return sum((piece.share for piece in pieces.values()), start=path.zeros)

    def _worst(self, pieces: dict[Segment, Piece], change: float, most: int) -> list[Segment]:
        """Return the third of the segments with the largest errors, at most `most`; none once the sum is accurate."""
        if abs(sum(piece.error for piece in pieces.values())) <= max(self.tolerance * abs(change), LEAST):
            return []
        order = sorted(pieces, key=lambda segment: -abs(pieces[segment].error))
        return order[: min(most, max(1, len(order) // 3))]


@dataclass(frozen=True, eq=False)
class Piece:
    """A segment's node, its share of the attribution, and that share's error: its sum minus the score's change."""

    node: float
    share: Tensor
    error: float


@dataclass(eq=False)
class Path:
    """The straight path from a baseline to the inputs, run in batches of points; counts its evaluations."""

    inputs: Inputs
    baseline: Tensor
    batch: int
    gradients: int = 0
    forwards: int = 0

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

    def _points(self, at: Sequence[float]) -> Tensor:
        share = self.baseline.new_tensor([float(point) for point in at]).view(-1, *[1] * (self.baseline.ndim - 1))
        return self.baseline + share * (self.inputs.values - self.baseline)
