"""Attention of the few heads that localise objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from attrib.attention.statistics import HeadStatistics, answer_statistics
from attrib.errors import AttributionError
from attrib.method import Method, require_at_least
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

CANDIDATES = 10  # heads of lowest entropy that each sample of a calibration split votes for
Head = tuple[int, int]  # layer, head


@dataclass(frozen=True)
class LocalizationHeads(Method):
    r"""Sum of the answer's attention over the few heads that attend to the video most and most compactly.

    Kang et al. 2025, arXiv 2503.06287. `heads` are (layer, head) pairs from `calibrated` on a calibration split, as in
    the paper. Without them, each sample selects its own `count` heads by the same two criteria, a simplification.

    $$M_i = \sum_{(l,h) \in S} A_{lh,ai}$$
    """

    reference: ClassVar[str] = "Kang et al. 2025, arXiv 2503.06287"

    count: int = 3
    heads: tuple[Head, ...] = ()

    def __post_init__(self) -> None:
        require_at_least("count", self.count, 1)

    @property
    def footprint(self) -> Footprint:
        """One forward pass from the visual tokens."""
        return Footprint("forward")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return sums of probabilities, 0 or more. Raises AttributionError for a head that does not exist."""
        statistics = answer_statistics(subject)
        layers, heads = statistics.visual_mass.shape
        for layer, head in self.heads:
            if not (0 <= layer < layers and 0 <= head < heads):
                raise AttributionError(
                    f"localization_heads: expected layers below {layers} and heads below {heads}, got {layer}, {head}"
                )
        chosen = self.heads or localising(statistics, self.count)
        return torch.stack([statistics.attention[layer, head] for layer, head in chosen]).sum(dim=0)


def localising(statistics: HeadStatistics, count: int) -> tuple[Head, ...]:
    """Return the `count` heads of lowest spatial entropy that attend to the video; ties go to the earlier head.

    A head attends to the video when its attention, summed over the visual tokens, reaches the bend of all heads'
    sorted sums: the point farthest from the line between the largest and the smallest.
    """
    mass, entropy = statistics.visual_mass.flatten(), statistics.spatial_entropy.flatten()
    looking = mass >= bend(mass.cpu().double())
    order = entropy.masked_fill(~looking, float("inf")).argsort(stable=True).tolist()
    heads = statistics.visual_mass.shape[1]
    return tuple(divmod(index, heads) for index in order[: min(count, int(looking.sum()))])


def bend(values: Float[Tensor, " n"]) -> float:
    """Return the value at the greatest distance below the line between the ends of the sorted values."""
    falling = values.sort(descending=True).values
    line = torch.linspace(float(falling[0]), float(falling[-1]), len(falling), dtype=falling.dtype)
    return float(falling[(line - falling.cpu()).argmax()])


def calibrated(subjects: Iterable[Subject], count: int = 3) -> tuple[Head, ...]:
    """Return the `count` heads that most samples of a calibration split have among their ten of lowest entropy."""
    votes = Counter(head for subject in subjects for head in localising(answer_statistics(subject), CANDIDATES))
    return tuple(head for head, _ in sorted(votes.items(), key=lambda item: (-item[1], item[0]))[:count])
