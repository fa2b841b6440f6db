"""The answer's own attention on the visual tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, get_args

from attrib.attention import flows
from attrib.attention.method import AttentionMethod
from attrib.attention.statistics import high_activity
from attrib.attention_record import AttentionRecord
from attrib.method import require_choice

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class RawAttention(AttentionMethod):
    """Attention of the answer position on each visual token, mean or maximum over layers and heads (none: all).

    `active`: only layers of high activity, those whose attention on the visual tokens (summed over them, mean over
    heads) is at least one standard deviation above the mean over layers; the highest always.
    """

    reference: ClassVar[str] = "defined here"

    reduction: flows.Reduction = "mean"
    layers: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    active: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("reduction", self.reduction, get_args(flows.Reduction))

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Probabilities, 0 or more; divided: how many times what even attention would give."""
        record = AttentionRecord(find_sinks=self.sinks == "mask")
        found = flows.AnswerRows(record, flows.attention_flow, twin=self.null == "divided")
        record.on_layer = found.step
        flows.run(subject, "raw_attention", record)
        parts = found.chosen(self.layers, self.heads)
        kept = high_activity(parts[0][0][..., record.visual].sum(dim=2)) if self.active else slice(None)
        reduced = [part[:, kept].mean(dim=(1, 2)) if self.reduction == "mean" else part[:, kept].amax(dim=(1, 2))
                   for part in parts]  # fmt: skip
        return flows.visual(subject, record, flows.divided(*reduced))
