"""LeGrad: each layer's own score, differentiated with respect to that layer's attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from attrib.attention import flows
from attrib.attention.method import AttentionMethod
from attrib.attention_record import AttentionRecord
from attrib.capabilities import RecordsAttention, require
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class LeGrad(AttentionMethod):
    r"""Mean over layers and heads of relu(ds_l / dA_l) at the answer row (Bousselham et al. 2024, eq. 4 to 6).

    s_l is the explained log-odds, read from layer l's output at the answer position through the model's last norm and
    head; only that row of A_l affects it. One layer's activations are in memory at a time. `layers` selects by number
    (none: all).

    $$M_i = \frac{1}{LH} \sum_{l,h} \max\left(0, \frac{\partial s_l}{\partial A_{lh,ai}}\right)$$
    """

    reference: ClassVar[str] = "Bousselham et al. 2024, eq. 4 to 6"

    layers: tuple[int, ...] = ()

    @property
    def footprint(self) -> Footprint:
        """One layer's activations at a time."""
        return Footprint("one layer")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return gradients in nats per unit of attention, 0 or more."""
        model = require(subject.model, RecordsAttention, "legrad")
        record = AttentionRecord(find_sinks=self.sinks == "mask")
        answer_rows = flows.AnswerRows(record, flows.gradient_flow, twin=self.null == "divided")

        def differentiate(states: Tensor) -> None:
            score = subject.log_odds(model.read_out(states, subject.question))
            torch.autograd.grad(score.sum(), record.root)

        record.on_gradient, record.on_state = answer_rows.step, differentiate
        flows.run(subject, "legrad", record)
        means = [flow.mean(dim=(1, 2)) for flow in answer_rows.chosen(self.layers)]
        return flows.visual(subject, record, flows.divided(*means))
