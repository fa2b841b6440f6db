"""`attrib figures`, `attrib techreport`, `attrib notebook`: what a finished run hands in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attrib.commands.shared import Plugins, check_output, load_plugins, progress, say, warn

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
    from attrib.benchmarks.finished import read
    from attrib.benchmarks.handin.figures import write_figures

    finished = read(run)
    check_output(folder)
    with progress(False) as step:
        found = write_figures(finished, folder, step)
    for item in found.shown:
        size = f", {item.width:.1f} x {item.height:.1f} in" if item.width and item.height else ""
        say(f"{item.name}: {', '.join(item.files)}{size}")
    for missing in found.left_out:
        say(f"{missing.name}: left out: {missing.reason}")
    warn(found.troubles)
    say(f"written to {folder}, with captions.md and figures.json")
