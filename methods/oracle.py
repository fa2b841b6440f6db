"""Control: the ground truth as a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from attrib.annotation_cells import visible_evidence
from attrib.method import AnnotatedControl
from attrib.types.need import Need

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject
    from attrib.types import Sample


@dataclass(frozen=True)
class Oracle(AnnotatedControl):
    """The annotated evidence as a map, an upper bound: the map of a model that uses only the evidence.

    $$M_i = g_i$$
    """

    reference: ClassVar[str] = "defined here"
    needs: ClassVar[frozenset[Need]] = frozenset({"evidence", "tracks"})

    def annotated(self, subject: Subject, sample: Sample) -> Float[Tensor, "t h w"]:
        """Return the share of each cell of the token grid that visible evidence covers in its interval, in [0, 1]."""
        grid = subject.grid
        return torch.from_numpy(visible_evidence(sample, subject.clip.times, grid.rows, grid.columns))
