"""Relevance propagated through attention times gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from attrib.attention import flows
from attrib.attention.method import AttentionMethod
from attrib.attention.tower import TowerPasses
from attrib.attention_record import AttentionRecord
from attrib.capabilities import RecordsVisionAttention, require
from attrib.method import require_choice
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

Resolution = Literal["token", "patch"]


@dataclass(frozen=True)
class Relevance(AttentionMethod):
    r"""The answer row of R <- R + mean_h relu(A_h * dA_h) R through all layers (Chefer et al. 2021, eq. 5 and 6).

    `checkpoint` recomputes layers in the backward pass instead of storing their activations; `offload` stores tensors
    for the backward pass in CPU memory.

    `resolution`: one value for each visual `token`, or for each `patch` of the vision encoder. For patches the
    recursion goes on through the encoder's own layers, with the gradient of the same scalar, from each token's value
    shared out evenly over the patches that it covers. It costs one more pass of the encoder, forward and back, one
    step of the clip at a time.

    $$r^{(l-1)} = r^{(l)} + \frac{1}{H} \sum_h r^{(l)} \max\left(0, A_{lh} \frac{\partial f}{\partial
    A_{lh}}\right), \quad r^{(L)} = e_a$$
    """

    reference: ClassVar[str] = "Chefer et al. 2021, eq. 5 and 6"

    checkpoint: bool = True
    offload: bool = False
    resolution: Resolution = "token"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("resolution", self.resolution, get_args(Resolution))

    @property
    def footprint(self) -> Footprint:
        """Inputs of all layers, or all activations, and blocks of rows; later those of a step in the encoder."""
        step = self.resolution == "patch"
        return Footprint("layer inputs" if self.checkpoint else "everything", rows=True, step=step)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return the relevance, 0 or more."""
        patches = self.resolution == "patch"
        if patches:
            require(subject.model, RecordsVisionAttention, "relevance")  # before the decoder's passes
        record = AttentionRecord(find_sinks=self.sinks == "mask", checkpoint=self.checkpoint)
        recursion = flows.Recursion(record, flows.relevance_flow, 1.0, twin=self.null == "divided")
        record.on_gradient = recursion.step
        slopes = flows.run(subject, "relevance", record, offload=self.offload, to_tokens=patches)
        if slopes is None:
            return flows.visual(subject, record, recursion.values)
        passes = TowerPasses(flows.relevance_flow, record.find_sinks, self.checkpoint, self.offload)
        tokens = [carried[0, record.visual] for carried in recursion.carried]
        return flows.divided(*passes.to_patches(subject, "relevance", tokens, slopes))
