"""`attrib trace`: through which positions and layers the answer travels, by activation patching and cut attention."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from attrib.commands.options import (
    AnswerOptions,
    DataRoot,
    Frames,
    JsonFlag,
    ModelName,
    Plugins,
    QuestionId,
    QuestionText,
    Sets,
    SplitName,
    TargetText,
    VideoFile,
    VideoId,
    assignments,
    check_output,
    load_plugins,
)
from attrib.commands.question import AnnotatedQuestion, TypedQuestion, asked, set_of_videos
from attrib.commands.terminal.console import finish, print_json, progress, say, screen, stopping, warn
from attrib.errors import InputError

if TYPE_CHECKING:
    from attrib.benchmarks.engines.sample_jobs import SampleJobs
    from attrib.benchmarks.stats.resampling import Resampling
    from attrib.benchmarks.trace.trace import Trace
    from attrib.config import ExplainConfig
    from attrib.types import Sample

OPTIONS = {"target": "--target", "data": "--data"}  # options, not settings
OF_RUN = "--run takes questions, model and target of the run"


def trace(
    source: VideoFile = None,
    question: QuestionText = None,
    option: AnswerOptions = None,
    data: DataRoot = None,
    video: VideoId = None,
    question_id: QuestionId = None,
    split: SplitName = None,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="RUN|CONFIG", help="All questions of a finished run, or of a YAML.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-O", help="Directory for the trace. Default for a run: RUN/trace.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Video that lacks the answer: removed, object, object:IMPUTER, blank or frames:VIDEO. Default: the "
            "first of removed, object and blank that the question's data allow.",
        ),
    ] = None,
    stream: Annotated[
        list[str] | None,
        typer.Option(
            help="Patch this beside the residual stream: attention or mlp (may be repeated); residual: neither. "
            "Default: both.",
        ),
    ] = None,
    model: ModelName = "demo",
    target: TargetText = "predicted",
    frames: Frames = None,
    sets: Sets = None,
    plugin: Plugins = None,
    as_json: JsonFlag = False,
) -> None:
    """Trace the answer through the model: which tokens' states carry it at which layer, and along which attention.

    States of a run on the video are carried into a run on a video that lacks the answer, and attention between groups
    of tokens is cut. Writes trace.parquet, .csv, .json, .png and .pdf.
    """
    from attrib import config

    load_plugins(plugin)
    given = assignments(sets, frames)
    typed, annotated = TypedQuestion(source, question, option, {}), AnnotatedQuestion(data, video, question_id, split)
    folder = _folder(run, output)
    if run is not None:
        _only_run([*typed.given(), *annotated.given()], model, target)
        check_output(folder)
        settings, samples = set_of_videos(run, given, "a trace")
        _trace(folder, (settings, samples, settings.target), (against, stream), as_json)
        return
    sample, _ = asked(typed, annotated)
    check_output(folder)
    from attrib.explaining.request import check_target, explain_settings
    from attrib.subject import Target
    from attrib.video import check_file

    one = explain_settings(model, config.override({}, given), OPTIONS)
    check_file(sample.video)
    check_target(sample.question.options, str(Target.parse(target)))
    _trace(folder, (one, (sample,), target), (against, stream), as_json)


def _folder(run: Path | None, output: Path | None) -> Path:
    if output is None and (run is None or not run.is_dir()):
        raise InputError("--output: expected a directory for the trace")
    from attrib.benchmarks.trace.kept import FOLDER

    return output or Path(str(run)) / FOLDER


def _only_run(given: list[str], model: str, target: str) -> None:
    """Raise InputError for an option of one question beside --run."""
    named = [*given, *["--model"] * (model != "demo"), *["--target"] * (target != "predicted")]
    if named:
        raise InputError(f"{OF_RUN}; got {named[0]} too")


def _trace(
    folder: Path,
    questions: tuple[ExplainConfig, tuple[Sample, ...], str],
    words: tuple[str | None, list[str] | None],
    as_json: bool,
) -> None:
    """Trace the questions (settings, samples, target) as --against and --stream say; exit with code 1 if one failed."""
    from attrib.benchmarks.trace.sample import TraceOptions
    from attrib.benchmarks.trace.trace import trace as build_trace

    options = TraceOptions.parse(*words)
    kept = f"what was computed is kept in {folder}: the same command goes on from there"
    with stopping(kept), progress(as_json) as step:
        step("loading the model", 0, 0)
        jobs, resampling = _jobs(folder, questions)
        found = build_trace(jobs, options, resampling, step)
        step("drawing", 0, 0)
        files = found.write(folder)
    warn(found.warnings)
    if as_json:
        table = json.loads(found.table.to_json(orient="records", double_precision=15))
        print_json({"directory": str(folder), **found.plain, "trace": table})
    else:
        _show(found)
        say(f"written to {folder}: {', '.join(files)}")
    finish([f"{sample}: {error}" for sample, error in found.failures.items()])


def _jobs(folder: Path, questions: tuple[ExplainConfig, tuple[Sample, ...], str]) -> tuple[SampleJobs, Resampling]:
    from attrib.benchmarks.engines.sample_jobs import SampleJobs
    from attrib.benchmarks.jobs.store import Store
    from attrib.benchmarks.stats.resampling import Resampling
    from attrib.config import Config
    from attrib.explaining.binding import load

    settings, samples, target = questions
    workers, resampling = 1, Resampling(seed=settings.seed)
    if isinstance(settings, Config):
        workers, resampling = settings.workers or 1, Resampling(settings.resamples, settings.seed)
    jobs = SampleJobs(load(settings.model), settings, samples, Store(folder, retry_failed=True),
                      SampleJobs.hashes(samples), target, workers)  # fmt: skip
    return jobs, resampling


def _show(found: Trace) -> None:
    """Print the finding and the residual stream's shares."""
    say(found.sentence)
    left_out = found.about["left_out"]
    for sample, reason in list(left_out.items())[:3]:
        say(f"left out: {sample}: {reason}" + (f", and {len(left_out) - 1} more" if len(left_out) > 3 else ""))
    own = found.table[(found.table["kind"] == "group") & (found.table["stream"] == "residual")]
    if len(own):
        layers = sorted(own["layer"].unique())
        shown = Table("share restored after layer", *map(str, layers), box=None, pad_edge=False)
        for part, rows in own.groupby("part", sort=False):
            means = rows.set_index("layer")["mean"]
            shown.add_row(str(part).replace("_", " "), *(f"{round(means[layer], 2) + 0.0:.2f}" for layer in layers))
        screen.print("", shown, "", sep="\n")
