"""Roles of a benchmark's rows: methods, controls, upper bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attrib.config import Config, method_entries
from attrib.method import AnnotatedControl, Control

RowKind = Literal["method", "control", "bound"]


@dataclass(frozen=True)
class Roles:
    """Row labels: `controls` know nothing of what the model computes, `bounds` are made from the annotation."""

    controls: frozenset[str] = frozenset()
    bounds: frozenset[str] = frozenset()

    def kind(self, label: str) -> RowKind:
        """What a row is."""
        return "bound" if label in self.bounds else "control" if label in self.controls else "method"


def roles(settings: Config) -> Roles:
    """Which of the configured methods are controls and upper bounds."""
    entries = method_entries(settings)
    bounds = frozenset(entry.label for entry in entries if isinstance(entry.item, AnnotatedControl))
    controls = frozenset(entry.label for entry in entries if isinstance(entry.item, Control))
    return Roles(controls - bounds, bounds)
