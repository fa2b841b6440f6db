"""Data of a notebook, as JSON: settings of the run, examples, plotted tables, and the number to recompute."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from attrib.benchmarks.export.examples import choice, examples, shown_methods, told
from attrib.benchmarks.export.figures import captions
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.export.techreport import facts, findings, limits, text
from attrib.benchmarks.tables.matrix import Column
from attrib.config import Entry, build, metric_entries
from attrib.method import can_explain

MOST_TASKS, MOST_ROWS = 4, 40
MOST_CHECKED, SECONDS = 24, 300.0  # questions of the check, and the approximate time limit of its maps
SHARES = {"beats": ["beats", "beats_low", "beats_high"], "above": ["above", "above_low", "above_high"]}


def collected(numbers: Numbers, plugins: Sequence[Path] = ()) -> dict[str, Any]:
    """All data of the notebook; NaN becomes null."""
    shown, checked = _examples(numbers), check(numbers)
    names = {one["sample"] for part in shown.values() for one in part} | set(checked["values"] if checked else ())
    told_model = facts.model(numbers.run)
    found = {
        "settings": numbers.run.settings.model_dump(), "plugins": [str(path.resolve()) for path in plugins],
        "model": told_model, "about": text.about(numbers),
        "methods": _of(numbers, "method"), "controls": [*_of(numbers, "control"), *_of(numbers, "bound")],
        "wanted": sorted(names), "examples": shown, "shown": _drawn(numbers), "rule": _rule(numbers),
        **_figures(numbers), **_tasks(numbers), **_exceptions(numbers), "check": checked,
        "headline": findings.headline(numbers), "findings": findings.findings(numbers),
        "limits": limits.limits(numbers), "repeat": facts.repeat(numbers.run),
    }  # fmt: skip
    plain: dict[str, Any] = json.loads(json.dumps(_finite(found), default=str))
    return plain


def _finite(value: Any) -> Any:
    """Value with NaN and infinities replaced by None, as JSON cannot hold them."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _of(numbers: Numbers, kind: str) -> list[str]:
    return [name for name in numbers.order if numbers.kind(name) == kind]


def _rule(numbers: Numbers) -> str:
    by = choice(numbers)
    if by is None:
        return "No method has a value by which examples can be selected."
    return (
        f"Selected by rule: for each task, the questions with the best, the median and the worst {by.column.title} of "
        f"{by.method}, the method with the best mean; at most {MOST_TASKS} tasks, those with most videos."
    )


def _examples(numbers: Numbers) -> dict[str, list[dict[str, Any]]]:
    """Examples by task, in the order in which the notebook shows them."""
    by = choice(numbers)
    found: dict[str, list[dict[str, Any]]] = {}
    for example in examples(numbers, ("best", "median", "worst")) if by else ():
        assert by is not None  # there are none without
        if example.task in found or len(found) < MOST_TASKS:
            entry = {"sample": example.sample, "why": example.why, "value": example.value, "told": told(example, by)}
            found.setdefault(example.task, []).append(entry)
    return found


def _drawn(numbers: Numbers) -> list[str]:
    """Methods that the notebook recomputes: those of the figures and the best control that need no other videos."""
    own = [
        name for name in shown_methods(numbers) if numbers.kind(name) == "method" and not _needs_others(numbers, name)
    ]
    by = choice(numbers)
    controls = [name for name in _of(numbers, "control") if not _needs_others(numbers, name)]
    if by is not None:
        means = numbers.of(by.column)["mean"]
        known = [name for name in controls if means.get(name, math.nan) == means.get(name, math.nan)]
        controls = sorted(known, key=lambda name: means[name], reverse=by.column.direction != "low")
    return [*own, *controls[:1]]


def _needs_others(numbers: Numbers, method: str) -> bool:
    return "other videos" in build("methods", method, numbers.run.settings.methods[method]).item.needs


def _figures(numbers: Numbers) -> dict[str, Any]:
    shown, missing = {}, {}
    for figure in captions.number_figures(numbers):
        if isinstance(figure, captions.Missing):
            missing[figure.name] = figure.reason
        elif figure.table is not None:
            shown[figure.name] = {"caption": figure.caption, "table": figure.table.to_dict(orient="list")}
    return {"figures": shown, "left_out": missing}


def _tasks(numbers: Numbers) -> dict[str, Any]:
    """Numbers of the leading method, one row for each task."""
    by, rows = choice(numbers), numbers.task_rows
    if by is None or rows is None:
        return {"tasks": [], "tasks_caption": ""}
    share = numbers.share(numbers.generality(by.column)).column
    part = rows[(rows["kind"] == "task") & (rows["split"] == "all") & (rows["method"] == by.method)]
    part = by.column.of(part)
    part = part[part["null"].isin(["pairing", ""])]
    part = part.sort_values(["videos", "group"], ascending=[False, True], kind="stable")
    names = ["task", "videos", *SHARES[share], "mean", "low", "high", "chance", "control", "control_mean", "difference",
             "difference_low", "difference_high"]  # fmt: skip
    table = part.rename(columns={"group": "task"}).reindex(columns=names)[:MOST_ROWS]
    some = f"the {len(table)} of {len(part)} tasks with most videos; " if len(table) < len(part) else ""
    caption = f"{by.column.title} of {by.method}, {some}{share}: share of the videos, with 95 % interval"
    return {"tasks": _records(table), "tasks_caption": caption}


def _exceptions(numbers: Numbers) -> dict[str, Any]:
    by, table = choice(numbers), numbers.run.table("exceptions")
    wanted = ["task", "video", "value", "null_median", "p", "correct"]
    if by is None or table is None or not {*wanted, "method", "metric", "null"}.issubset(table.columns):
        return {"exceptions": [], "exceptions_caption": ""}
    part = table[(table["method"] == by.method) & (table["metric"] == by.column.metric) & (table["null"] == "pairing")]
    caption = f"{min(len(part), MOST_ROWS)} of {len(part)} exceptions of {by.method} on {by.column.title}"
    return {"exceptions": _records(part[wanted][:MOST_ROWS]), "exceptions_caption": caption}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict(orient="records")]


def check(numbers: Numbers) -> dict[str, Any] | None:
    """Number that the notebook recomputes: the fastest method's mean of a metric that needs no other videos.

    The mean is over all questions, or the first few if there are many; None if every metric needs other videos.
    """
    for metric in _alone(numbers):
        for method in _by_speed(numbers):
            values = numbers.values(Column(metric.label, metric.parameters.get("imputer")), [method])
            if len(values):
                return _checked(numbers, metric, method, values)
    return None


def _alone(numbers: Numbers) -> list[Entry]:
    """Metrics that need a single video only: alignment first, then those that query the model."""
    found = [
        entry
        for entry in metric_entries(numbers.run.settings)
        if hasattr(entry.item, "score") and not {"other videos", "counterfactuals"}.intersection(entry.item.needs)
    ]
    order = {column.metric: place for place, column in enumerate(numbers.columns)}
    return sorted(found, key=lambda entry: ("model" in entry.item.needs, order.get(entry.label, len(order))))


def _by_speed(numbers: Numbers) -> list[str]:
    """Methods (no controls) that need no annotation, fastest first."""
    names = [
        name
        for name in _of(numbers, "method")
        if can_explain(build("methods", name, numbers.run.settings.methods[name]).item, annotated=False)
    ]
    return sorted(names, key=lambda name: float(numbers.seconds.get(name, math.inf)))


def _checked(numbers: Numbers, metric: Entry, method: str, values: pd.DataFrame) -> dict[str, Any]:
    cost = max(float(numbers.seconds.get(method, 0.0) or 0.0), 1e-3)
    most = int(min(MOST_CHECKED, max(1, SECONDS // cost)))
    part = values.sort_values("sample", kind="stable")[:most]
    whole = len(part) == len(values)
    words = f"all {len(part)} questions with a value" if whole else f"the first {len(part)} questions"
    own = {"metric": metric.name} if metric.name != metric.label else {}
    return {
        "metric": metric.label, "parameters": {**metric.parameters, **own}, "method": method, "of": words,
        "where": "leaderboard" if whole else "results",
        "values": dict(zip(part["sample"].astype(str), part["value"].astype(float), strict=True)),
        "mean": float(part["value"].mean()),
    }  # fmt: skip
