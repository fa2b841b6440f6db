"""Questions of a command: one, typed for a video file or taken from an annotated data set; or a run's set of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib.commands.options import Split
from attrib.data.table_rows import is_table
from attrib.errors import InputError, nearest

if TYPE_CHECKING:
    from attrib.config import Config
    from attrib.types import Sample

APPLICABLE = ("data", "model", "target", "seed", "resamples", "workers")  # settings that charts of a set depend on
FORMS = "expected VIDEO and --question, or --data and --video"


@dataclass(frozen=True)
class TypedQuestion:
    """Values of VIDEO, --question and --option; `others`: more options that apply to this form only."""

    video: Path | None
    text: str | None
    options: Sequence[str] | None
    others: Mapping[str, Any]

    def given(self) -> list[str]:
        """Names of the options that the user set."""
        return _given({"VIDEO": self.video, "--question": self.text, "--option": self.options, **self.others})


@dataclass(frozen=True)
class AnnotatedQuestion:
    """Values of --data, --video, --question-id and --split."""

    root: Path | None
    video: str | None
    id: int | None
    split: Split | None

    def given(self) -> list[str]:
        """Names of the options that the user set."""
        return _given({"--data": self.root, "--video": self.video, "--question-id": self.id, "--split": self.split})


def _given(values: Mapping[str, Any]) -> list[str]:
    return [name for name, value in values.items() if value not in (None, False, [])]


def asked(typed: TypedQuestion, annotated: AnnotatedQuestion) -> tuple[Sample, bool]:
    """Return the sample to explain, and whether it is annotated.

    Raises InputError for a mixture of the two forms, for half a form, and when the data set has no such question.
    """
    if typed.given() and annotated.given():
        raise InputError(f"{FORMS}; got {typed.given()[0]} and {annotated.given()[0]}")
    needed, given = ("VIDEO", "--question"), typed.given()
    if annotated.given():
        needed, given = ("--data", "--video"), annotated.given()
    for name in needed:
        if name not in given:
            raise InputError(f"{FORMS}; got no {name}")
    return (_read(annotated), True) if annotated.given() else (_typed(typed), False)


def _typed(question: TypedQuestion) -> Sample:
    from attrib.types import Question, Sample

    video = Path(str(question.video))
    return Sample(video.stem, video, Question(str(question.text), tuple(question.options or ())))


def _read(question: AnnotatedQuestion) -> Sample:
    root, video = str(question.root), str(question.video)
    if is_table(root):
        from attrib.data.table import Table

        return Table(root).sample(video, question.id)
    from attrib.data.perception_test import PerceptionTest

    return PerceptionTest(root, (question.split or Split.valid).value).sample(video, question.id)


def set_of_videos(source: Path, sets: Sequence[str], what: str) -> tuple[Config, tuple[Sample, ...]]:
    """Return settings and samples of a finished run or of a configuration file, for `what`: "an atlas", "a trace".

    Raises InputError for a setting that does not apply to it.
    """
    from attrib import config
    from attrib.settings.benchmark import read_settings

    for text in sets:
        key = text.partition("=")[0].partition(".")[0]
        if key not in APPLICABLE:
            raise InputError(f"--set {text}: {key!r} does not apply to {what}; {nearest(key, APPLICABLE)}")
        if key == "data" and source.is_dir():
            raise InputError(
                f"--set {text}: the {what.split()[1]} of a run uses the run's own videos; pass a CONFIG instead"
            )
    if not source.is_dir():
        settings = config.parse(config.override(read_settings(source), sets))
        return settings, tuple(config.dataset(settings))
    from attrib.benchmarks.jobs import finished_run

    run = finished_run.read(source)
    return config.parse(config.override(run.settings.model_dump(), sets)), tuple(run.samples.values())
