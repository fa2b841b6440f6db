"""Parameters that attention methods share: treatment of sinks and of position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from attrib.attention.flows import Null, Sinks
from attrib.method import Method, require_choice


@dataclass(frozen=True)
class AttentionMethod(Method):
    """Base of attention methods. `sinks`: `keep` them, or `mask` attention to them (see `attention_record.sinks`).

    `null`: `raw` values, or values `divided` by their content-free twin: the same layers, where each row spreads what
    it passes on evenly over the tokens that it may see, so that the twin depends on position alone.
    """

    sinks: Sinks = "keep"
    null: Null = "raw"

    def __post_init__(self) -> None:
        require_choice("sinks", self.sinks, get_args(Sinks))
        require_choice("null", self.null, get_args(Null))
