"""Panel below a video: texts, colour bar, and saliency over time with a cursor. Its sizes scale with the video's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from attrib.render.options import Band, Colour, Image, RenderOptions, View, bands, boxes, dots, heat, mix
from attrib.render.text import put, shortened, text_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GROUND: Colour = (18, 19, 24)
_TRACK: Colour = (38, 40, 48)
_INK: Colour = (236, 236, 236)
_FAINT: Colour = (160, 163, 172)
_BAR: Colour = (252, 165, 10)
_AGAINST: Colour = (60, 150, 230)
Pixels = tuple[int, int, int, int]  # left, top, right, bottom

_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
_LANES = 4  # most lanes of the panel, so that the picture stays in sight; the contact sheet has all of them


def text_size(height: int, width: int) -> int:
    """Letter size in pixels for a video of that size."""
    return int(np.clip(round(min(width, 1.6 * height) / 26), 9, 32))


def draw_boxes(image: Image, drawing: RenderOptions, time: float, size: int | None = None) -> None:
    """Draw the ground-truth boxes at `time` with "id : label" in letters of `size` pixels; evidence has thicker lines.

    Labels that would cover each other are stacked; if there is no room for that, they shrink to the ids.
    """
    size, visible = size or text_size(*image.shape[:2]), boxes(drawing, time)
    tags = [_tag(image, box.label, box.corners, size) for box in visible]
    tags = _stacked(tags) or [_tag(image, box.label.split(" : ")[0], box.corners, size) for box in visible]
    for box in visible:
        x1, y1, x2, y2 = _pixels(image, box.corners)
        cv2.rectangle(image, (x1, y1), (x2, y2), box.colour, max(1, round(size / (5 if box.strong else 8))))
    for box, (label, (left, top, right, bottom)) in zip(visible, tags, strict=True):
        cv2.rectangle(image, (left, top), (right, bottom), box.colour, -1)
        put(image, label, (left + 2, top + size), size, _GROUND)


def draw_dots(image: Image, drawing: RenderOptions, time: float, size: int | None = None) -> None:
    """Draw the visible ground-truth points at `time` as dots with a dark rim, scaled to letters of `size` pixels."""
    radius = max(2, round((size or text_size(*image.shape[:2])) / 4))
    for dot in dots(drawing, time):
        x, y, _, _ = _pixels(image, (*dot.at, *dot.at))
        cv2.circle(image, (x, y), radius + 1, _GROUND, -1, cv2.LINE_AA)
        cv2.circle(image, (x, y), radius, dot.colour, -1, cv2.LINE_AA)


def _stacked(tags: list[tuple[str, Pixels]]) -> list[tuple[str, Pixels]]:
    """Move tags that would cover another up by one or two lines; return none if some overlap even then."""
    placed: list[tuple[str, Pixels]] = []
    for label, (left, top, right, bottom) in tags:
        line = bottom - top
        moves = [(left, top - k * line, right, bottom - k * line) for k in range(3) if k == 0 or top >= k * line]
        free = next((move for move in moves if not any(_meet(move, other) for _, other in placed)), None)
        if free is None:
            return []
        placed.append((label, free))
    return placed


def _pixels(image: Image, corners: tuple[float, float, float, float]) -> Pixels:
    height, width = image.shape[:2]
    x1, y1, x2, y2 = corners
    return round(x1 * (width - 1)), round(y1 * (height - 1)), round(x2 * (width - 1)), round(y2 * (height - 1))


def _tag(image: Image, label: str, corners: tuple[float, float, float, float], size: int) -> tuple[str, Pixels]:
    """Label, shortened to fit, and its rectangle: above the box, or inside it if there is no room above."""
    width = image.shape[1]
    x1, y1, _, _ = _pixels(image, corners)
    label = shortened(label, size, width - 4)
    wide, tall = text_width(label, size) + 4, size + 4
    left = int(np.clip(x1, 0, max(width - wide, 0)))
    top = y1 - tall if y1 >= tall else y1
    return label, (left, top, left + wide, top + tall)


def _meet(a: Pixels, b: Pixels) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@dataclass(frozen=True, eq=False)
class Panel:
    """Panel of a video of `size` (height, width) with sampled frames at `times` (t,), which ends at `end`."""

    view: View
    drawing: RenderOptions
    texts: tuple[str, str]
    times: NDArray[np.float64]
    end: float
    size: tuple[int, int]

    @cached_property
    def unit(self) -> int:
        """Letter size in pixels."""
        return text_size(*self.size)

    @cached_property
    def _lanes(self) -> list[list[Band]]:
        return bands(self.drawing, self.end)[:_LANES]

    @cached_property
    def _rows(self) -> dict[str, tuple[int, int]]:
        """Top and bottom of each row in pixels."""
        unit, row, rows = self.unit, round(self.unit * 1.55), {}
        top = round(unit * 0.35)
        heights = {
            "title": row,
            "subtitle": row if self.texts[1] else 0,
            "legend": row,
            "bars": round(unit * 2.8),
            "lanes": len(self._lanes) * round(unit * 1.3),
            "axis": round(unit * 1.5),
        }
        for name, height in heights.items():
            rows[name] = (top, top + height)
            top += height + (round(unit * 0.3) if name == "legend" else 0)
        bottom = top + round(unit * 0.2)
        rows["end"] = (bottom, bottom + (self.size[0] + bottom) % 2)  # an even total, as H.264 requires
        return rows

    def at(self, time: float) -> Image:
        """Draw the panel (h, W, 3) at `time` in seconds."""
        image = self._still.copy()
        unit, width = self.unit, self.size[1]
        clock = f"{time:.2f} s"
        if text_width(clock, unit) <= width * 0.6:
            put(image, clock, (width - self._margin - text_width(clock, unit), self._base("title")), unit, _INK)
        top, bottom = self._rows["bars"][0], max(self._rows["lanes"][1], self._rows["bars"][1])
        x, half = self._x(time), max(1, unit // 8)
        cv2.rectangle(image, (x - half, top - half), (x + half, bottom), _GROUND, -1)
        cv2.rectangle(image, (x - half + half // 2, top - half), (x + half - (half + 1) // 2, bottom), _INK, -1)
        return image

    @cached_property
    def _still(self) -> Image:
        """Panel without clock and cursor, which alone change over time."""
        image = np.full((self._rows["end"][1], self.size[1], 3), _GROUND, np.uint8)
        room = self.size[1] - 2 * self._margin
        clock = text_width(f"{self.end:.2f} s", self.unit) + self.unit
        title = shortened(self.texts[0], self.unit, room - clock, 700)
        put(image, title, (self._margin, self._base("title")), self.unit, _INK, 700)
        put(image, shortened(self.texts[1], self.unit, room), (self._margin, self._base("subtitle")), self.unit, _FAINT)
        self._draw_legend(image)
        self._draw_bars(image)
        self._draw_lanes(image)
        self._draw_axis(image)
        return image

    def _draw_legend(self, image: Image) -> None:
        """Draw the colour bar from 0 (or, if signed, from minus the strongest value) to the strongest value."""
        unit, margin, width = self.unit, self._margin, self.size[1]
        strongest = f"{self.view.scale:.2g}"
        low, high = "0", f"{strongest} saliency"
        if self.view.signed:
            low, high = f"against -{strongest}", f"{strongest} for"
        if self.view.scale == 0:
            note = "no saliency anywhere" if self.view.signed else "no positive saliency anywhere"
            put(image, shortened(note, unit, width - 2 * margin), (margin, self._base("legend")), unit, _FAINT)
            return
        if text_width(low + high, unit) > width * 0.6:
            low, high = (f"-{strongest}", strongest) if self.view.signed else ("0", strongest)
        left = margin + text_width(low, unit) + unit // 2
        right = min(width - margin - text_width(high, unit) - unit // 2, left + 14 * unit)
        if right - left < unit:
            return
        put(image, low, (margin, self._base("legend")), unit, _FAINT)
        put(image, high, (right + unit // 2, self._base("legend")), unit, _FAINT)
        top = self._base("legend") - round(unit * 0.8)
        bar = image[top : top + unit, left:right]
        ramp = np.tile(np.linspace(-1 if self.view.signed else 0, 1, right - left, dtype=np.float32), (len(bar), 1))
        bar[:] = mix(np.full_like(bar, 70), *heat(ramp, self.drawing))

    def _draw_bars(self, image: Image) -> None:
        """Draw each sampled frame's mean saliency as a bar over the interval that it stands for."""
        top, bottom = self._rows["bars"]
        cv2.rectangle(image, (self._x(0), top), (self._x(self.end), bottom), _TRACK, -1)
        zero = (top + bottom) // 2 if self.view.signed else bottom
        for start, end, bar in zip(self.times, [*self.times[1:], self.end], self.view.bars, strict=True):
            level = round(zero - bar * (zero - top))
            right = max(self._x(end) - 1, self._x(start))
            if level != zero:
                corner = (right, zero - 1) if bar > 0 else (right, zero + 1)
                cv2.rectangle(image, (self._x(start), level), corner, _BAR if bar > 0 else _AGAINST, -1)
        cv2.line(image, (self._x(0), zero), (self._x(self.end), zero), _FAINT, 1)

    def _draw_lanes(self, image: Image) -> None:
        top, bottom = self._rows["lanes"]
        size = max(round(self.unit * 0.85), 8)
        for index, lane in enumerate(self._lanes):
            step = (bottom - top) // len(self._lanes)
            high, low = top + index * step + 2, top + (index + 1) * step
            for band in lane:
                left, right = self._x(band.start), max(self._x(band.end) - 1, self._x(band.start))
                cv2.rectangle(image, (left, high), (right, low), band.colour, -1)
                label = shortened(band.label, size, right - left - 4)
                put(image, label, (left + 3, low - round((low - high - size * 0.7) / 2)), size, _GROUND)

    def _draw_axis(self, image: Image) -> None:
        unit, top = self.unit, self._rows["axis"][0]
        span = self._x(self.end) - self._x(0)
        wide = text_width(f"{self.end:.1f} s", unit) + unit
        step = next((s for s in _STEPS if s / self.end * span >= wide), self.end)
        for time in np.arange(0, self.end + 1e-6, step):
            text = f"{time:g}" + (" s" if time + step > self.end else "")
            x = self._x(float(time))
            cv2.line(image, (x, top), (x, top + max(unit // 4, 2)), _FAINT, 1)
            left = int(np.clip(x - text_width(text, unit) // 2, 0, max(self.size[1] - text_width(text, unit), 0)))
            put(image, text, (left, top + round(unit * 1.25)), unit, _FAINT)

    @property
    def _margin(self) -> int:
        return round(self.unit * 0.7)

    def _base(self, row: str) -> int:
        return self._rows[row][0] + round(self.unit * 1.1)

    def _x(self, time: float) -> int:
        """Pixel column of a time in seconds."""
        left, right = self._margin, max(self.size[1] - self._margin, self._margin + 1)
        return int(left + round(float(np.clip(time / self.end, 0, 1)) * (right - 1 - left)))
