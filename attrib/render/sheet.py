"""Contact sheet: all sampled frames on one page, for a report or a paper."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from attrib.render.options import Band, Image, RenderOptions, View, bands, blend, heat, mix
from attrib.render.panel import draw_boxes, draw_dots
from attrib.render.text import drawable, lettering, shortened, wrapped
from attrib.runtime.files import writing

if TYPE_CHECKING:
    from attrib.types import Clip, SaliencyVolume

# Inches
_WIDTH, _MARGIN, _GAP, _CAPTION, _TIME = 10.0, 0.3, 0.08, 0.24, 0.8
_DPI = 160
_INK, _FAINT, _BAR, _AGAINST = "#1a1b20", "#5c606b", "#dd8500", "#3c96e6"


def draw_sheet(path: str | Path, volume: SaliencyVolume, clip: Clip, drawing: RenderOptions) -> None:
    """Draw the sheet and write it as PNG. Raises InputError if the file cannot be written."""
    view, lanes = View.of(volume, drawing), bands(drawing, clip.end)
    title, subtitle = drawing.texts(volume)
    lines = wrapped(drawable(subtitle), _pixels(9), (_WIDTH - 2 * _MARGIN) * _DPI, 2)
    page = _Page(
        _grid(len(clip), clip.frames.shape[1] / clip.frames.shape[2]),
        clip.frames.shape[1] / clip.frames.shape[2],
        0.5 + 0.2 * len(lines),
        len(lanes),
    )
    figure = Figure(figsize=(_WIDTH, page.height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    sheet = _Sheet(figure, page, view, drawing)
    with lettering([title, *lines, *(band.label for lane in lanes for band in lane)]), writing(Path(path)) as temporary:
        sheet.head(title, lines)
        sheet.frames(clip)
        sheet.time(clip, lanes)
        figure.savefig(temporary, format="png", metadata={"Software": None}, pil_kwargs={"compress_level": 3})


def _pixels(points: float) -> int:
    """Letter size of the sheet in pixels."""
    return round(points * _DPI / 72)


def _grid(count: int, shape: float) -> tuple[int, int]:
    """Rows and columns for `count` frames of height/width `shape`, with few empty cells and without a tall page."""
    ideal = (count * 2.6 * shape) ** 0.5
    choices = range(max(1, int(ideal) - 1), int(ideal) + 4)
    columns = min(choices, key=lambda c: 1.5 * (-count % c) + abs(c - ideal)) if count > 1 else 1
    columns = min(columns, count)
    return -(-count // columns), columns


@dataclass(frozen=True)
class _Page:
    """Layout of the sheet, in inches from the top left."""

    grid: tuple[int, int]
    shape: float  # height of a frame over its width
    head: float
    lanes: int

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a frame without its caption, at most 6 inches high."""
        width = (_WIDTH - 2 * _MARGIN - (self.grid[1] - 1) * _GAP) / self.grid[1]
        width = min(width, 6.0 / self.shape)
        return width, width * self.shape

    @property
    def below(self) -> float:
        """Bottom edge of the frames."""
        return self.head + self.grid[0] * (self.cell[1] + _CAPTION)

    @property
    def height(self) -> float:
        """Height of the whole page."""
        return self.below + 0.3 + _TIME + 0.2 * self.lanes + 0.55

    def axes(self, figure: Figure, left: float, top: float, size: tuple[float, float]) -> Any:
        """Add axes of `size` (width, height) to the figure."""
        width, height = size
        return figure.add_axes((left / _WIDTH, 1 - (top + height) / self.height, width / _WIDTH, height / self.height))


@dataclass(frozen=True, eq=False)
class _Sheet:
    figure: Figure
    page: _Page
    view: View
    drawing: RenderOptions

    def head(self, title: str, lines: list[str]) -> None:
        """Draw the title, the lines below it, and the colour bar on the right."""
        left, height = _MARGIN / _WIDTH, self.page.height
        style: dict[str, Any] = {"ha": "left", "va": "baseline", "parse_math": False}
        title = shortened(drawable(title), _pixels(13), (_WIDTH - 2 * _MARGIN - 2.5) * _DPI, 700)
        self.figure.text(left, 1 - 0.33 / height, title, size=13, weight="bold", color=_INK, **style)
        for index, line in enumerate(lines):
            self.figure.text(left, 1 - (0.56 + 0.2 * index) / height, line, size=9, color=_FAINT, **style)
        if self.view.scale == 0:
            note = "no saliency anywhere" if self.view.signed else "no positive saliency anywhere"
            self.figure.text(1 - left, 1 - 0.33 / height, note, size=9, color=_FAINT, ha="right", va="baseline")
            return
        axes = self.page.axes(self.figure, _WIDTH - _MARGIN - 2.2, 0.16, (2.2, 0.11))
        ramp = np.linspace(-1 if self.view.signed else 0, 1, 256, dtype=np.float32)[None]
        axes.imshow(
            mix(np.full((1, 256, 3), 255, np.uint8), *heat(ramp, self.drawing)),
            aspect="auto",
            extent=(-1 if self.view.signed else 0, 1, 0, 1),
        )
        top = f"{self.view.scale:.2g}"
        axes.set_yticks([])
        axes.set_xticks(
            [-1, 0, 1] if self.view.signed else [0, 1],
            [f"-{top} against", "0", f"{top} for"] if self.view.signed else ["0", f"{top} saliency"],
        )
        axes.get_xticklabels()[0].set_horizontalalignment("left")
        axes.get_xticklabels()[-1].set_horizontalalignment("right")
        axes.tick_params(length=2, pad=2, labelsize=7.5, colors=_FAINT)
        axes.spines[:].set_linewidth(0.4)

    def frames(self, clip: Clip) -> None:
        """Draw every sampled frame with heat, boxes and its time."""
        width, height = self.page.cell
        for index, (frame, time) in enumerate(zip(clip.frames, clip.times, strict=True)):
            row, column = divmod(index, self.page.grid[1])
            top = self.page.head + row * (height + _CAPTION) + _CAPTION
            axes = self.page.axes(self.figure, _MARGIN + column * (width + _GAP), top, (width, height))
            axes.imshow(self._picture(frame, index, float(time)), aspect="auto", extent=(0, 1, 1, 0))
            axes.set_axis_off()
            small = 8.5 if self.page.grid[1] <= 6 else 7
            axes.text(0, -0.03 / height, f"{time:.2f} s", size=small, color=_INK, va="bottom")

    def _picture(self, frame: Image, index: int, time: float) -> Image:
        """Draw a frame at the size of its cell, so that letters and lines are sharp."""
        width, height = (max(round(inches * _DPI), 1) for inches in self.page.cell)
        shrinks = width < frame.shape[1]
        resized = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        picture = blend(np.asarray(resized, dtype=np.uint8), self.view.values[index], self.drawing)
        letters = 14 if self.page.grid[1] <= 6 else 11
        draw_boxes(picture, self.drawing, time, letters)
        draw_dots(picture, self.drawing, time, letters)
        return picture

    def time(self, clip: Clip, lanes: list[list[Band]]) -> None:
        """Draw mean saliency over time, and the annotated intervals below it."""
        top, width = self.page.below + 0.3, _WIDTH - 2 * _MARGIN - 0.25
        bars = self.page.axes(self.figure, _MARGIN + 0.25, top, (width, _TIME))
        ends = np.append(clip.times[1:], clip.end)
        colours = [_BAR if bar > 0 else _AGAINST for bar in self.view.bars]
        bars.bar(clip.times, self.view.bars, ends - clip.times, align="edge", color=colours, edgecolor="white", lw=0.7)
        bars.set_ylim(-1.05 if self.view.signed else 0, 1.05)
        bars.set_yticks([])
        bars.set_ylabel("mean saliency", size=7.5, color=_FAINT)
        lowest = bars
        if lanes:
            lowest = self.page.axes(self.figure, _MARGIN + 0.25, top + _TIME + 0.06, (width, 0.2 * len(lanes)))
            _lanes(lowest, lanes, clip.end, width)
            bars.tick_params(labelbottom=False)
        for axes in {bars, lowest}:
            axes.set_xlim(0, clip.end)
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.spines["bottom"].set_color(_FAINT)
            axes.tick_params(length=2, labelsize=8, colors=_FAINT)
        lowest.set_xlabel("time (s)", size=8, color=_FAINT, labelpad=2)


def _lanes(axes: Any, lanes: list[list[Band]], end: float, width: float) -> None:
    for index, lane in enumerate(lanes):
        for band in lane:
            colour = tuple(channel / 255 for channel in band.colour)
            axes.barh(-index, band.end - band.start, left=band.start, height=0.82, color=colour)
            label = shortened(drawable(band.label), _pixels(7), ((band.end - band.start) / end * width - 0.06) * _DPI)
            axes.text(band.start, -index, f" {label}", size=7, va="center_baseline", color=_INK, parse_math=False)
    axes.set_ylim(-len(lanes) + 0.45, 0.55)
    axes.set_yticks([])
