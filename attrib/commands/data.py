"""`attrib data`: check whether a data set can be used, and list its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from attrib.commands.options import JsonFlag, Split
from attrib.commands.terminal.console import print_json, say, screen
from attrib.data.table_rows import is_table

if TYPE_CHECKING:
    from attrib.data.check import Finding, SplitCheck
    from attrib.data.tasks import Task, Tasks

data = typer.Typer(help="Annotated data sets.", no_args_is_help=True)
COUNTS = ("videos", "questions", "grounded questions", "tracks", "boxes", "point tracks", "points", "actions", "sounds",
          "cuts")  # fmt: skip
ANNOTATED = ("tracks", "points", "actions", "sounds")  # columns; a column of zeros is omitted


@data.callback()
def group() -> None:
    """Annotated data sets."""


@data.command("check")
def check(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Data set in the Perception Test layout, or a table.")
    ],
    split: Annotated[Split | None, typer.Option(help="Check only this split; default: all splits.")] = None,
    videos: Annotated[bool, typer.Option("--videos", help="Decode every video in full; slow.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Report the contents, gaps and oddities of a data set. Exit code 0: usable; 1: it has faults."""
    if is_table(directory):
        _check_table(directory, as_json)
        return
    from attrib.data.check import check as checked
    from attrib.data.layout import SplitFiles

    layouts = (SplitFiles.of(str(directory), split.value),) if split else SplitFiles.every(str(directory))
    results = checked(layouts, videos)
    if as_json:
        print_json([_record(result) for result in results])
    else:
        for result in results:
            _show(result)
    if any(finding.is_fault for result in results for finding in result.findings):
        raise typer.Exit(1)


def _check_table(path: Path, as_json: bool) -> None:
    """Print what a table holds. Raises InputError for its first fault."""
    from attrib.data.table import Table

    samples = list(Table(str(path)))
    counts = {
        "videos": len({sample.video_id for sample in samples}), "questions": len(samples),
        "known answers": sum(sample.question.answer is not None for sample in samples),
        "questions with boxes": sum(any(len(track.boxes) for track in sample.tracks) for sample in samples),
        "questions with intervals": sum(bool(sample.segments) for sample in samples),
    }  # fmt: skip
    if as_json:
        print_json({"table": str(path), "counts": counts})
    else:
        say(f"{path}: {', '.join(f'{count:,} {name}' for name, count in counts.items())}")


def _record(result: SplitCheck) -> dict[str, Any]:
    return {
        "annotations": str(result.layout.annotations), "split": result.layout.split,
        "counts": {name: result.counts[name] for name in COUNTS},
        "findings": [
            {"kind": item.kind, "fault": item.is_fault, "count": item.count, "examples": item.examples,
             "meaning": item.meaning}
            for item in result.findings
        ],
    }  # fmt: skip


def _show(result: SplitCheck) -> None:
    screen.print(Text(f"{result.layout.annotations}", style="bold"))
    say(", ".join(f"{result.counts[name]:,} {name}" for name in COUNTS if result.counts[name] or name == "videos"))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for finding in result.findings:
        table.add_row(*_cells(finding))
    screen.print(table if result.findings else "nothing odd", "")


def _cells(finding: Finding) -> tuple[Text, Text, Text]:
    mark = Text("fault", style="red") if finding.is_fault else Text("odd", style="dim")
    more = ", ..." if finding.count > len(finding.examples) else ""
    examples = "; ".join(filter(None, finding.examples))
    words = Text.assemble(f"{finding.kind}: {finding.meaning}", (f"\n{examples}{more}" if examples else "", "dim"))
    return mark, Text(f"{finding.count:,}"), words


@data.command("tasks")
def tasks(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Data set in Perception Test layout, or its file.")],
    split: Annotated[Split, typer.Option(help="Split whose annotations are read.")] = Split.valid,
    run: Annotated[Path | None, typer.Option(help="Finished run whose accuracy on each task is added.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the tasks (distinct questions) with numbers of videos and annotations, most videos first."""
    from attrib.data.tasks import tasks as counted

    accuracy = _accuracy(run) if run else {}
    known = counted(str(directory), split.value)
    rows = [_task_row(task, accuracy) for task in known.tasks]
    if as_json:
        print_json({"annotations": str(known.layout.annotations), "split": known.layout.split, "videos": known.videos,
                    "videos_without_question": known.without_question, "questions": known.questions,
                    "tasks": rows})  # fmt: skip
        return
    screen.print(_task_table(rows, bool(run)))
    say(_totals(known))
    unknown = accuracy.keys() - {task.text for task in known.tasks}
    if unknown:
        say(f"{run}: {len(unknown)} of its {len(accuracy)} tasks are not in this data set")


def _accuracy(run: Path) -> dict[str, tuple[float, int]]:
    """Accuracy of the run's model by task, with the number of questions that have a known answer."""
    from attrib.benchmarks.jobs import finished_run

    answers = finished_run.read(run).results.drop_duplicates("sample").dropna(subset=["correct"])
    grouped = answers.groupby("task")["correct"]
    return {str(task): (float(answered.astype(float).mean()), len(answered)) for task, answered in grouped}


def _task_row(task: Task, accuracy: Mapping[str, tuple[float, int]]) -> dict[str, Any]:
    share, answered = accuracy.get(task.text, (None, 0))
    return {
        "task": task.text, "videos": task.videos, "questions": task.questions,
        **{name: task.annotated[name] for name in ("tracks", "boxes", "point tracks", "points", "actions", "sounds")},
        "area": sorted(filter(None, task.areas)), "reasoning": sorted(filter(None, task.reasonings)),
        "accuracy": share, "answered": answered,
    }  # fmt: skip


def _task_table(rows: list[dict[str, Any]], with_accuracy: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    numbers = ["videos", *(["questions"] * any(row["questions"] != row["videos"] for row in rows))]
    numbers += [name for name in ANNOTATED if any(row[name] for row in rows)]
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    if with_accuracy:
        table.add_column("right", justify="right", no_wrap=True)
    for name in ("area", "reasoning", "task"):
        table.add_column(name, overflow="fold")
    for row in rows:
        share = "-" if row["accuracy"] is None else f"{row['accuracy']:.0%} of {row['answered']}"
        words = (", ".join(row["area"]), ", ".join(row["reasoning"]), row["task"])
        cells = [*(f"{row[name]:,}" for name in numbers), *([share] * with_accuracy), *words]
        table.add_row(*map(Text, cells))
    return table


def _totals(known: Tasks) -> str:
    empty = f" ({known.without_question} of them without a question)" if known.without_question else ""
    tasks, videos = _count(len(known.tasks), "task"), _count(known.videos, "video")
    return f"{tasks}, {videos}{empty}, {_count(known.questions, 'question')}"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
