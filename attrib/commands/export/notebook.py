"""`attrib notebook`: export a finished run as a Jupyter notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attrib.commands.options import FinishedRunPath, Plugins, check_output, check_runs, load_plugins
from attrib.commands.terminal.console import say, stopping


def notebook(
    run: FinishedRunPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-O", help="Notebook file. Default: RUN/notebook.ipynb.")
    ] = None,
    execute: Annotated[
        bool, typer.Option("--run", help="Execute the notebook and save its outputs; needs nbclient and ipykernel.")
    ] = False,
    source: Annotated[
        str,
        typer.Option(
            help="Package that the notebook installs with pip if attrib is missing: a name or git+https://..."
        ),
    ] = "attrib",
    plugin: Plugins = None,
) -> None:
    """Write a notebook that explains example videos, shows the figures and checks a number; runs on Colab too."""
    check_runs(run)
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
