"""One page of layers: where things lie, and frames, cells, boxes with labels, colour scale and layers as drawn."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attrib.render.layers.labels import SIZE, placed
from attrib.render.layers.rows import Heading, LayerRows
from attrib.render.options import Image, RenderOptions, boxes, heat, mix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attrib.types import Clip

DPI = 200
# Inches
_WIDTH, _MARGIN, _NAME, _GAP, _LINE = 7.2, 0.12, 0.62, 0.05, 0.145
_TIME, _FOOT, _TALLEST, _WIDEST = 0.16, 0.62, 1.7, 2.2
_INK, _FAINT, _BAR, _QUIET = "#1a1b20", "#5c606b", "#dd8500", "#b9bcc6"
_SHADE = 0.42  # of a frame's brightness below the cells
_LETTERS = 105  # of a line of small words
_HEAT = RenderOptions(opacity=0.92)
_GROUND = 60  # grey below the colour scale, as of a frame in the shade


@dataclass(frozen=True)
class Page:
    """Where things lie, in inches from the top left; `lines` lines after the first, of `across` pictures each."""

    across: int
    lines: int
    cell: tuple[float, float]  # width, height
    head: float
    notes: int
    captions: bool  # each line has times, not the first alone

    @staticmethod
    def of_lines(clip: Clip, across: Sequence[int], lines: int, heading: Heading, *, captions: bool = False) -> Page:
        """A page for so many frames across and `lines` more lines than one."""
        shape = clip.frames.shape[1] / clip.frames.shape[2]
        width = (_WIDTH - 2 * _MARGIN - _NAME - (len(across) - 1) * _GAP) / len(across)
        width = min(width, _WIDEST, _TALLEST / shape)
        head = 0.16 + _LINE * (1.25 * len(_wrapped(heading.title, 92)) + len(heading.answers) + 1)
        notes = sum(len(_wrapped(note)) for note in heading.notes)
        return Page(len(across), lines, (width, width * shape), head, notes, captions)

    @property
    def below(self) -> float:
        """Where the lines end."""
        return self.top(self.lines + 1)

    @property
    def height(self) -> float:
        """The whole page."""
        return self.below + 0.1 + _FOOT + 0.24 + 0.118 * self.notes + 0.06

    def top(self, line: int) -> float:
        """Of the cells in a line; line 0 is the first."""
        times = _TIME * (line if self.captions else min(line, 1))
        return self.head + line * (self.cell[1] + _GAP) + times

    def left(self, column: int) -> float:
        """Of the cells in a column."""
        return _MARGIN + _NAME + column * (self.cell[0] + _GAP)

    def place(self, left: float, top: float, size: tuple[float, float]) -> tuple[float, float, float, float]:
        """A rectangle of `size` (width, height) as matplotlib takes it."""
        width, height = size
        return left / _WIDTH, 1 - (top + height) / self.height, width / _WIDTH, height / self.height


@dataclass(frozen=True, eq=False)
class Sheet:
    """A page being drawn."""

    page: Page
    rows: LayerRows
    drawing: RenderOptions

    @cached_property
    def figure(self) -> Figure:
        """Of the page's size."""
        return Figure(figsize=(_WIDTH, self.page.height), dpi=DPI, facecolor="white")

    def write(self, left: float, base: float, text: str, **style: Any) -> None:
        """Words with their base line's left end there; never read as a formula."""
        given = {"size": 6.5, "color": _INK, "va": "baseline", "parse_math": False, **style}
        self.figure.text(left / _WIDTH, 1 - base / self.page.height, text, **given)

    def head(self, heading: Heading) -> None:
        """The question, its answers, the model's own in bold, and a line of small words."""
        base = 0.2
        for line in _wrapped(heading.title, 92):
            self.write(_MARGIN, base, line, size=9, weight="bold")
            base += 1.25 * _LINE
        for text, strong in heading.answers:
            self.write(_MARGIN, base, textwrap.shorten(text, 110, placeholder="…"), size=7,
                       weight="bold" if strong else "normal")  # fmt: skip
            base += _LINE
        self.write(_MARGIN, base, textwrap.shorten(heading.below, 130, placeholder="…"), color=_FAINT)

    def pictures(self, clip: Clip, frames: Sequence[int]) -> None:
        """The frames as they are, with labelled boxes and times; the first line."""
        for column, frame in enumerate(frames):
            axes = self._axes(column, 0)
            axes.imshow(self._sized(clip.frames[frame]), extent=(0, 1, 1, 0), aspect="auto", interpolation="none")
            self._boxes(axes, float(clip.times[frame]), tags=True)
            self._time(axes, float(clip.times[frame]))
        self._name(0, "frames", "")

    def cells(self, clip: Clip, frames: Sequence[int], line: int, row: int | None, *, tags: bool = False) -> None:
        """A row's cells over its frames in the shade."""
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
        """The colour scale, how much each row looks at the video, and the notes."""
        top = self.page.below + 0.1
        self._scale(top + 0.22)
        self._activity(top, current)
        base = top + _FOOT + 0.32
        for note in heading.notes:
            for line in _wrapped(note):
                self.write(_MARGIN, base, line, size=5.8, color=_FAINT)
                base += 0.118

    def _scale(self, top: float) -> None:
        axes = self.figure.add_axes(self.page.place(_MARGIN + _NAME, top, (1.9, 0.1)))
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
        """A bar for each row, the shown or the current ones marked, and the threshold."""
        left = _MARGIN + _NAME + 2.45
        axes = self.figure.add_axes(self.page.place(left, top + 0.12, (_WIDTH - _MARGIN - left, _FOOT - 0.12)))
        places = np.arange(len(self.rows.names))
        marked = self.rows.shown if current is None else places == current
        axes.bar(places, self.rows.mass, 0.8, color=np.where(marked, _BAR, _QUIET).tolist())
        axes.axhline(self.rows.threshold, color=_INK, linewidth=0.6, linestyle=(0, (3, 2)))
        step = -(-len(places) // 16)
        axes.set_xticks(places[::step], [self.rows.names[place] for place in places[::step]])
        axes.set_xlim(-0.6, len(places) - 0.4)
        axes.set_ylim(0, 1.15 * max(float(self.rows.mass.max()), self.rows.threshold, 1e-9))
        axes.tick_params(length=2, width=0.5, pad=1.5, labelsize=6, colors=_FAINT)
        axes.locator_params(axis="y", nbins=3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[:].set_linewidth(0.4)
        axes.set_title(f"attention on the video (mass) by {self.rows.kind}; dashed: high activity", size=6.5,
                       color=_INK, loc="left", pad=3)  # fmt: skip

    def _axes(self, column: int, line: int) -> Any:
        place = self.page.place(self.page.left(column), self.page.top(line), self.page.cell)
        axes = self.figure.add_axes(place)
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
        """Outlines, evidence thicker; with `tags` the labels."""
        found = boxes(self.drawing, time)
        for box in found:
            x1, y1, x2, y2 = box.corners
            colour = tuple(channel / 255 for channel in box.colour)
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour,
                                     linewidth=1.1 if box.strong else 0.6))  # fmt: skip
        for box, tag in zip(found, placed(found, self.page.cell), strict=True) if tags else ():
            colour = tuple(channel / 255 for channel in box.colour)
            if tag.away:
                axes.plot(*tag.line(box), color=colour, linewidth=0.6, clip_on=False)
            axes.text(tag.left, tag.bottom, tag.label, size=SIZE, color=_INK, va="bottom", ha="left",
                      parse_math=False, bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.6})  # fmt: skip


def _wrapped(text: str, width: int = 168) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), width, max_lines=3, placeholder="…") or [""]
