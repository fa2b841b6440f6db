"""Control: where and when the evidence of the other videos lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from attrib.cover import evidence_tracks, visible_evidence
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

    def from_peers(self, subject: Subject, peers: tuple[Sample, ...]) -> Float[Tensor, "t h w"]:
        """Mean share that visible evidence covers, in [0, 1], of the samples that have any, at the same relative time.

        Raises AttributionError where none has.
        """
        grid, shares = subject.grid, subject.clip.times / subject.clip.end
        known = [peer for peer in peers if evidence_tracks(peer)]
        if not known:
            raise AttributionError("DatasetPrior: expected evidence in other videos, none of them has any annotated")
        total = np.zeros((len(shares), grid.rows, grid.columns))
        for peer in known:
            total += visible_evidence(peer, shares * annotated_until(peer), grid.rows, grid.columns)
        return torch.from_numpy(total / len(known))


def annotated_until(sample: Sample) -> float:
    """The sample's last annotated time in seconds: the video's duration but for one step of the annotation."""
    tracks = (float(track.times[-1]) for track in sample.tracks if len(track.times))
    return max((*tracks, *(segment.end for segment in sample.segments)), default=0.0)
