"""Table of every row of a run: means with intervals on ten metrics, and the verdict of the sanity check."""

from __future__ import annotations

import math

import pandas as pd

from attrib.benchmarks.tables.matrix import Column
from tools.reference.scores import ReferenceRun
from tools.reference.text import heading, interval, number
from tools.reference.text import table as lines_of

METRICS = (
    "srg", "flip_rate", "synergy", "counterfactual_deletion", "target_sensitivity", "shuffled_auc", "object_auc",
    "object_auc_corrected", "segment_shuffled_auc", "max_sensitivity",
)  # fmt: skip
PARTS = {"language": "the language model", "vision": "the vision encoder", "both": "both at once"}


def verdict(verdicts: pd.Series) -> str:
    """`pass`, `fail`, or on which parts the method fails; `undefined` without a verdict on any part."""
    failed = [part for part, given in verdicts.items() if given == "fail"]
    if not failed:
        return "pass" if (verdicts == "pass").any() else "undefined"
    if len(failed) == len(verdicts):
        return "fail"
    return "fails on " + " and ".join(PARTS[str(part)] for part in failed)


def sanity(one: ReferenceRun) -> dict[str, str]:
    """Verdict of the sanity check by method; empty without the check."""
    table = one.run.table("sanity")
    if table is None or not len(table):
        return {}
    parts = table.pivot(index="method", columns="part", values="verdict")
    return {str(method): verdict(row[[part for part in PARTS if part in row]]) for method, row in parts.iterrows()}


def shown(one: ReferenceRun) -> list[Column]:
    """Columns of METRICS that the run has, a metric with imputers under the first of the settings."""
    found: dict[str, Column] = {}
    order = {name: place for place, name in enumerate(one.run.settings.imputers)}
    for column in sorted(dict.fromkeys(one.board["column"]), key=lambda each: order.get(each.imputer or "", -1)):
        found.setdefault(column.metric, column)
    return [found[name] for name in METRICS if name in found]


def every_row(one: ReferenceRun) -> list[str]:
    """Lines of the table; without a sanity check it has no column for it."""
    columns, verdicts = shown(one), sanity(one)
    of = {column: column.of(one.board).set_index("method") for column in columns}
    rows = [
        [f"`{method}`", *(_cell(of[column], method) for column in columns), *_sanity(verdicts, method)]
        for method in one.board["method"].drop_duplicates()
    ]
    means = [float(of[column]["chance"].mean()) for column in columns]
    chance = ["chance", *("" if math.isnan(mean) else number(mean) for mean in means), *[""] * bool(verdicts)]
    head = ["method", *map(heading, columns), *["sanity"] * bool(verdicts)]
    return lines_of(head, [*rows, chance])


def _cell(rows: pd.DataFrame, method: str) -> str:
    if method not in rows.index:
        return ""
    row = rows.loc[method]
    return interval(row["mean"], row["low"], row["high"])


def _sanity(verdicts: dict[str, str], method: str) -> list[str]:
    return [verdicts.get(method, "undefined")] if verdicts else []
