"""`attrib app`: explain answers in a browser."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from attrib.commands.options import Frames, ModelName, Plugins, Sets, assignments, load_plugins
from attrib.commands.terminal.console import say, stopping
from attrib.errors import InputError


def app(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0: any free port.")] = 7860,
    model: ModelName = "demo",
    frames: Frames = None,
    run: Annotated[list[Path] | None, typer.Option(help="Run directory whose questions become examples.")] = None,
    sets: Sets = None,
    plugin: Plugins = None,
) -> None:
    """Explain answers in a browser: a page on this machine, to choose a video and methods and watch the saliency."""
    if find_spec("gradio") is None:
        raise InputError("the app needs Gradio: pip install 'attrib[app]'")
    load_plugins(plugin)
    from attrib import config
    from attrib.explaining.request import explain_settings

    settings = config.override({}, assignments(sets, frames))
    chosen = explain_settings(model, settings).model
    from attrib.app.server import serving
    from attrib.benchmarks.jobs import finished_run
    from attrib.explaining.binding import load

    samples = [sample for directory in run or () for sample in finished_run.read(directory).samples.values()]
    network = load(chosen)
    started = serving(network, port, settings, samples=samples)
    with stopping("the app's files are removed"), started as (address, server, listening):
        say(f"attrib app: {address}  (stop with Ctrl-C)")
        server.run(sockets=[listening])
