"""`attrib layers`: draw the answer's attention to one video, layer by layer."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attrib.commands.options import (
    AnswerOptions,
    DataRoot,
    Frames,
    JsonFlag,
    ModelName,
    QuestionId,
    QuestionText,
    Sets,
    SplitName,
    TargetText,
    VideoFile,
    VideoId,
    assignments,
    check_output,
)  # fmt: skip
from attrib.commands.question import AnnotatedQuestion, TypedQuestion, asked
from attrib.commands.terminal.console import print_json, progress, say, stopping, warn

if TYPE_CHECKING:
    from attrib.config import ExplainConfig
    from attrib.explaining.layers import PageSelection
    from attrib.subject import Target
    from attrib.types import Sample

OPTIONS = {"target": "--target", "data": "--data"}  # options, not settings


class Reduction(StrEnum):
    """Rule for combining a layer's heads into one map."""

    max = "max"
    mean = "mean"


class Columns(StrEnum):
    """Rule for choosing frames when there are too many to draw."""

    even = "even"
    most = "most"


def layers(
    output: Annotated[Path, typer.Option("--output", "-O", help="Directory for the pictures and the film.")],
    source: VideoFile = None,
    question: QuestionText = None,
    option: AnswerOptions = None,
    data: DataRoot = None,
    video: VideoId = None,
    question_id: QuestionId = None,
    split: SplitName = None,
    model: ModelName = "demo",
    target: TargetText = "predicted",
    reduction: Annotated[
        Reduction, typer.Option(help="How a layer's heads are combined into one map.")
    ] = Reduction.max,
    layer: Annotated[int | None, typer.Option(help="Draw the heads of this layer instead of all layers.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Draw all rows, not only rows of high activity.")] = False,
    columns: Annotated[int, typer.Option(min=1, max=32, help="Largest number of frames to draw.")] = 8,
    columns_by: Annotated[
        Columns, typer.Option(help="Choose evenly spaced frames, or the frames with most attention.")
    ] = Columns.even,
    frames: Frames = None,
    sets: Sets = None,
    as_json: JsonFlag = False,
) -> None:
    """Draw the answer's attention to one video, layer by layer: SAMPLE.png, .pdf and, through all layers, .mp4.

    Ask about a video file with --question, or take an annotated question with --data and --video. For a set of videos
    see `attrib atlas`.
    """
    sample, _ = asked(TypedQuestion(source, question, option, {}), AnnotatedQuestion(data, video, question_id, split))
    check_output(output)
    from attrib import config
    from attrib.explaining.request import explain_settings
    from attrib.video import check_file

    settings = explain_settings(model, config.override({}, assignments(sets, frames)), OPTIONS)
    check_file(sample.video)
    from attrib.explaining.layers import PageSelection
    from attrib.subject import Target

    choice = PageSelection(reduction.value, layer, every, columns, columns_by.value)
    _draw(output, sample, choice, (settings, Target.parse(target)), as_json)


def _draw(
    folder: Path, sample: Sample, choice: PageSelection, asked: tuple[ExplainConfig, Target], as_json: bool
) -> None:  # fmt: skip
    """Draw the page and the film of one video; `asked` holds the settings and the target."""
    from attrib.benchmarks.jobs.store import file_name
    from attrib.explaining.binding import bind_sample, load
    from attrib.explaining.layers import draw

    settings, target = asked
    with stopping(f"what is drawn already stays in {folder}"), progress(as_json) as step:
        step("asking the model", 0, 0)
        subject = bind_sample(load(settings.model), settings, sample, target)
        step("drawing", 0, 0)
        path = folder / file_name(sample.id)
        rows = draw(path, subject, choice)
    warn(subject.clip.warnings)
    shown_rows = [name for name, visible in zip(rows.names, rows.shown, strict=True) if visible]
    if as_json:
        print_json({"sample": sample.id, "question": sample.question.text, "answer": subject.description,
                    "rows": rows.kind, "mass": rows.mass.tolist(), "high_activity": float(rows.threshold),
                    "shown": shown_rows, "frames": list(rows.columns), "full_colour": rows.top,
                    "files": [f"{path}.{ending}" for ending in ("png", "pdf", "mp4")]})  # fmt: skip
        return
    say(f"{len(shown_rows)} of {len(rows.names)} {rows.kind}s drawn: {', '.join(shown_rows)}")
    say(f"written to {path}.{{png,pdf,mp4}}")
