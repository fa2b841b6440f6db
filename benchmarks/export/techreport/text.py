"""Texts and task table of the technical report, filled with numbers of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from attrib.benchmarks.export.examples import MINUS, choice, short
from attrib.benchmarks.export.figures.captions import Figure, Missing, counted
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.export.techreport import facts, findings, limits
from attrib.benchmarks.export.techreport.findings import ranged
from attrib.benchmarks.tables.matrix import Column
from attrib.render.text import abbreviated, isolated

NONE = "\N{EN DASH}"
AXES = {
    "srg": "faithfulness: does the score fall faster when the most salient cells are removed first than the least",
    "shuffled_auc": "are cells of the evidence more salient than cells where other videos have their evidence",
    "object_auc": "is the evidence object more salient than the video's other objects",
    "segment_shuffled_auc": "is saliency over time higher in the evidence's action than at other videos' actions",
}


@dataclass(frozen=True)
class Budget:
    """Amount of content in a report: tasks in the table, whether each method has a line of its own, examples,
    characters of a question, and whether the scatter of faithfulness and alignment is included.
    """

    tasks: int
    lines: bool
    examples: int
    letters: int
    scatter: bool = False


@dataclass(frozen=True)
class Wanted:
    """Options of the report that a run does not record: title, authors, training note and paper size."""

    title: str = ""
    authors: tuple[str, ...] = ()
    training: str = ""
    paper: str = "a4"


def data(numbers: Numbers, budget: Budget, wanted: Wanted, figures: Sequence[Figure | Missing]) -> dict[str, Any]:
    """Data of the template: texts and table rows, without markup."""
    model = facts.model(numbers.run, wanted.training)
    columns, rows, caption = tasks(numbers, budget)
    pictures = _pictures(figures)
    missing = [*pictures.pop("missing"), *([] if rows else ["the task table (the run has no tasks.csv)"])]
    return {
        "title": wanted.title or _title(numbers, model["name"]), "authors": list(wanted.authors), "paper": wanted.paper,
        "summary": " ".join(findings.headline(numbers)), "model": model, "asked": _asked(numbers),
        "about": about(numbers), **_methods(numbers, budget), "judged": _judged(numbers), "columns": columns,
        "tasks": rows, "tasks_caption": caption, "findings": findings.findings(numbers),
        "limits": limits.limits(numbers), **pictures, **_repeat(numbers),
        "left_out": f"Left out: {'; '.join(missing)}." if missing else "",
    }  # fmt: skip


def _title(numbers: Numbers, model: str) -> str:
    name = str(numbers.run.settings.data.get("name", "the data"))
    name = "the built-in benchmark" if name == facts.BUILT_IN else name
    count = sum(numbers.kind(method) == "method" for method in numbers.order)
    return f"Where {model} looks: {counted(count, 'attribution method')} on {counted(numbers.tasks, 'task')} of {name}"


def _asked(numbers: Numbers) -> str:
    target = numbers.run.settings.target
    what = "the option that the model chooses" if target == "predicted" else f"the target {target}"
    return (
        f"Every method explains one number, the log-odds of {what} against the others; faithfulness metrics "
        "perturb the video and measure how this number changes."
    )


def about(numbers: Numbers) -> str:
    """Description of the data: data set, videos, questions, tasks, areas and evidence rules."""
    settings, rows = numbers.run.settings.data, numbers.run.results
    name = "The built-in benchmark" if settings.get("name") == facts.BUILT_IN else settings.get("name")
    given = [f"{key} {value}" for key, value in settings.items() if key not in ("name", "root")]
    text = (
        f"{name}{' (' + ', '.join(given) + ')' if given else ''}: {counted(numbers.videos, 'video')}, "
        f"{counted(numbers.tally.samples, 'question')}, {counted(numbers.tasks, 'task')} (a task is one question text "
        "and all videos it is asked about)."
    )
    for name in ("area", "reasoning"):
        if name in rows:
            known = rows.groupby("sample")[name].first().dropna()
            counts = known[known != ""].value_counts()
            if len(counts):
                text += f" By {name}: {', '.join(f'{isolated(key)} {count}' for key, count in counts.items())}."
    rules = facts.evidence(numbers)
    if rules:
        text += f" Evidence by rule: {', '.join(f'{isolated(rule)} ({count})' for rule, count in rules.items())}."
    return text


def _methods(numbers: Numbers, budget: Budget) -> dict[str, Any]:
    every = list(facts.methods(numbers))
    own = [one for one in every if one["kind"] == "method"]
    controls = [one["label"] for one in every if one["kind"] == "control"]
    bounds = [one["label"] for one in every if one["kind"] == "bound"]
    text = f"Controls, which ignore the model's answer: {', '.join(controls) or 'none'}."
    if bounds:
        text += f" Upper bound, built from the annotation: {', '.join(bounds)}."
    return {
        "methods": own, "lines": budget.lines, "controls": text,
        "methods_about": f"{counted(len(own), 'method')}, each a signed volume (time, height, width):",
    }  # fmt: skip


def _judged(numbers: Numbers) -> str:
    told = [f"{column.title}, {AXES[column.metric]}" for column in numbers.columns if column.metric in AXES]
    others = [column.title for column in numbers.columns if column.metric not in AXES]
    parts = "; ".join([*told, *others])
    drawn = numbers.run.settings.resamples
    return (
        f"{parts}. The unit is the video: 95 % intervals by a bootstrap over videos (B = {drawn:,}). A method counts "
        "as better than the controls only if it beats each of them, after Holm over methods and primary metrics; "
        "differences to the best control are given with unadjusted intervals. Generality of a task: the share of its "
        "videos in which the map matches its own annotation better than that of the task's other videos."
    )


def tasks(numbers: Numbers, budget: Budget) -> tuple[list[str], list[list[str]], str]:
    """Header, rows and caption of the task table; no rows if the run has no tasks.csv."""
    by, rows = choice(numbers), numbers.task_rows
    if by is None or rows is None:
        return [], [], ""
    part = rows[(rows["split"] == "all") & (rows["method"] == by.method)]
    groups = part[(part["kind"] == "task") & (part["metric"] == by.column.metric)].drop_duplicates("group")
    groups = groups.sort_values(["videos", "group"], ascending=[False, True], kind="stable")["group"]
    shown = list(groups[: budget.tasks])
    lines = [_line(numbers, part[(part["kind"] == "task") & (part["group"] == group)], by.column,
                   abbreviated(group, budget.letters)) for group in shown]  # fmt: skip
    lines.append(_line(numbers, part[part["kind"] == "all"], by.column, "all"))
    share = numbers.share(numbers.generality(by.column))
    header = ["task", "n", "generality", by.column.title, f"{MINUS} control"]
    if numbers.faithfulness:
        header += [numbers.faithfulness.title, f"{MINUS} control"]
    some = (
        f"The {len(shown)} of {len(groups)} tasks with most videos (all: tasks.csv). "
        if len(shown) < len(groups)
        else ""
    )
    caption = (
        f"{some}Maps of {by.method}. n: videos; generality: share of videos {_shared(share.column)} [95 %]; then "
        "means, and their differences to the best control of the task [95 %]."
    )
    return header, lines, caption


def _shared(column: str) -> str:
    return "with p ≤ .05" if column == "beats" else "above the median of the null"


def _line(numbers: Numbers, part: pd.DataFrame, column: Column, name: str) -> list[str]:
    """Table row of one task: share, alignment and faithfulness; a dash for a missing value."""
    own = column.of(part)
    paired = own[own["null"].isin(["pairing", ""])]
    share = numbers.share(numbers.generality(column)).column
    row = (paired if len(paired) else own).iloc[0]
    cells = [name, str(int(row["videos"])), _dash(row, share, f"{share}_low", f"{share}_high")]
    cells += _mean(row)
    if numbers.faithfulness:
        other = numbers.faithfulness.of(part)
        cells += _mean(other.iloc[0]) if len(other) else [NONE, NONE]
    return cells


def _mean(row: pd.Series) -> list[str]:
    mean = NONE if pd.isna(row["mean"]) else short(float(row["mean"]))
    return [mean, _dash(row, "difference", "difference_low", "difference_high")]


def _dash(row: pd.Series, name: str, low: str, high: str) -> str:
    if name not in row or pd.isna(row[name]):
        return NONE
    return ranged(float(row[name]), float(row[low]), float(row[high]), signed=name == "difference")


def _pictures(figures: Sequence[Figure | Missing]) -> dict[str, Any]:
    wide: list[dict[str, Any]] = []
    narrow: list[dict[str, Any]] = []
    missing: list[str] = []
    for figure in figures:
        if isinstance(figure, Missing):
            missing.append(f"{figure.name} ({figure.reason})")
            continue
        below = figure.name == "faithfulness_alignment"
        entry = {"file": f"{figure.name}.pdf", "caption": figure.caption, "alt": figure.name, "bottom": below}
        (narrow if figure.name == "layers" else wide).append(entry)
    return {"wide": wide, "narrow": narrow, "missing": missing}


def _repeat(numbers: Numbers) -> dict[str, Any]:
    told = facts.repeat(numbers.run)
    text = (
        f"Settings: config.yaml of the run, SHA-256 {told['hash']}…; seed {told['seed']}, target {told['target']}. "
        f"{told['versions']}; {told['machine']}. Every number here is in the run's tables."
    )
    commands = ["attrib bench config.yaml -O RUN", "attrib figures RUN", "attrib techreport RUN", "attrib notebook RUN"]
    return {"repeat_about": text, "commands": commands, "footer": f"attrib, settings {told['hash']}"}
