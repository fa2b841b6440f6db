"""`attrib figures`, `attrib techreport`, `attrib notebook`: what a finished run hands in."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attrib.commands.options import Plugins, check_output, load_plugins
from attrib.commands.terminal.console import finish, progress, say, stopping, warn

RunDirectory = Annotated[Path, typer.Argument(metavar="RUN", help="Directory of a finished run.")]


def figures(
    run: RunDirectory,
    output: Annotated[
        Path | None, typer.Option("--output", "-O", help="Directory for the figures. Default: RUN/figures.")
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Figures for papers: each as PDF and PNG at print size, with its numbers (.csv) and captions."""
    load_plugins(plugin)
    folder = output or run / "figures"
    from attrib.benchmarks.export.figures.write import write_figures
    from attrib.benchmarks.jobs.finished_run import read

    finished = read(run)
    check_output(folder)
    with stopping(f"what is drawn already stays in {folder}"), progress(False) as step:
        found = write_figures(finished, folder, step)
    for item in found.shown:
        size = f", {item.width:.1f} x {item.height:.1f} in" if item.width and item.height else ""
        say(f"{item.name}: {', '.join(item.files)}{size}")
    for missing in found.left_out:
        say(f"{missing.name}: left out: {missing.reason}")
    warn(found.troubles)
    say(f"written to {folder}, with captions.md and figures.json")


class Paper(StrEnum):
    """Sizes that the report is set for."""

    A4 = "a4"
    LETTER = "us-letter"


def techreport(
    run: RunDirectory,
    output: Annotated[
        Path | None, typer.Option("--output", "-O", help="PDF file. Default: RUN/techreport.pdf.")
    ] = None,
    title: Annotated[str, typer.Option(help="Default: model, methods and tasks, from the run.")] = "",
    author: Annotated[list[str] | None, typer.Option("--author", help="Repeatable.")] = None,
    training_note: Annotated[
        str, typer.Option(help="How the model was trained. Default: its own record, or: as published.")
    ] = "",
    paper: Annotated[Paper, typer.Option(help="Size of the page.")] = Paper.A4,
    plugin: Plugins = None,
) -> None:
    """Technical report of two pages (PDF), filled from the run; more than two pages are an error."""
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
            found = write_report(finished, path, wanted, step)
    except TooLong as error:
        finish([str(error)])
        return
    warn(found.troubles)
    say(f"written to {path}: {found.pages} pages")


def notebook(
    run: RunDirectory,
    output: Annotated[
        Path | None, typer.Option("--output", "-O", help="Notebook file. Default: RUN/notebook.ipynb.")
    ] = None,
    execute: Annotated[
        bool, typer.Option("--run", help="Run it here, and keep its outputs; needs nbclient and ipykernel.")
    ] = False,
    source: Annotated[
        str, typer.Option(help="What pip installs where attrib is missing: a name, or git+https://...")
    ] = "attrib",
    plugin: Plugins = None,
) -> None:
    """Notebook that explains example videos, shows the figures and checks a number; for Colab or beside the run."""
    load_plugins(plugin)
    path = output or run / "notebook.ipynb"
    from attrib.benchmarks.export.notebook.write import run_notebook, write_notebook
    from attrib.benchmarks.jobs.finished_run import read

    finished = read(run)
    check_output(path.parent)
    write_notebook(finished, path, source, plugin or ())
    if execute:
        with stopping(f"{path} keeps the outputs until then"):
            run_notebook(path)
    say(f"written to {path}" + (", with its outputs" if execute else ""))
