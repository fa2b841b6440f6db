"""Roles of a benchmark's rows (methods, controls, upper bounds) and columns (primary metrics and others)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from attrib.config import Config, Entry, method_entries

if TYPE_CHECKING:
    from attrib.metric import Direction

RowKind = Literal["method", "control", "bound"]


@dataclass(frozen=True)
class Roles:
    """Row labels: `controls` do not depend on the model's computation, `bounds` are computed from the annotation."""

    controls: frozenset[str] = frozenset()
    bounds: frozenset[str] = frozenset()

    def kind(self, label: str) -> RowKind:
        """Kind of the row with this label."""
        return "bound" if label in self.bounds else "control" if label in self.controls else "method"


def roles(settings: Config) -> Roles:
    """Return the labels of the configured controls and upper bounds."""
    from attrib.method import AnnotatedControl, Control  # needs torch

    entries = method_entries(settings)
    bounds = frozenset(entry.label for entry in entries if isinstance(entry.item, AnnotatedControl))
    controls = frozenset(entry.label for entry in entries if isinstance(entry.item, Control))
    return Roles(controls - bounds, bounds)


@dataclass(frozen=True)
class MetricRoles:
    """Metrics in the configuration's order: the better direction by label, and the primary ones (Holm's family).

    `twins` are the labels of re-paired twins, which have a direction too; differences of `ratios` are tested on the
    logarithm.
    """

    directions: Mapping[str, Direction] = field(default_factory=dict)
    primary: tuple[str, ...] = ()
    twins: frozenset[str] = frozenset()
    ratios: frozenset[str] = frozenset()


def corrected_label(label: str) -> str:
    """Label of a metric's re-paired twin; see tables/corrected."""
    return f"{label}_corrected"


def metric_roles(metrics: Sequence[Entry]) -> MetricRoles:
    """Return the roles that the classes of the configured metrics state."""
    directions = {entry.label: entry.item.direction for entry in metrics}
    twins = {corrected_label(entry.label): entry.item.direction for entry in metrics if entry.item.corrected}
    primary = tuple(dict.fromkeys(entry.label for entry in metrics if entry.item.primary))
    ratios = frozenset(entry.label for entry in metrics if entry.item.ratio)
    return MetricRoles(directions | twins, primary, frozenset(twins), ratios)
