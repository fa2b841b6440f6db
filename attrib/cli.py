"""The command line. Torch is imported only by the commands that need it.

Exit codes: 0 done, 1 some items failed (they are listed), 2 bad input (one line describes it), 130 interrupted by
Ctrl-C, 143 by SIGTERM.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated

import typer

import attrib
from attrib.commands import app as live
from attrib.commands import atlas, bench, check, compare, data, explain, layers, listing, report, trace
from attrib.commands.export import figures, notebook, techreport
from attrib.commands.terminal.console import notes
from attrib.errors import AttribError

app = typer.Typer(
    help="Where and when in a video a language model's answer comes from, and whether that map can be trusted.",
    no_args_is_help=True, pretty_exceptions_enable=False,
)  # fmt: skip
EXPLAIN, COMPARE, SHARE, DATA = "Explain an answer", "Compare methods", "Share a finished run", "Data, models, plug-ins"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"attrib {attrib.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Explain answers of video language models, and benchmark the methods that do."""


app.command(rich_help_panel=EXPLAIN)(explain.explain)
app.command(rich_help_panel=EXPLAIN)(layers.layers)
app.command(rich_help_panel=EXPLAIN)(trace.trace)
app.command("app", rich_help_panel=EXPLAIN)(live.app)
app.command(rich_help_panel=COMPARE)(bench.bench)
app.command(rich_help_panel=COMPARE)(compare.compare)
app.command(rich_help_panel=COMPARE)(atlas.atlas)
app.command(rich_help_panel=SHARE)(report.report)
app.command(rich_help_panel=SHARE)(report.view)
app.command(rich_help_panel=SHARE)(figures.figures)
app.command(rich_help_panel=SHARE)(techreport.techreport)
app.command(rich_help_panel=SHARE)(notebook.notebook)
app.add_typer(data.data, name="data", rich_help_panel=DATA)
app.command("list", rich_help_panel=DATA)(listing.list_registered)
app.command(rich_help_panel=DATA)(check.check)


def main() -> None:
    """Run the command line; bad input becomes one line and exit code 2."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    gc.set_threshold(700, 10, 100)  # imports make no garbage: looking at all of memory during them takes 8 % of a start
    try:
        app()
    except AttribError as error:
        notes.print(f"attrib: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
