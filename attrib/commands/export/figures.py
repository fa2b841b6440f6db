"""`attrib figures`: draw the figures of a finished run for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attrib.commands.options import FinishedRunPath, Plugins, check_output, check_runs, load_plugins
from attrib.commands.terminal.console import progress, say, stopping, warn


def figures(
    run: FinishedRunPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-O", help="Directory for the figures. Default: RUN/figures.")
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Draw figures for papers: each as PDF and PNG at print size, with its numbers (.csv) and captions."""
    check_runs(run)
    load_plugins(plugin)
    folder = output or run / "figures"
    from attrib.benchmarks.export.figures.write import write_figures
    from attrib.benchmarks.jobs.finished_run import read

    finished = read(run)
    check_output(folder)
    with stopping(f"figures drawn so far stay in {folder}"), progress(False) as step:
        written, missing = write_figures(finished, folder, step)
    for figure in written:
        size = f", {figure.width:.1f} x {figure.height:.1f} in" if figure.width and figure.height else ""
        say(f"{figure.name}: {', '.join(figure.files)}{size}")
    for absent in missing:
        say(f"{absent.name}: left out: {absent.reason}")
    for figure in written:
        warn(figure.warnings)
    say(f"written to {folder}, with captions.md and figures.json")
