"""The rows and columns of the report: which kind each method is, and what each metric asks, in its own words."""

from __future__ import annotations

import inspect
from typing import Any

from attrib.benchmarks.jobs.roles import Roles
from attrib.config import Config, Entry, method_entries, metric_entries

FAITHFULNESS, SPACE, TIME = "faithfulness", "alignment in space", "alignment in time"
NULL = "null"  # the parameter of the attention methods that divides by the content-free twin


def methods(settings: Config, parts: Roles) -> list[dict[str, Any]]:
    """Label, kind, what it is, its parameters, and the label of its null-divided twin where the run has one."""
    entries = method_entries(settings)
    return [
        {
            "label": entry.label, "name": entry.name, "kind": parts.kind(entry.label), "says": _says(entry.item),
            "parameters": {key: str(value) for key, value in entry.parameters.items()}, "twin": _twin(entry, entries),
        }
        for entry in entries
    ]  # fmt: skip


def _twin(entry: Entry, entries: list[Entry]) -> str | None:
    """The row of the same method and parameters, divided by its content-free twin."""
    if entry.parameters.get(NULL) != "raw":
        return None
    wanted = {**entry.parameters, NULL: "divided"}
    return next((one.label for one in entries if (one.name, one.parameters) == (entry.name, wanted)), None)


def metrics(settings: Config) -> list[dict[str, Any]]:
    """The columns: label and imputer, which axis they belong to, direction, chance in words, and the paper."""
    return [
        {
            "key": key(entry.label, entry.parameters.get("imputer")), "label": entry.label,
            "imputer": entry.parameters.get("imputer") or "", "axis": axis(entry), "primary": entry.item.primary,
            "direction": entry.item.direction, "says": _says(entry.item), "chance": entry.item.chance_level,
            "reference": entry.item.reference,
        }
        for entry in metric_entries(settings)
    ]  # fmt: skip


def key(metric: str, imputer: str | None) -> str:
    """How a column is called in the page."""
    return f"{metric} {imputer}" if imputer else metric


def axis(entry: Entry) -> str:
    """Metrics that ask the model judge faithfulness; those of segments time; the others space."""
    needs = set(entry.item.needs)
    return FAITHFULNESS if needs & {"model", "counterfactuals"} else TIME if "segments" in needs else SPACE


def _says(item: Any) -> str:
    """The first paragraph of what its class says of itself."""
    return " ".join((inspect.getdoc(type(item)) or "").partition("\n\n")[0].split())
