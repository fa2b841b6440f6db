"""Panel of the page that shows how the answer travels through the model."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

if TYPE_CHECKING:
    from attrib.app.tracing import Traced

NOTE = (
    '<p class="at-note">Carries the states of groups of tokens into a run on a video that lacks the answer, layer by '
    "layer, and shows how much of the answer comes back. Takes longer than an explanation.</p>"
)


@dataclass(frozen=True, eq=False)
class TracePanel:
    """Button that starts the trace, and the components that it fills."""

    button: Any
    finding: Any
    figure: Any

    @staticmethod
    def build() -> TracePanel:
        """Add the panel, closed at first."""
        with gr.Accordion("How the answer travels through the model", open=False, elem_id="at-travels"):
            button = gr.Button("Trace the answer", elem_id="at-trace")
            finding = gr.HTML(NOTE, elem_id="at-finding")
            figure = gr.Image(
                label="Trace", interactive=False, type="filepath", format="png", visible=False, elem_id="at-figure",
                buttons=["download", "fullscreen"],
            )  # fmt: skip
        return TracePanel(button, finding, figure)


def cleared() -> tuple[Any, Any]:
    """Values of finding and figure before a trace."""
    return NOTE, gr.update(value=None, visible=False)


def filled(traced: Traced) -> tuple[Any, Any]:
    """Values of finding and figure for a trace."""
    figure = None if traced.figure is None else str(traced.figure)
    return f'<p class="at-finding">{escape(traced.sentence)}</p>', gr.update(value=figure, visible=figure is not None)
