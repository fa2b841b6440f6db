"""`attrib report` and `attrib view`: show a finished run as an HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attrib.commands.options import FinishedRunPath, Plugins, check_output, check_runs, load_plugins
from attrib.commands.terminal.console import progress, say, stopping, warn

SHOWN = 60  # samples with a player by default


def report(
    run: FinishedRunPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-O", help="Directory of report.html; default: the run's own.")
    ] = None,
    players: Annotated[int, typer.Option("--players", min=0, help="Largest number of samples with a player.")] = SHOWN,
    plugin: Plugins = None,
) -> None:
    """Write report.html: leaderboard, figures, tasks and a player for each sample; it opens without a server."""
    check_runs(run)
    load_plugins(plugin)
    check_output(run if output is None else output)
    from attrib.benchmarks.report import page

    with stopping("the report is not written"), progress(quiet=False) as step:
        written = page.write(run, output, players, step)
    warn(written.warnings)
    beside = "" if written.embedded else f", with videos and maps in {written.path.parent / 'report'}"
    say(f"report: {written.path} ({written.size / 2**20:.1f} MiB{beside})")
    if written.shown < written.samples:
        say(f"{written.shown} of {written.samples} samples have a player; --players shows more")


def view(
    run: FinishedRunPath,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free port.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    players: Annotated[
        int | None, typer.Option("--players", min=0, help="Rebuild the report with at most this many players.")
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Serve the run's report on this machine only; build it first if it is missing or older than the run."""
    from attrib.benchmarks.report import paths, serve

    if players is not None or paths.is_stale(run):
        report(run, None, SHOWN if players is None else players, plugin)
    with stopping("the report is no longer served"), serve.serving(run, port) as server:
        say(f"{server.address} (Ctrl-C stops)")
        if not no_browser:
            typer.launch(server.address)
        server.serve()
