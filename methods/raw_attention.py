"""Attention of the answer position to the visual tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, get_args

from attrib.attention import flows
from attrib.attention.method import AttentionMethod
from attrib.attention.statistics import high_activity
from attrib.attention_record import AttentionRecord
from attrib.method import require_choice
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class RawAttention(AttentionMethod):
    r"""Attention of the answer position to each visual token, mean or maximum over layers and heads (none: all).

    `active` restricts it to layers of high activity: their attention to the visual tokens (sum over tokens, mean over
    heads) is at least one standard deviation above the mean over layers. The highest layer always qualifies.

    $$M_i = \frac{1}{LH} \sum_{l,h} A_{lh,ai}$$
    """

    reference: ClassVar[str] = "defined here"

    reduction: flows.Reduction = "mean"  # over layers and heads
    layers: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    active: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("reduction", self.reduction, get_args(flows.Reduction))

    @property
    def footprint(self) -> Footprint:
        """One forward pass from the visual tokens."""
        return Footprint("forward")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return probabilities, 0 or more; with `null: divided`, as a ratio to uniform attention."""
        record = AttentionRecord(find_sinks=self.sinks == "mask")
        answer_rows = flows.AnswerRows(record, flows.attention_flow, twin=self.null == "divided")
        record.on_layer = answer_rows.step
        flows.run(subject, "raw_attention", record)
        attention = answer_rows.chosen(self.layers, self.heads)
        layers = high_activity(attention[0][0][..., record.visual].sum(dim=2)) if self.active else slice(None)
        selected = [flow[:, layers] for flow in attention]
        reduced = [flow.mean(dim=(1, 2)) if self.reduction == "mean" else flow.amax(dim=(1, 2)) for flow in selected]
        return flows.visual(subject, record, flows.divided(*reduced))
