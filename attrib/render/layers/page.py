"""One page of attention layer by layer: its layout, and the drawing of frames, cells, boxes, labels and scales."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attrib.render.layers.labels import SIZE, place_labels
from attrib.render.layers.rows import Heading, LayerRows
from attrib.render.options import Image, RenderOptions, boxes, heat, mix
from attrib.render.text import BOLD, drawable, shortened, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attrib.types import Clip

DPI = 200
# Inches
_WIDTH, _MARGIN, _NAME, _GAP, _LINE = 7.2, 0.12, 0.62, 0.05, 0.145
_TIME, _FOOT, _TALLEST, _WIDEST = 0.16, 0.62, 1.7, 2.2
_INK, _FAINT, _BAR, _QUIET = "#1a1b20", "#5c606b", "#dd8500", "#b9bcc6"
_SHADE = 0.42  # share of a frame's brightness that remains below the cells
_ROOM = 0.98 * (_WIDTH - 2 * _MARGIN) * DPI  # pixels of a line of words
_TITLE, _ANSWER, _SMALL, _NOTE = 9.0, 7.0, 6.5, 5.8  # points
_HEAT = RenderOptions(opacity=0.92)
_GROUND = 60  # grey below the colour scale, like that of a darkened frame


@dataclass(frozen=True)
class LayersPage:
    """Layout of a page, in inches from the top left: `lines` lines after the first one, of `across` pictures each."""

    across: int
    lines: int
    cell: tuple[float, float]  # width, height
    head: float
    notes: int
    captions: bool  # times above every line, not only above the first

    @staticmethod
    def of_lines(
        clip: Clip, across: Sequence[int], lines: int, heading: Heading, *, captions: bool = False
    ) -> LayersPage:
        """Return the layout for the frames `across` and for `lines` lines after the first one."""
        shape = clip.frames.shape[1] / clip.frames.shape[2]
        width = (_WIDTH - 2 * _MARGIN - _NAME - (len(across) - 1) * _GAP) / len(across)
        width = min(width, _WIDEST, _TALLEST / shape)
        head = 0.16 + _LINE * (1.25 * len(_title(heading.title)) + len(heading.answers) + 1)
        notes = sum(len(_lines(note)) for note in heading.notes)
        return LayersPage(len(across), lines, (width, width * shape), head, notes, captions)

    @property
    def below(self) -> float:
        """Bottom edge of the last line."""
        return self.top(self.lines + 1)

    @property
    def height(self) -> float:
        """Height of the whole page."""
        return self.below + 0.1 + _FOOT + 0.24 + 0.118 * self.notes + 0.06

    def top(self, line: int) -> float:
        """Top edge of the cells in a line; the first line is line 0."""
        times = _TIME * (line if self.captions else min(line, 1))
        return self.head + line * (self.cell[1] + _GAP) + times

    def left(self, column: int) -> float:
        """Left edge of the cells in a column."""
        return _MARGIN + _NAME + column * (self.cell[0] + _GAP)

    def rectangle(self, left: float, top: float, size: tuple[float, float]) -> tuple[float, float, float, float]:
        """Rectangle of `size` (width, height) in the figure coordinates of matplotlib."""
        width, height = size
        return left / _WIDTH, 1 - (top + height) / self.height, width / _WIDTH, height / self.height


@dataclass(frozen=True, eq=False)
class Sheet:
    """Drawing of a page."""

    page: LayersPage
    rows: LayerRows
    drawing: RenderOptions

    @cached_property
    def figure(self) -> Figure:
        """Figure of the page's size."""
        return Figure(figsize=(_WIDTH, self.page.height), dpi=DPI, facecolor="white")

    def write(self, left: float, base: float, text: str, **style: Any) -> None:
        """Draw text, never parsed as a formula, with the left end of its baseline at (`left`, `base`)."""
        options = {"size": 6.5, "color": _INK, "va": "baseline", "parse_math": False, **style}
        self.figure.text(left / _WIDTH, 1 - base / self.page.height, text, **options)

    def head(self, heading: Heading) -> None:
        """Draw the question, its answers with the model's own in bold, and a line of small letters."""
        base = 0.2
        for line in _title(heading.title):
            self.write(_MARGIN, base, line, size=_TITLE, weight="bold")
            base += 1.25 * _LINE
        for text, strong in heading.answers:
            line = shortened(drawable(text), _pixels(_ANSWER), _ROOM, BOLD)
            self.write(_MARGIN, base, line, size=_ANSWER, weight="bold" if strong else "normal")
            base += _LINE
        self.write(_MARGIN, base, shortened(drawable(heading.below), _pixels(_SMALL), _ROOM), size=_SMALL, color=_FAINT)

    def pictures(self, clip: Clip, frames: Sequence[int]) -> None:
        """Draw the first line: the unchanged frames, with labelled boxes and times."""
        for column, frame in enumerate(frames):
            axes = self._axes(column, 0)
            axes.imshow(self._sized(clip.frames[frame]), extent=(0, 1, 1, 0), aspect="auto", interpolation="none")
            self._boxes(axes, float(clip.times[frame]), tags=True)
            self._time(axes, float(clip.times[frame]))
        self._name(0, "frames", "")

    def cells(self, clip: Clip, frames: Sequence[int], line: int, row: int | None, *, tags: bool = False) -> None:
        """Draw a row's cells over the darkened frames; `row` None is the maximum of all rows."""
        values = self.rows.level(self.rows.values(row))
        for column, frame in enumerate(frames):
            axes = self._axes(column, line)
            picture = mix(self._shaded(clip.frames[frame]), *heat(self._tiled(values[frame]), _HEAT))
            axes.imshow(picture, extent=(0, 1, 1, 0), aspect="auto", interpolation="none")
            self._boxes(axes, float(clip.times[frame]), tags=tags)
            if tags:
                self._time(axes, float(clip.times[frame]))
        if row is None:
            self._name(line, "maximum", "layers x heads")
        elif not tags or line == 0:
            self._name(line, f"{self.rows.kind} {self.rows.names[row]}", f"mass {self.rows.mass[row]:.2f}")

    def foot(self, heading: Heading, current: int | None = None) -> None:
        """Draw the colour scale, the attention of each row on the video, and the notes."""
        top = self.page.below + 0.1
        self._scale(top + 0.22)
        self._activity(top, current)
        base = top + _FOOT + 0.32
        for note in heading.notes:
            for line in _lines(note):
                self.write(_MARGIN, base, line, size=_NOTE, color=_FAINT)
                base += 0.118

    def _scale(self, top: float) -> None:
        axes = self.figure.add_axes(self.page.rectangle(_MARGIN + _NAME, top, (1.9, 0.1)))
        ramp = np.linspace(0, 1, 256, dtype=np.float32)[None]
        axes.imshow(mix(np.full((1, 256, 3), _GROUND, np.uint8), *heat(ramp, _HEAT)), aspect="auto",
                    extent=(0, 1, 0, 1))  # fmt: skip
        axes.set_yticks([])
        shares = np.array([0, 0.1, 0.5, 1])
        axes.set_xticks(np.sqrt(shares), [f"{share * self.rows.top:.2g}" for share in shares])
        axes.tick_params(length=2, width=0.5, pad=1.5, labelsize=6, colors=_FAINT)
        axes.spines[:].set_linewidth(0.4)
        axes.set_title("attention on a token, all rows alike", size=6.5, color=_INK, loc="left", pad=3)

    def _activity(self, top: float, current: int | None) -> None:
        """Draw a bar for each row, with the shown or the current ones highlighted, and the threshold."""
        left = _MARGIN + _NAME + 2.45
        axes = self.figure.add_axes(self.page.rectangle(left, top + 0.12, (_WIDTH - _MARGIN - left, _FOOT - 0.12)))
        indices = np.arange(len(self.rows.names))
        marked = self.rows.shown if current is None else indices == current
        axes.bar(indices, self.rows.mass, 0.8, color=np.where(marked, _BAR, _QUIET).tolist())
        axes.axhline(self.rows.threshold, color=_INK, linewidth=0.6, linestyle=(0, (3, 2)))
        step = -(-len(indices) // 16)
        axes.set_xticks(indices[::step], [self.rows.names[index] for index in indices[::step]])
        axes.set_xlim(-0.6, len(indices) - 0.4)
        axes.set_ylim(0, 1.15 * max(float(self.rows.mass.max()), self.rows.threshold, 1e-9))
        axes.tick_params(length=2, width=0.5, pad=1.5, labelsize=6, colors=_FAINT)
        axes.locator_params(axis="y", nbins=3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[:].set_linewidth(0.4)
        axes.set_title(f"attention on the video (mass) by {self.rows.kind}; dashed: high activity", size=6.5,
                       color=_INK, loc="left", pad=3)  # fmt: skip

    def _axes(self, column: int, line: int) -> Any:
        rectangle = self.page.rectangle(self.page.left(column), self.page.top(line), self.page.cell)
        axes = self.figure.add_axes(rectangle)
        axes.set_axis_off()
        return axes

    def _name(self, line: int, name: str, below: str) -> None:
        middle = self.page.top(line) + self.page.cell[1] / 2
        self.write(_MARGIN, middle, name, size=7, weight="bold")
        self.write(_MARGIN, middle + 0.12, below, size=5.8, color=_FAINT)

    def _time(self, axes: Any, time: float) -> None:
        axes.text(0, 1 + 0.035 / self.page.cell[1], f"{time:.2f} s", size=6, color=_FAINT, va="top")

    def _sized(self, frame: Image) -> Image:
        width, height = (max(round(inches * DPI), 1) for inches in self.page.cell)
        shrinks = width < frame.shape[1]
        return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA if shrinks else
                                     cv2.INTER_CUBIC), np.uint8)  # fmt: skip

    def _shaded(self, frame: Image) -> Image:
        grey = cv2.cvtColor(self._sized(frame), cv2.COLOR_RGB2GRAY)
        return np.repeat((grey * _SHADE).astype(np.uint8)[..., None], 3, axis=2)

    def _tiled(self, values: Any) -> Any:
        width, height = (max(round(inches * DPI), 1) for inches in self.page.cell)
        return cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST)

    def _boxes(self, axes: Any, time: float, *, tags: bool) -> None:
        """Draw outlines of the boxes, thicker ones for evidence; with `tags` also their labels."""
        visible = boxes(self.drawing, time)
        for box in visible:
            x1, y1, x2, y2 = box.corners
            colour = tuple(channel / 255 for channel in box.colour)
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour,
                                     linewidth=1.1 if box.strong else 0.6))  # fmt: skip
        for box, tag in zip(visible, place_labels(visible, self.page.cell), strict=True) if tags else ():
            colour = tuple(channel / 255 for channel in box.colour)
            if tag.away:
                axes.plot(*tag.line(box), color=colour, linewidth=0.6, clip_on=False)
            axes.text(tag.left, tag.bottom, tag.label, size=SIZE, color=_INK, va="bottom", ha="left",
                      parse_math=False, bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.6})  # fmt: skip


def _title(text: str) -> list[str]:
    return wrapped(drawable(text), _pixels(_TITLE), _ROOM, 3, BOLD) or [""]


def _lines(text: str) -> list[str]:
    return wrapped(drawable(text), _pixels(_NOTE), _ROOM, 3) or [""]


def _pixels(points: float) -> int:
    return round(points * DPI / 72)
