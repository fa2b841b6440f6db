"""Options that several commands share, and checks of their values."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attrib import registry
from attrib.errors import InputError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print only JSON on standard output.")]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override a setting; repeatable.")]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Python file with methods, metrics or imputers; repeatable.")
]
Frames = Annotated[
    int | None, typer.Option("--frames", min=1, help="Frames that the model sees. Default: the model's own number.")
]
DataSource = Annotated[
    str | None,
    typer.Option("--data", help="Table (.csv, .tsv, .jsonl), directory or name of a data set, instead of CONFIG's."),
]
NoDownload = Annotated[bool, typer.Option("--no-download", help="Take the model from earlier downloads alone.")]
ModelName = Annotated[str, typer.Option("--model", help="demo, a checkpoint directory, or a Hugging Face id.")]
TargetText = Annotated[str, typer.Option("--target", help="predicted, correct:K, option:K or contrast:I,J.")]
FinishedRunPath = Annotated[Path, typer.Argument(metavar="RUN", help="Directory of a finished run.")]
VideoFile = Annotated[Path | None, typer.Argument(metavar="[VIDEO]", help="Video file, with --question.")]
QuestionText = Annotated[str | None, typer.Option("--question", "-q", help="The question's text.")]
AnswerOptions = Annotated[
    list[str] | None, typer.Option("--option", help="An answer option; two or more. Without: a free answer.")
]
DataRoot = Annotated[
    Path | None, typer.Option("--data", help="Annotated data set or table, instead of VIDEO and --question.")
]
VideoId = Annotated[str | None, typer.Option("--video", help="With --data: the video's id.")]
QuestionId = Annotated[int | None, typer.Option("--question-id", help="With --data: id of one of several questions.")]


class Split(StrEnum):
    """The official splits of an annotated data set."""

    train = "train"
    valid = "valid"
    test = "test"


SplitName = Annotated[
    Split | None, typer.Option("--split", help="With --data: split of the annotations; default: valid.")
]


EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        help="Processes that compute: process (this one), fork (on the CPU), gpus (one for each GPU), ray. "
        "auto: gpus where several are visible, else fork where workers is above 1.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="With ray: HOST:PORT of a cluster. Default: RAY_ADDRESS, or start one here."),
]
WorkerCpus = Annotated[float | None, typer.Option("--worker-cpus", help="With ray: CPUs of a worker. Default: 1.")]
WorkerGpus = Annotated[
    float | None,
    typer.Option(
        "--worker-gpus",
        help="With ray: GPUs of a worker. Default: 1 where the cluster has some; all of a node with model.device_map.",
    ),
]
WorkerMemory = Annotated[float | None, typer.Option("--worker-memory", help="With ray: GiB that a worker reserves.")]


def load_plugins(paths: list[Path] | None) -> None:
    """Register the plug-ins of each file."""
    for path in paths or ():
        registry.load_plugin(path)


def assignments(sets: Sequence[str] | None, frames: int | None, no_download: bool = False) -> list[str]:
    """Return `sets` with --frames and --no-download as settings. Raises InputError where --set names other frames."""
    texts = [*(sets or ()), *(["model.offline=true"] * no_download)]
    if frames is None:
        return texts
    from attrib import config

    model = config.override({}, texts).get("model")
    if isinstance(model, dict) and model.get("frames", frames) != frames:
        raise InputError(f"--frames {frames}: contradicts model.frames={model['frames']} (--set); give one of them")
    return [*texts, f"model.frames={frames}"]


def check_runs(*runs: Path) -> None:
    """Raise InputError for a directory without a finished run; called before the code that reads runs is imported."""
    from attrib.settings.benchmark import run_settings

    for run in runs:
        run_settings(run)


def check_output(folder: Path) -> None:
    """Raise InputError for a directory that cannot be written to; called before the work starts."""
    existing = folder.absolute()
    try:
        while not existing.exists():  # OSError: a name that is too long
            existing = existing.parent
        tempfile.TemporaryFile(dir=existing).close()  # permission bits alone do not show every obstacle
    except OSError:
        raise InputError(f"output directory {folder}: {existing} is not a directory that can be written to") from None
