"""Attention layer by layer over a video's frames: a page for print, and a video that steps through the layers.

Cells are those of the token grid, never blurred, with one colour scale for all rows. Words in the PDF are text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from attrib import video
from attrib.errors import InputError
from attrib.render.layers.page import DPI, LayersPage, Sheet
from attrib.render.layers.rows import Heading, LayerRows, spaced
from attrib.render.options import Image, RenderOptions
from attrib.render.text import lettering
from attrib.runtime.files import writing

if TYPE_CHECKING:
    from attrib.types import Clip

__all__ = ["Heading", "LayerRows", "layers_figure", "layers_video", "spaced"]

SECONDS = 1.0  # duration of each row in the video
MOST_ACROSS = 8  # frames in a line of the video


def layers_figure(
    path: str | Path, rows: LayerRows, clip: Clip, drawing: RenderOptions, heading: Heading
) -> tuple[Path, Path]:
    """Write PATH.png and PATH.pdf: the frames with their boxes, a line for each shown row, and the maximum of all rows.

    Raises InputError unless rows and clip have the same frames, or if a file cannot be written.
    """
    _check(rows, clip)
    indices = [*np.flatnonzero(rows.shown).tolist(), None]
    page = LayersPage.of_lines(clip, rows.columns, len(indices), heading)
    with _fonts(heading, drawing):
        sheet = Sheet(page, rows, drawing)
        sheet.head(heading)
        sheet.pictures(clip, rows.columns)
        for line, row in enumerate(indices, 1):
            sheet.cells(clip, rows.columns, line, row)
        sheet.foot(heading)
        FigureCanvasAgg(sheet.figure)
        png, pdf = Path(f"{path}.png"), Path(f"{path}.pdf")
        with writing(png) as temporary:
            sheet.figure.savefig(temporary, dpi=DPI, metadata={"Software": None})
        with writing(pdf) as temporary:
            sheet.figure.savefig(temporary, dpi=DPI, metadata={"CreationDate": None})
    return png, pdf


def layers_video(path: str | Path, rows: LayerRows, clip: Clip, drawing: RenderOptions, heading: Heading) -> None:
    """Write an mp4 that shows every row over all frames for one second each, then the maximum of all rows.

    Raises InputError under the same conditions as `layers_figure`.
    """
    _check(rows, clip)
    times = SECONDS * np.arange(len(rows.names) + 1)
    with _fonts(heading, drawing):
        video.write(path, _pictures(rows, clip, drawing, heading), times, float(times[-1]) + 2 * SECONDS)


@contextmanager
def _fonts(heading: Heading, drawing: RenderOptions) -> Iterator[None]:
    """Embed words as text in a PDF, in fonts that have their letters."""
    answers = (text for text, _ in heading.answers)
    labels = (track.label for track in drawing.tracks)
    with (
        matplotlib.rc_context({"pdf.fonttype": 42}),
        lettering([heading.title, heading.below, *heading.notes, *answers, *labels]),
    ):
        yield


def _pictures(rows: LayerRows, clip: Clip, drawing: RenderOptions, heading: Heading) -> Iterator[Image]:
    every = tuple(range(len(clip)))
    lines = [every[start : start + MOST_ACROSS] for start in range(0, len(every), MOST_ACROSS)]
    page = LayersPage.of_lines(clip, lines[0], len(lines) - 1, heading, captions=True)
    for row in [*range(len(rows.names)), None]:
        sheet = Sheet(page, rows, drawing)
        canvas: Any = FigureCanvasAgg(sheet.figure)
        sheet.head(heading)
        for line, frames in enumerate(lines):
            sheet.cells(clip, frames, line, row, tags=True)
        sheet.foot(heading, current=row)
        canvas.draw()
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _check(rows: LayerRows, clip: Clip) -> None:
    if rows.maps.shape[1] != len(clip):
        raise InputError(f"the rows have {rows.maps.shape[1]} frames, the clip {len(clip)}: they must be the same")
