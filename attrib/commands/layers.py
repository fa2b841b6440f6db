"""`attrib layers`: the answer's attention layer by layer, of one video; layers x heads, over a set of videos."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attrib.commands.options import (
    JsonFlag,
    Sets,
    Split,
    annotated,
    check_output,
    print_json,
    progress,
    say,
    stopping,
    warn,
)
from attrib.errors import InputError

if TYPE_CHECKING:
    from attrib.config import Config
    from attrib.explaining.layers import Choice
    from attrib.subject import Subject
    from attrib.types import Sample


DRAWN = ("model", "reduction", "layer", "every", "columns", "frames_by")
FORMS = {  # what is drawn, and the options that it alone takes
    "a video file": ("question", "option", *DRAWN),
    "--data": ("video", "question_id", "split", *DRAWN),
    "an atlas": ("top", "draws", "causal", "figures"),
}


class Reduction(StrEnum):
    """How a layer's heads become one map."""

    max = "max"
    mean = "mean"


class Columns(StrEnum):
    """Which frames are drawn where there are too many."""

    even = "even"
    most = "most"


class Causal(StrEnum):
    """What is knocked out."""

    none = "none"
    heads = "heads"
    layers = "layers"


def layers(
    context: typer.Context,
    source: Annotated[
        Path | None, typer.Argument(metavar="[VIDEO|CONFIG]", help="Video file; or YAML of a benchmark: an atlas.")
    ] = None,
    question: Annotated[str | None, typer.Option("--question", "-q", help="The question's text.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="An answer option; two or more. None: the model's own words.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data set in the Perception Test layout.")] = None,
    video: Annotated[str | None, typer.Option(help="Id of a video in --data.")] = None,
    question_id: Annotated[int | None, typer.Option(help="With --data: which of several questions.")] = None,
    split: Annotated[Split, typer.Option(help="Which annotations of --data.")] = Split.valid,
    output: Annotated[Path | None, typer.Option("--output", "-O", help="Directory for what is drawn.")] = None,
    model: Annotated[str, typer.Option(help="demo, a checkpoint directory, or a Hugging Face id.")] = "demo",
    reduction: Annotated[Reduction, typer.Option(help="A layer's map: over its heads.")] = Reduction.max,
    layer: Annotated[int | None, typer.Option(help="Draw this layer's heads in place of layers.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All rows, not only those of high activity.")] = False,
    columns: Annotated[int, typer.Option(min=1, max=32, help="At most so many frames.")] = 8,
    frames_by: Annotated[Columns, typer.Option(help="Frames spaced evenly, or of most attention.")] = Columns.even,
    run: Annotated[Path | None, typer.Option(help="A finished run: an atlas of its videos, in RUN/layers.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Atlas: heads that are chosen on each half of the videos.")] = 3,
    draws: Annotated[int, typer.Option(min=1, help="Atlas: random controls of each knockout.")] = 5,
    causal: Annotated[Causal, typer.Option(help="Atlas: what is knocked out; layers: heads too.")] = Causal.layers,
    figures: Annotated[int, typer.Option(min=0, help="Atlas: draw so many videos too.")] = 1,
    sets: Sets = None,
    as_json: JsonFlag = False,
) -> None:
    """Draw the answer's attention layer by layer on one video; or chart layers x heads over a set of videos.

    One video: VIDEO with --question, or --data with --video; writes SAMPLE.png, .pdf and, through all layers, .mp4.
    An atlas: CONFIG or --run; writes atlas.parquet, .csv, .png and .pdf, and selection.json: heads chosen on one half
    of the videos and reported on the other.
    """
    _check_sources(source, data, run)
    config_file = source if source is not None and source.suffix in (".yaml", ".yml") else None
    _check_options(context, "--data" if data else "an atlas" if run or config_file else "a video file")
    if run is not None or config_file is not None:
        from attrib.benchmarks.atlas.jobs import Options
        from attrib.commands.atlas import chart

        settings, samples = _set_of_videos(run, config_file, sets)
        chart(settings, samples, _folder(output, run), Options(top, draws, causal.value), figures, as_json)
        return
    folder = _folder(output)
    from attrib.explaining.layers import Choice

    if data is not None:
        if video is None:
            raise InputError("--video: expected the id of a video of --data")
        sample = annotated(data, video, question_id, split)
    else:
        sample = _asked(Path(str(source)), question, option or [])
    choice = Choice(reduction.value, layer, every, columns, frames_by.value)
    _draw(folder, sample, choice, (model, sets), as_json)


def _draw(folder: Path, sample: Sample, choice: Choice, asked: tuple[str, list[str] | None], as_json: bool) -> None:
    """The page and the film of one video; `asked` is the model and the settings."""
    from attrib.benchmarks.jobs.store import file_name
    from attrib.explaining.layers import draw

    with stopping(f"what is drawn already stays in {folder}"), progress(as_json) as step:
        step("asking the model", 0, 0)
        subject = _subject(sample, *asked)
        step("drawing", 0, 0)
        path = folder / file_name(sample.id)
        rows = draw(path, subject, choice)
    warn(subject.clip.warnings)
    shown_rows = [name for name, there in zip(rows.names, rows.shown, strict=True) if there]
    if as_json:
        print_json({"sample": sample.id, "question": sample.question.text, "answer": subject.description,
                    "rows": rows.kind, "mass": rows.mass.tolist(), "high_activity": float(rows.threshold),
                    "shown": shown_rows, "frames": list(rows.columns), "full_colour": rows.top,
                    "files": [f"{path}.{ending}" for ending in ("png", "pdf", "mp4")]})  # fmt: skip
        return
    say(f"{len(shown_rows)} of {len(rows.names)} {rows.kind}s drawn: {', '.join(shown_rows)}")
    say(f"written to {path}.{{png,pdf,mp4}}")


def _check_sources(source: Path | None, data: Path | None, run: Path | None) -> None:
    given = {"a video or configuration": source, "--data": data, "--run": run}
    found = [name for name, value in given.items() if value is not None]
    if len(found) != 1:
        said = " and ".join(found) or "none"
        raise InputError(
            f"expected one of: a video file, --data with --video, a configuration (.yaml), --run; got {said}"
        )


def _check_options(context: typer.Context, form: str) -> None:
    """Refuse what would change nothing."""
    others = {name for names in FORMS.values() for name in names} - set(FORMS[form])
    for option in context.command.params:
        given = context.get_parameter_source(str(option.name))
        if option.name in others and given is not None and given.name == "COMMANDLINE":
            raise InputError(f"{option.opts[0]}: does not apply to {form}")


def _folder(output: Path | None, run: Path | None = None) -> Path:
    """Where things are written. Raises InputError where that cannot be."""
    if output is None and run is None:
        raise InputError("--output: expected a directory for what is drawn")
    folder = output or Path(str(run)) / "layers"
    check_output(folder)
    return folder


def _set_of_videos(
    run: Path | None, config_file: Path | None, sets: list[str] | None
) -> tuple[Config, tuple[Sample, ...]]:
    """Settings and samples of a finished run, or of a configuration."""
    from attrib import config

    if run is None:
        settings = config.parse(config.override(config.read(Path(str(config_file))), sets or ()))
        return settings, tuple(config.dataset(settings))
    from attrib.benchmarks.jobs import finished_run

    found = finished_run.read(run)
    settings = config.parse(config.override(found.settings.model_dump(), sets or ()))
    return settings, tuple(found.samples.values())


def _asked(source: Path, question: str | None, options: list[str]) -> Sample:
    """A video file with a question of one's own."""
    from attrib.types import Question, Sample

    if question is None:
        raise InputError("--question: expected the question that the video is asked")
    if len(set(options)) < len(options):
        raise InputError(f"options: expected different ones, got {', '.join(map(repr, options))}")
    return Sample(source.stem, source, Question(question, tuple(options)))


def _subject(sample: Sample, model: str, sets: list[str] | None) -> Subject:
    from attrib import api, config
    from attrib.explaining import binding
    from attrib.explaining.layers import bound

    given = api.settings_for(model, config.override({}, sets or ()))
    return bound(binding.load(given.model), given, sample)
