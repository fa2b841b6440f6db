"""Control: where and when the evidence of the other videos lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from attrib.annotation_cells import peer_evidence, peers_with_evidence
from attrib.errors import AttributionError
from attrib.method import PeerControl

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject
    from attrib.types import Sample


@dataclass(frozen=True)
class DatasetPrior(PeerControl):
    """Leave-one-video-out mean of the ground truth: what place and time alone tell about where evidence lies."""

    reference: ClassVar[str] = "defined here"

    def from_peers(self, subject: Subject, peers: tuple[Sample, ...]) -> Float[Tensor, "t h w"]:
        """Mean share that visible evidence covers, in [0, 1], of the samples that have any, at the same relative time.

        Of at most `annotation_cells.PEERS` of them, drawn by the seed. Raises AttributionError where none has any.
        """
        grid, known = subject.grid, peers_with_evidence(peers, subject.seed)
        if not known:
            raise AttributionError("DatasetPrior: expected evidence in other videos, none of them has any annotated")
        shares = subject.clip.times / subject.clip.end
        return torch.from_numpy(peer_evidence(known, shares, grid.rows, grid.columns).mean(axis=0))
