"""Attention layer by layer over a video's frames: a page for print, and a video that steps through the layers.

Cells are the token grid's own, never blurred, in one colour scale for all rows. In the PDF all words are text.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg

from attrib import video
from attrib.errors import InputError
from attrib.render.layers.page import DPI, Page, Sheet
from attrib.render.layers.rows import Heading, LayerRows, spaced
from attrib.render.options import Image, RenderOptions
from attrib.runtime.files import writing

if TYPE_CHECKING:
    from attrib.types import Clip

__all__ = ["Heading", "LayerRows", "layers_figure", "layers_video", "spaced"]

SECONDS = 1.0  # that each row of the video stays
MORE_LETTERS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Arial Unicode MS")  # where installed
MOST_ACROSS = 8  # frames beside each other in the video


def layers_figure(
    path: str | Path, rows: LayerRows, clip: Clip, drawing: RenderOptions, heading: Heading
) -> tuple[Path, Path]:
    """Write PATH.png and PATH.pdf: the frames with their boxes, a line for each shown row, the maximum of all last.

    Raises InputError where rows and clip are not of the same frames, or a file cannot be written.
    """
    _check(rows, clip)
    names = [*np.flatnonzero(rows.shown).tolist(), None]
    page = Page.of_lines(clip, rows.columns, len(names), heading)
    with _lettering():
        sheet = Sheet(page, rows, drawing)
        sheet.head(heading)
        sheet.pictures(clip, rows.columns)
        for line, row in enumerate(names, 1):
            sheet.cells(clip, rows.columns, line, row)
        sheet.foot(heading)
        FigureCanvasAgg(sheet.figure)
        written = Path(f"{path}.png"), Path(f"{path}.pdf")
        with writing(written[0]) as part:
            sheet.figure.savefig(part, dpi=DPI, metadata={"Software": None})
        with writing(written[1]) as part:
            sheet.figure.savefig(part, dpi=DPI, metadata={"CreationDate": None})
    return written


def layers_video(path: str | Path, rows: LayerRows, clip: Clip, drawing: RenderOptions, heading: Heading) -> None:
    """Write an mp4 that shows every row over all frames, one second each, and last the maximum of all.

    Raises InputError as `layers_figure`.
    """
    _check(rows, clip)
    times = SECONDS * np.arange(len(rows.names) + 1)
    with _lettering():
        video.write(path, _pictures(rows, clip, drawing, heading), times, float(times[-1]) + 2 * SECONDS)


@contextmanager
def _lettering() -> Iterator[None]:
    """Words stay words in a PDF; letters that no font has become boxes, and are not told one by one."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in MORE_LETTERS if name in installed)]
    with matplotlib.rc_context({"pdf.fonttype": 42, "font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def _pictures(rows: LayerRows, clip: Clip, drawing: RenderOptions, heading: Heading) -> Iterator[Image]:
    every = tuple(range(len(clip)))
    lines = [every[start : start + MOST_ACROSS] for start in range(0, len(every), MOST_ACROSS)]
    page = Page.of_lines(clip, lines[0], len(lines) - 1, heading, captions=True)
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
