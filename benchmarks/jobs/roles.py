"""Roles of a benchmark's rows (methods, controls, upper bounds) and columns (primary metrics and others)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from attrib.config import Config, Entry, imputer_entries, method_entries

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


def is_seen(method: Entry, metric: Entry) -> bool:
    """Tell whether the metric removes cells as the method did when it searched for its map."""
    return metric.imputer is not None and metric.imputer.name in method.item.seen_imputers


def searching(settings: Config) -> list[str]:
    """Return a sentence for each method that searches for what removal metrics measure: by what it is not scored."""
    imputers = imputer_entries(settings)
    sentences = []
    for entry in method_entries(settings):
        if not entry.item.optimises:
            continue
        seen = entry.item.seen_imputers
        others = [label for label, imputer in imputers.items() if imputer.name not in seen]
        scored = f"scored on {' and '.join(others)}, which it did not see" if others else "scored on no imputer here"
        aims, with_what = (" and ".join(sorted(each)) for each in (entry.item.optimises, seen))
        sentences.append(f"{entry.label}: optimises {aims} with {with_what or 'a removal like no imputer'}; {scored}")
    return sentences


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
