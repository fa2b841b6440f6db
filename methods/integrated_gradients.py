"""Integrated gradients: Captum's at a fixed number of path points, or as many points as the map needs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from captum.attr import IntegratedGradients as Captum

from attrib.inputs.path import LEAST, Path
from attrib.inputs.path_nodes import PathProfile, Segment
from attrib.inputs.space import Baseline, Space, require_space
from attrib.method import Attribution, Batched, Method, require_at_least
from attrib.runtime.selection import is_selected
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from torch import Tensor

    from attrib.subject import Subject

FIRST = 8  # nodes of the first round


@dataclass(frozen=True)
class IntegratedGradients(Batched, Method):
    r"""(x - x') times the mean gradient on the straight path from a baseline x' (Sundararajan et al. 2017, eq. 3).

    `steps` points: Captum's IntegratedGradients with Gauss-Legendre nodes. With `steps` 0, mean-value nodes
    (`inputs.path_nodes`) are added until the completeness error is at most `tolerance`, up to `max_steps` gradients.
    Features are summed. Reports `completeness_error`, |sum - (f(x) - f(x'))| / |f(x) - f(x')|, and the numbers of
    gradients and forward passes. For a share of the samples, `checked`, also `reference_error`: the map's L2 distance
    to one of 129 to 1025 gradients (`Path.integral`), over the norm of that; and `reference_change`, by how much that
    one's last refinement changed it. The time that this takes is not counted as the method's.

    $$M_i = \sum_c (x_{ci} - x'_{ci}) \int_0^1 \frac{\partial f}{\partial x_{ci}}(x' + \alpha (x - x')) \, d\alpha$$
    """

    reference: ClassVar[str] = "Sundararajan et al. 2017, eq. 3"

    steps: int = 0  # points on the path; 0: as many as `tolerance` takes
    baseline: Baseline = "blur"
    space: Space = "pixels"
    tolerance: float = 0.01  # completeness error at which no more points are added
    max_steps: int = 64  # most gradients with `steps` 0
    batch: int = 1  # path points per forward and backward pass: each holds a whole video
    checked: float = 0.1  # share of a data set's samples, selected by a hash of their ids; 1: other videos too

    def __post_init__(self) -> None:
        require_space(self.space, self.baseline)
        require_at_least("steps", self.steps, 0)
        require_at_least("tolerance", self.tolerance, 0)
        require_at_least("max_steps", self.max_steps, 1)
        require_at_least("batch", self.batch, 1)
        if not 0 <= self.checked <= 1:
            raise ValueError(f"checked: expected a share from 0 to 1, got {self.checked}")

    @property
    def footprint(self) -> Footprint:
        """Backward passes of a batch."""
        return Footprint("everything", self.space, self.batch, blurred=self.baseline == "blur")

    def values(self, subject: Subject) -> Tensor:
        """Return signed nats per pixel or token; they add up to f(x) - f(x') except for the reported error."""
        return self.values_and_reports(subject).values

    def values_and_reports(self, subject: Subject) -> Attribution:
        """Return the values with `completeness_error`, `score_change` and the numbers of evaluations."""
        path = Path.of(subject, self.space, self.baseline, self.batch)
        known = {0.0: path.scores([0.0])[0], 1.0: float(subject.log_odds(subject.logprobs[None]))}
        change = known[1.0] - known[0.0]
        total = self._fixed(path) if self.steps else self._adaptive(path, PathProfile(path.scores, known))
        error = abs(float(total.cpu().double().sum()) - change) / max(abs(change), LEAST)
        costs = {"gradient_evaluations": float(path.gradients), "forward_evaluations": float(path.forwards)}
        reports = {"completeness_error": error, "score_change": change, **costs}
        values, began = path.inputs.volume(total[None]), time.perf_counter()
        if self._is_checked(subject):
            reference = path.integral(change)
            reports |= {"reference_error": reference.distance(total), "reference_change": reference.moved}
        return Attribution(values, reports, aside=time.perf_counter() - began)

    def _is_checked(self, subject: Subject) -> bool:
        return self.checked == 1 if subject.sample is None else is_selected(subject.sample.id, self.checked)

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
