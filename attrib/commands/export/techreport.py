"""`attrib techreport`: write a technical report (PDF) of a finished run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attrib.commands.options import FinishedRunPath, Plugins, check_output, check_runs, load_plugins
from attrib.commands.terminal.console import finish, progress, say, stopping, warn


class Paper(StrEnum):
    """Page sizes of the report."""

    A4 = "a4"
    LETTER = "us-letter"


def techreport(
    run: FinishedRunPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-O", help="PDF file. Default: RUN/techreport.pdf.")
    ] = None,
    title: Annotated[str, typer.Option(help="Default: model, methods and tasks, from the run.")] = "",
    author: Annotated[list[str] | None, typer.Option("--author", help="Repeatable.")] = None,
    training_note: Annotated[
        str, typer.Option(help="How the model was trained. Default: the model's own record, else 'as published'.")
    ] = "",
    paper: Annotated[Paper, typer.Option(help="Size of the page.")] = Paper.A4,
    plugin: Plugins = None,
) -> None:
    """Write a technical report of two pages (PDF) from the run; a longer report is an error."""
    check_runs(run)
    load_plugins(plugin)
    path = output or run / "techreport.pdf"
    from attrib.benchmarks.export.techreport.text import Wanted
    from attrib.benchmarks.export.techreport.write import TooLong, write_report
    from attrib.benchmarks.jobs.finished_run import read

    finished = read(run)
    check_output(path.parent)
    wanted = Wanted(title, tuple(author or ()), training_note, paper.value)
    try:
        with stopping("the report is not written"), progress(False) as step:
            written = write_report(finished, path, wanted, step)
    except TooLong as error:
        finish([str(error)])
        return
    warn(written.warnings)
    say(f"written to {path}: {written.pages} pages")
