"""Rows and columns of the report: the kind of each method, and what each metric measures, from its docstring."""

from __future__ import annotations

import inspect
from typing import Any

from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.jobs.roles import Roles, corrected_label
from attrib.config import Config, Entry, method_entries, metric_entries
from attrib.types.need import ANNOTATION

FAITHFULNESS, SPACE, TIME, MAP = "faithfulness", "alignment in space", "alignment in time", "the map itself"
TWIN_CHANCE = "that of the metric, exactly, for any map that is the same in all videos"
NULL = "null"  # the parameter of the attention methods that divides by the content-free twin


def methods(settings: Config, parts: Roles) -> list[dict[str, Any]]:
    """Label, kind, description, parameters and, where the run has one, null-divided twin of every method."""
    entries = method_entries(settings)
    return [
        {
            "label": entry.label, "name": entry.name, "kind": parts.kind(entry.label), "says": _says(entry.item),
            "parameters": {key: str(value) for key, value in entry.parameters.items()}, "twin": _twin(entry, entries),
        }
        for entry in entries
    ]  # fmt: skip


def _twin(entry: Entry, entries: list[Entry]) -> str | None:
    """Label of the same method with the same parameters, divided by its content-free twin; None without one."""
    if entry.parameters.get(NULL) != "raw":
        return None
    wanted = {**entry.parameters, NULL: "divided"}
    return next((one.label for one in entries if (one.name, one.parameters) == (entry.name, wanted)), None)


def metrics(run: FinishedRun) -> list[dict[str, Any]]:
    """Label, imputer, axis, direction, chance level in words and reference of every metric and re-paired twin."""
    columns, known = [], set(run.results["metric"])
    for entry in metric_entries(run.settings):
        column = {
            "key": key(entry.label, entry.parameters.get("imputer")), "label": entry.label,
            "imputer": entry.parameters.get("imputer") or "", "axis": axis(entry), "primary": entry.item.primary,
            "direction": entry.item.direction, "says": _says(entry.item), "chance": entry.item.chance_level,
            "reference": entry.item.reference,
        }  # fmt: skip
        label = corrected_label(entry.label)
        columns += [column]
        if entry.item.corrected and label in known:
            says = f"{entry.label} minus the mean of other videos' maps on the same annotation, plus chance."
            columns += [{**column, "key": label, "label": label, "says": says, "chance": TWIN_CHANCE}]
    return columns


def key(metric: str, imputer: str | None) -> str:
    """Name of a column in the page."""
    return f"{metric} {imputer}" if imputer else metric


def axis(entry: Entry) -> str:
    """Axis that a metric measures: faithfulness if it queries the model, alignment if it needs annotation."""
    needs = set(entry.item.needs)
    if needs & {"model", "counterfactuals"}:
        return FAITHFULNESS
    return TIME if "segments" in needs else SPACE if needs & ANNOTATION else MAP


def _says(item: Any) -> str:
    """First paragraph of the docstring of its class."""
    return " ".join((inspect.getdoc(type(item)) or "").partition("\n\n")[0].split())
