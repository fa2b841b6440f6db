"""The command line. Torch is imported only by the commands that need it.

Exit codes: 0 done, 1 some items failed (they are listed), 2 bad input (one line describes it), 130 interrupted by
Ctrl-C, 143 by SIGTERM.
"""

from __future__ import annotations

import gc
import os
import sys

import typer

from attrib.commands import app as live
from attrib.commands import atlas, bench, check, compare, data, explain, layers, listing, report
from attrib.commands.export import figures, notebook, techreport
from attrib.commands.terminal.console import notes
from attrib.errors import AttribError

app = typer.Typer(
    help="Where and when in a video a language model's answer comes from, and whether that map can be trusted.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip
app.command("list")(listing.list_registered)
app.command()(explain.explain)
app.command()(check.check)
app.command()(bench.bench)
app.command()(compare.compare)
app.add_typer(data.data, name="data")
app.command()(layers.layers)
app.command()(atlas.atlas)
app.command()(report.report)
app.command()(report.view)
app.command()(figures.figures)
app.command()(techreport.techreport)
app.command()(notebook.notebook)
app.command("app")(live.app)


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
