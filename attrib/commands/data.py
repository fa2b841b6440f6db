"""`attrib data`: check whether a data set can be used, and list its tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from attrib.commands.options import JsonFlag, Split
from attrib.commands.tasks import tasks
from attrib.commands.terminal.console import print_json, say, screen

if TYPE_CHECKING:
    from attrib.data.check import Checked, Finding

data = typer.Typer(help="Annotated data sets.", no_args_is_help=True)
COUNTS = ("videos", "questions", "grounded questions", "tracks", "boxes", "point tracks", "points", "actions", "sounds",
          "cuts")  # fmt: skip


@data.callback()
def group() -> None:
    """Annotated data sets."""


data.command("tasks")(tasks)


@data.command("check")
def check(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Data set in the Perception Test layout.")],
    split: Annotated[Split | None, typer.Option(help="Only these annotations; default: all splits.")] = None,
    videos: Annotated[bool, typer.Option("--videos", help="Decode every video in full; slow.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Report what a data set contains, lacks, and has of oddities. Exit code 0: usable; 1: faults."""
    from attrib.data.check import check as checked
    from attrib.data.layout import Layout

    layouts = (Layout.of(str(directory), split.value),) if split else Layout.every(str(directory))
    results = checked(layouts, videos)
    if as_json:
        print_json([_record(result) for result in results])
    else:
        for result in results:
            _show(result)
    if any(finding.is_fault for result in results for finding in result.findings):
        raise typer.Exit(1)


def _record(result: Checked) -> dict[str, Any]:
    return {
        "annotations": str(result.layout.annotations), "split": result.layout.split,
        "counts": {name: result.counts[name] for name in COUNTS},
        "findings": [
            {"kind": item.kind, "fault": item.is_fault, "count": item.count, "examples": item.examples,
             "meaning": item.meaning}
            for item in result.findings
        ],
    }  # fmt: skip


def _show(result: Checked) -> None:
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
