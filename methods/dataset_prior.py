"""Control: mean evidence of the other videos."""

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
    r"""Leave-one-video-out mean of the ground truth: predicts evidence from position and time alone.

    $$M_i = \frac{1}{N} \sum_{v} g_{vi}$$
    """

    reference: ClassVar[str] = "defined here"

    def from_peers(self, subject: Subject, peers: tuple[Sample, ...]) -> Float[Tensor, "t h w"]:
        """Return the mean share that visible evidence of other samples covers at the same relative time, in [0, 1].

        Averages at most `annotation_cells.PEERS` samples with evidence, sampled by the seed. Raises AttributionError
        when no sample has evidence.
        """
        grid, known = subject.grid, peers_with_evidence(peers, subject.seed)
        if not known:
            raise AttributionError("DatasetPrior: expected evidence in other videos, got none")
        shares = subject.clip.times / subject.clip.end
        return torch.from_numpy(peer_evidence(known, shares, grid.rows, grid.columns).mean(axis=0))
