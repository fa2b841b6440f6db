"""Answer a request of the page: compute the explanation, write its files, and render its panels."""

from __future__ import annotations

import filecmp
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib import api
from attrib.app import panels
from attrib.app.request import Request, check_video
from attrib.errors import AttribError, InputError, one_line
from attrib.model import VideoModel
from attrib.runtime.progress import Progress
from attrib.types import Question, Sample

if TYPE_CHECKING:
    from attrib.app.tracing import Traced


@dataclass(frozen=True)
class Shown:
    """Files of one explanation in its own `folder`: a video and a sheet for each method, and panels (HTML)."""

    folder: Path
    methods: tuple[str, ...]
    answer: str
    timelines: Mapping[str, str]  # HTML by the method in front

    def overlay(self, method: str) -> Path:
        """Path of the video with saliency. Raises InputError for a method that was not computed."""
        return self._file(method, "mp4")

    def sheet(self, method: str) -> Path:
        """Path of the contact sheet. Raises InputError for a method that was not computed."""
        return self._file(method, "png")

    def files(self) -> list[Path]:
        """Paths of the volumes and the summary."""
        return [*(self._file(method, "npz") for method in self.methods), self.folder / "summary.json"]

    def remove(self) -> None:
        """Delete the files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, method: str, ending: str) -> Path:
        if method not in self.methods:
            raise InputError("method: explain it first")
        return self.folder / f"{method}.{ending}"


@dataclass(frozen=True, eq=False)
class Explainer:
    """Model, settings (`model`, `seed`), and the only folder that the app reads and writes."""

    model: VideoModel
    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)

    def answer(self, request: Request, step: Progress | None = None) -> Shown:
        """Explain the answer and draw into a new folder.

        Raises InputError for bad input, AttribError if every method failed.
        """
        check_video(request.video, self.folder)
        explanation = api.explain(
            request.video, request.question, request.options, model=self.model, methods=request.methods,
            target=request.target, settings=self._settings(request), step=step,
        )  # fmt: skip
        if not explanation.volumes:
            raise AttribError(next(iter(explanation.failures.values())))
        own = Path(tempfile.mkdtemp(prefix="explained-", dir=self.folder))
        try:
            explanation.save(own, step)
            return Shown(own, tuple(explanation.volumes), panels.answer(explanation), panels.timelines(explanation))
        except BaseException:
            shutil.rmtree(own, ignore_errors=True)
            raise

    def trace(
        self, request: Request, examples: Iterable[Sample], folder: Path, step: Progress | None = None
    ) -> Traced:  # fmt: skip
        """Trace the request's answer into `folder`, with the annotation of the example that it asks about, if any.

        Raises InputError for bad input, AttribError if the model cannot be traced.
        """
        from attrib.app.tracing import traced  # matplotlib takes a second to import

        check_video(request.video, self.folder)
        sample = _sample(request, examples)
        return traced(self.model, sample, request.target, self._settings(request), folder, step)

    def _settings(self, request: Request) -> Mapping[str, Any]:
        if request.frames is None:
            return self.settings
        return {**self.settings, "model": {**self.settings.get("model", {}), "frames": request.frames}}

    def complaint(self, error: AttribError) -> str:
        """Message of the error in one line, without the names of this machine's folders."""
        return one_line(str(error).replace(f"{self.folder}/", ""))


def _sample(request: Request, examples: Iterable[Sample]) -> Sample:
    """Return the example with the request's question and video, else the request's own question."""
    asked = Question(request.question, request.options)
    for sample in examples:
        same = (sample.question.text, sample.question.options) == (asked.text, asked.options)
        if same and filecmp.cmp(sample.video, request.video, shallow=False):
            return sample
    return Sample(request.video.stem, request.video, asked)
