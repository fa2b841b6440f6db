"""Gradio page: request on the left, explanation on the right. Needs the extra `[app]`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from attrib import registry
from attrib.app.explainer import Explainer, Shown
from attrib.app.request import CHARACTERS, FRAMES, MEGABYTES, METHODS, OPTIONS, SECONDS, Request, explainable
from attrib.app.trace_panel import TracePanel, cleared, filled
from attrib.errors import AttribError, InputError, failure_message
from attrib.method import Control
from attrib.runtime.progress import Progress
from attrib.types import Sample

OWN = "Your own video"
FIRST = ("relevance", "grad_cam")  # methods selected at first, if registered
ANSWERED = ("the answer that the model chooses", "predicted")
LIMITS = (
    f"Videos of at most {MEGABYTES} MB and {SECONDS} s; one explanation at a time. The video stays on this machine."
)
EMPTY = '<div class="at-empty">Choose an example or upload a video, ask a question, and press <b>Explain</b>.</div>'


class RequestFields(NamedTuple):
    """Components that a visitor fills in."""

    video: Any
    question: Any
    options: Any
    methods: Any
    target: Any
    frames: Any


class ExplanationFields(NamedTuple):
    """Components that an explanation fills."""

    error: Any
    answer: Any
    method: Any
    overlay: Any
    timeline: Any
    sheet: Any
    files: Any
    finding: Any
    figure: Any
    results: Any
    last: Any


@dataclass(frozen=True, eq=False)
class Page:
    """Page with its explainer and example samples by name."""

    explainer: Explainer
    examples: dict[str, Sample]

    def build(self) -> gr.Blocks:
        """Build the page with its events; one explanation runs at a time, and a few wait."""
        with gr.Blocks(title="attrib", analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
            gr.HTML(
                '<div class="at-head"><h1>Where does the answer come from?</h1>'
                f"<p>Model: {escape(self.explainer.model.name)}. {LIMITS}</p></div>"
            )
            with gr.Row(equal_height=False):
                with gr.Column(scale=4, min_width=320):
                    example, fields, button = self._request_column()
                with gr.Column(scale=6, min_width=320):
                    explained, trace = _explanation_column()
            # Outside the queue: an event that joins while the stream of a quick one closes would never be answered.
            quick: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
            example.input(None, None, button, js=_pressable(False), **quick)  # until its fields are there
            picked = example.input(
                self.pick, example, [fields.video, fields.question, fields.options, fields.target], **quick
            )
            picked.then(None, None, button, js=_pressable(True), **quick)
            fields.video.input(lambda: OWN, None, example, **quick)
            fields.options.change(targets, [fields.options, fields.target], fields.target, **quick)
            inputs = [*fields, explained.last]
            slow: dict[str, Any] = {
                "api_visibility": "private", "concurrency_limit": 1, "concurrency_id": "one", "trigger_mode": "once",
            }  # fmt: skip
            button.click(
                self.explain, inputs, list(explained), show_progress_on=[explained.error], scroll_to_output=True, **slow
            )
            travels = [trace.finding, trace.figure]
            trace.button.click(self.trace, inputs, travels, show_progress_on=[trace.finding], **slow)
            outputs = [explained.overlay, explained.timeline, explained.sheet]
            explained.method.input(show, [explained.method, explained.last], outputs, **quick)
        return blocks.queue(max_size=8, api_open=False)

    def _request_column(self) -> tuple[Any, RequestFields, Any]:
        first = next(iter(self.examples), OWN)
        video, question, options, _ = self.pick(first)
        example = gr.Dropdown(
            [*self.examples, OWN], value=first, label="Example", filterable=False, elem_id="at-example"
        )
        film = gr.Video(
            video, label=f"Video (at most {MEGABYTES} MB, {SECONDS} s)", sources=["upload"], height=260,
            include_audio=True, loop=True, buttons=[],
        )  # fmt: skip
        fields = RequestFields(
            film,
            gr.Textbox(question, label="Question", lines=2, max_length=CHARACTERS),
            gr.Textbox(
                options, label="Options", lines=3, max_length=OPTIONS * (CHARACTERS + 1), elem_id="at-options",
                info="One a line. Without any, the model answers in its own words, and these are explained.",
            ),
            gr.Dropdown(
                choices(), value=[name for name in FIRST if name in explainable()], label="Methods", multiselect=True,
                info=f"At most {METHODS} at a time.", max_choices=METHODS, elem_id="at-methods",
            ),
            gr.Dropdown(_target_choices(options or ""), value="predicted", label="Explain", filterable=False),
            gr.Number(
                self._frames(), label="Frames", precision=0, minimum=1, maximum=FRAMES, elem_id="at-frames",
                info="How many frames of the video the model sees. More take more time and memory.",
            ),
        )  # fmt: skip
        _only_below(self.explainer.folder, film)
        return example, fields, gr.Button("Explain", variant="primary", elem_id="at-explain")

    def pick(self, name: str) -> tuple[Any, ...]:
        """Video, question, options and target of an example; no video for the visitor's own."""
        if name not in self.examples:
            return None, gr.skip(), gr.skip(), gr.skip()
        sample = self.examples[name]
        options = "\n".join(sample.question.options)
        return str(sample.video), sample.question.text, options, targets(options, "predicted")

    def _frames(self) -> int:
        """Number of frames of the settings, else the model's own."""
        return self.explainer.settings.get("model", {}).get("frames") or self.explainer.model.frames

    def explain(  # the six request fields, and the last explanation
        self, video: str | None, question: str, options: str, methods: list[str], target: str, frames: float | None,
        last: Shown | None, progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio looks for it among the defaults)
    ) -> Sequence[Any]:  # fmt: skip
        """Values for the components that an explanation fills, or the error in one line."""
        try:
            request = Request.of(video, question, options, methods, target, frames)
            shown = self.explainer.answer(request, _steps(progress))
        except Exception as error:  # a model or a method may raise anything; the page goes on
            return [self._complaint(error), *[gr.skip()] * (len(ExplanationFields._fields) - 1)]
        if last is not None:
            last.remove()
        first = shown.methods[0]
        overlay, timeline, sheet = show(first, shown)
        return ExplanationFields(
            "", shown.answer, gr.update(choices=list(shown.methods), value=first), overlay, timeline, sheet,
            [str(path) for path in shown.files()], *cleared(), gr.update(visible=True), shown,
        )  # fmt: skip

    def trace(  # the six request fields, and the last explanation
        self, video: str | None, question: str, options: str, methods: list[str], target: str, frames: float | None,
        last: Shown | None, progress: gr.Progress = gr.Progress(),  # noqa: B008 (as above)
    ) -> tuple[Any, Any]:  # fmt: skip
        """Finding and figure of the answer's trace, or the error in one line and no figure."""
        try:
            if last is None:
                raise InputError("trace: explain the answer first")
            request, folder = Request.of(video, question, options, methods, target, frames), last.folder / "trace"
            return filled(self.explainer.trace(request, self.examples.values(), folder, _steps(progress)))
        except Exception as error:  # as above
            return self._complaint(error), cleared()[1]

    def _complaint(self, error: Exception) -> str:
        """Return an error in one line, as HTML."""
        known = error if isinstance(error, AttribError) else AttribError(failure_message(error))
        return f'<p class="at-error" role="alert">{escape(self.explainer.complaint(known))}</p>'


def _pressable(on: bool) -> str:
    """Return JavaScript that lets a button be pressed or not, at once and without the server."""
    return f"() => ({{__type__: 'update', interactive: {json.dumps(on)}}})"


def _steps(progress: gr.Progress) -> Progress:
    """Return the function that shows the steps of a long call in Gradio's bar."""

    def step(what: str, done: int, total: int) -> None:
        progress((done, total or None), desc=what)

    return step


def _explanation_column() -> tuple[ExplanationFields, TracePanel]:
    error = gr.HTML(EMPTY)
    with gr.Column(visible=False) as results:
        answer = gr.HTML(elem_id="at-answer")
        method = gr.Radio([], label="Method shown", elem_id="at-method")
        overlay = gr.Video(
            label="Saliency", show_label=False, interactive=False, elem_id="at-overlay", autoplay=True, loop=True,
            height=460, buttons=["download"],
        )  # fmt: skip
        timeline = gr.HTML(elem_id="at-timeline")
        sheet = gr.Image(
            label="Contact sheet", interactive=False, type="filepath", format="png", elem_id="at-sheet",
            buttons=["download", "fullscreen"],
        )  # fmt: skip
        with gr.Accordion("Volumes and summary", open=False):
            files = gr.File(label="NAME.npz for each method, summary.json", file_count="multiple", interactive=False)
        trace = TracePanel.build()
    last = gr.State(None, delete_callback=lambda shown: shown.remove() if shown else None)
    travels = (trace.finding, trace.figure)
    return ExplanationFields(error, answer, method, overlay, timeline, sheet, files, *travels, results, last), trace


def _only_below(folder: Path, field: Any) -> None:
    """Restrict a file field to files below `folder`: Gradio fetches the address that a forged request names."""
    move = field.async_move_resource_to_block_cache

    async def checked(path: Any) -> Any:
        if path is not None and not Path(path).resolve().is_relative_to(folder):
            raise InputError("video: expected an example or an upload of this page")
        return await move(path)

    field.async_move_resource_to_block_cache = checked


def choices() -> list[tuple[str, str]]:
    """Methods as (label on the page, name)."""
    return [
        (f"{name} (control)" if issubclass(registry.get("methods", name), Control) else name, name)
        for name in explainable()
    ]


def targets(options: str, chosen: str) -> Any:
    """Update the choices of what to explain for these options (one a line); keep `chosen` if still valid."""
    known = _target_choices(options)
    return gr.update(choices=known, value=chosen if chosen in dict(known).values() else "predicted")


def _target_choices(options: str) -> list[tuple[str, str]]:
    lines = [line.strip() for line in options.splitlines() if line.strip()]
    letters = [chr(ord("A") + index) for index in range(min(len(lines), OPTIONS))]
    return [ANSWERED, *((f"{letter}. {text}", f"option:{index}")
                        for index, (letter, text) in enumerate(zip(letters, lines, strict=False)))]  # fmt: skip


def show(method: str, last: Shown | None) -> tuple[Any, Any, Any]:
    """Overlay, timeline and sheet of one method; no change if it was not computed."""
    try:
        if last is None:
            raise InputError("method: explain it first")
        return str(last.overlay(method)), last.timelines[method], str(last.sheet(method))
    except InputError:
        return gr.skip(), gr.skip(), gr.skip()
