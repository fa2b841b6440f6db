"""`attrib check`: compare a checkpoint's numbers with those of its own code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attrib import registry
from attrib.commands.options import Frames, JsonFlag, Plugins, Sets, assignments, load_plugins
from attrib.commands.terminal.console import finish, print_json, progress, stopping, warn
from attrib.errors import InputError

if TYPE_CHECKING:
    from attrib.config import ModelSection
    from attrib.models.checking.report import ModelReport
    from attrib.runtime.progress import Progress


def check(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="demo, a checkpoint directory, or a Hugging Face id.")],
    video: Annotated[Path | None, typer.Option(help="Video to check on. Default: noise at uneven times.")] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="Method to run; repeatable; `none` for none. Default: every one.")
    ] = None,
    frames: Frames = None,
    sets: Sets = None,
    plugin: Plugins = None,
    as_json: JsonFlag = False,
) -> None:
    """Check a model against its official processor and network, and run each method once.

    The report names model, versions and machine; paste it into an issue. Exit code 0: all holds; 1: something differs.
    """
    load_plugins(plugin)
    from attrib import config
    from attrib.explaining.request import explain_settings
    from attrib.video import check_file

    settings = explain_settings(model, config.override({}, assignments(sets, frames))).model
    if video is not None:
        check_file(video)
    names = _chosen(method or [])
    with stopping("there is no report"), progress(as_json) as step:
        report = _report(settings, video, names, step)
    if as_json:
        print_json(report.record())
    else:
        from attrib.commands.terminal.model_check import show

        show(report)
    finish(report.faults)


def _chosen(names: list[str]) -> list[str]:
    """Names of the methods to run. Raises UnknownName."""
    if names == ["none"]:
        return []
    if "none" in names:
        raise InputError("--method none: expected no other method beside it")
    for name in names:
        registry.get("methods", name)
    return names or registry.names("methods")


def _report(settings: ModelSection, file: Path | None, methods: list[str], step: Progress) -> ModelReport:
    from attrib import video
    from attrib.explaining.binding import FrameSampling, load
    from attrib.models.checking.report import noise, report

    if file is not None:
        video.read(file, frames=1)  # an unreadable file is named before the weights are loaded
    step("loading the model", 0, 0)
    model = load(settings)
    sampling = FrameSampling.of(settings, model)
    clip = noise(model, sampling.frames) if file is None else sampling.read(file)
    warn(clip.warnings)
    return report(model, clip, methods, step)
