"""Parameters that attention methods share: treatment of sinks and of position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from attrib.attention.flows import Null, Sinks
from attrib.method import Method, require_choice


@dataclass(frozen=True)
class AttentionMethod(Method):
    """`sinks`: `keep` them, or `mask` what goes to them (`attention_record.sinks` has the rule).

    `null`: the values `raw`, or `divided` by their content-free twin: the same layers with what each row passes on
    spread evenly over the tokens that it may see, so that only position is left in it.
    """

    sinks: Sinks = "keep"
    null: Null = "raw"

    def __post_init__(self) -> None:
        require_choice("sinks", self.sinks, get_args(Sinks))
        require_choice("null", self.null, get_args(Null))
