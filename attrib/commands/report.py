"""`attrib report` and `attrib view`: a finished run as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attrib.commands.options import FinishedRunPath, Plugins, check_output, load_plugins
from attrib.commands.terminal.console import progress, say, stopping, warn

SHOWN = 60  # samples with a player, where nobody says how many


def report(
    run: FinishedRunPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-O", help="Directory of report.html; default: the run's own.")
    ] = None,
    players: Annotated[int, typer.Option("--players", min=0, help="Samples with a player, at most.")] = SHOWN,
    plugin: Plugins = None,
) -> None:
    """Write report.html: leaderboard, figures, tasks and a player for each sample; it opens without a server."""
    load_plugins(plugin)
    check_output(run if output is None else output)
    from attrib.benchmarks.report import page

    with stopping("the report is not written"), progress(quiet=False) as step:
        made = page.write(run, output, players, step)
    warn(made.warnings)
    beside = "" if made.embedded else f", with videos and maps in {made.path.parent / 'report'}"
    say(f"report: {made.path} ({made.size / 2**20:.1f} MiB{beside})")
    if made.shown < made.samples:
        say(f"{made.shown} of {made.samples} samples have a player; --players shows more")


def view(
    run: FinishedRunPath,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    players: Annotated[
        int | None, typer.Option("--players", min=0, help="Make the report anew, with so many players at most.")
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Serve the run's report on this machine alone, made first where it is missing or older than the run."""
    from attrib.benchmarks.report import paths, serve

    if players is not None or paths.is_stale(run):
        report(run, None, SHOWN if players is None else players, plugin)
    with stopping("the report is no longer served"), serve.serving(run, port) as server:
        say(f"{server.address} (Ctrl-C stops)")
        if not no_browser:
            typer.launch(server.address)
        server.serve()
