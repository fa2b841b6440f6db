"""Request of the page; the server checks its video, texts and methods against limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attrib import registry
from attrib.errors import HARMFUL, InputError, UnknownName, shown
from attrib.method import Control, can_explain
from attrib.types.question import check_options
from attrib.video.source import open_source

MEGABYTES, SECONDS = 50, 60  # of a video, at most
CHARACTERS, OPTIONS, METHODS = 300, 8, 8  # of a text, options of a question, methods at a time, at most
FRAMES = 128  # that the model sees, at most


@dataclass(frozen=True)
class Request:
    """A question about the video file at `video`, without options for a free answer; see `explain` for the target.

    `frames` is how many of them the model sees; None leaves it to the settings.
    """

    video: Path
    question: str
    options: tuple[str, ...]
    methods: tuple[str, ...]
    target: str = "predicted"
    frames: int | None = None

    @staticmethod
    def of(
        video: str | None, question: str | None, options: str | None, methods: Sequence[str] | None, target: str | None,
        frames: float | None = None,
    ) -> Request:  # fmt: skip
        """Build a request from a page's fields; options are lines. Raises InputError for a missing or long field."""
        if not video:
            raise InputError("video: choose an example or upload one")
        lines = tuple(line.strip() for line in (options or "").splitlines() if line.strip())
        _check_texts((question or "").strip(), lines)
        _check_methods(methods or ())
        if frames is not None and not (1 <= frames <= FRAMES and frames == int(frames)):
            raise InputError(f"frames: expected a whole number from 1 to {FRAMES}, got {frames:g}")
        chosen = target or "predicted" if lines else "predicted"
        return Request(Path(video), (question or "").strip(), lines, tuple(methods or ()), chosen,
                       None if frames is None else int(frames))  # fmt: skip


def _check_texts(question: str, options: Sequence[str]) -> None:
    if not question:
        raise InputError("question: the text is empty")
    check_options(options)
    if len(options) > OPTIONS:
        raise InputError(f"options: expected at most {OPTIONS}, got {len(options)}")
    for name, text in (("question", question), *(("option", text) for text in options)):
        if len(text) > CHARACTERS:
            raise InputError(f"{name}: expected at most {CHARACTERS} characters, got {len(text)}")
        if HARMFUL.search(text):
            raise InputError(f"{name}: {shown(text)} contains control characters")


def _check_methods(methods: Sequence[str]) -> None:
    if not 0 < len(methods) <= METHODS:
        raise InputError(f"methods: expected 1 to {METHODS}, got {len(methods)}")
    for name in methods:
        if name not in explainable():
            raise UnknownName("method", name, explainable())


def explainable() -> tuple[str, ...]:
    """Names of the methods that need no annotation; controls come last."""
    known = {name: registry.get("methods", name) for name in registry.names("methods")}
    usable = [name for name, kind in known.items() if can_explain(kind, annotated=False)]
    return tuple(sorted(usable, key=lambda name: issubclass(known[name], Control)))


def check_video(path: Path, folder: Path) -> None:
    """Raise InputError unless `path` is a readable video below `folder` and within the limits."""
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise InputError("video: expected an example or an upload of this page")
    size = path.stat().st_size / 1e6
    if size > MEGABYTES:
        raise InputError(f"video: expected at most {MEGABYTES} MB, got {size:.1f} MB")
    source = open_source(path)
    seconds = source.end - float(source.times[0])
    if seconds > SECONDS:
        raise InputError(f"video: expected at most {SECONDS} s, got {seconds:.1f} s")
