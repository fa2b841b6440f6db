"""Overlay videos and contact sheets of saliency.

write_overlay("explained.mp4", volume, clip, RenderOptions(title="Grad-CAM", tracks=sample.tracks))
contact_sheet("explained.png", volume, clip)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from attrib import video
from attrib.errors import InputError, VideoError
from attrib.render.options import Image, RenderOptions, View, heat, mix
from attrib.render.panel import Panel, draw_boxes, draw_dots
from attrib.render.sheet import draw_sheet
from attrib.video.source import Source, open_source

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from attrib.types import Clip, SaliencyVolume

__all__ = ["RenderOptions", "contact_sheet", "overlay", "write_overlay"]

PIXELS = 2e9  # most pixels drawn for a video, about a minute's work; longer videos play every k-th frame


def overlay(volume: SaliencyVolume, clip: Clip, drawing: RenderOptions | None = None) -> Image:
    """Return the clip's frames with saliency drawn over them and a panel below: uint8 (t, H + panel, W, 3), RGB.

    The panel holds the texts, the colour bar and the mean saliency over time with a cursor. Raises InputError unless
    volume and clip have the same frames.
    """
    painter = _painter(volume, clip, drawing or RenderOptions())
    return np.stack([painter.paint(frame, time) for frame, time in zip(clip.frames, clip.times, strict=True)])


def write_overlay(
    path: str | Path, volume: SaliencyVolume, clip: Clip, drawing: RenderOptions | None = None, *, original: bool = True
) -> None:
    """Write the overlay as mp4, with the frames at their own times.

    With `original`, and if `clip.path` can still be read, the video has all frames of that file, each with the saliency
    of the last sampled frame at or before it (every k-th frame only if the file has more than `PIXELS` pixels); one
    frame is in memory at a time. Otherwise the video has the clip's frames alone.
    Raises InputError unless volume and clip have the same frames, VideoError if the file cannot be written.
    """
    painter = _painter(volume, clip, drawing or RenderOptions())
    source = _original(clip) if original else None
    if source is None:
        frames = (painter.paint(frame, time) for frame, time in zip(clip.frames, clip.times, strict=True))
        video.write(path, frames, clip.times, clip.end)
        return
    step = math.ceil(len(source.times) * source.size[0] * source.size[1] / PIXELS)
    playing = enumerate(zip(source.play(), source.times, strict=True))
    pictures = (painter.paint(frame, float(time)) for index, (frame, time) in playing if index % step == 0)
    video.write(path, pictures, source.times[::step], source.end)


def contact_sheet(path: str | Path, volume: SaliencyVolume, clip: Clip, drawing: RenderOptions | None = None) -> None:
    """Write a PNG of all sampled frames with saliency, times, colour bar, mean saliency over time and ground truth.

    Raises InputError unless volume and clip have the same frames, or if the file cannot be written.
    """
    _check(volume, clip)
    draw_sheet(path, volume, clip, drawing or RenderOptions())


def _check(volume: SaliencyVolume, clip: Clip) -> None:
    if len(volume.times) != len(clip) or not np.allclose(volume.times, clip.times, atol=1e-3, rtol=0):
        raise InputError(
            f"the volume has {len(volume.times)} frames at {_span(volume.times)}, "
            f"the clip {len(clip)} at {_span(clip.times)}: they must be the same"
        )


def _span(times: NDArray[np.float64]) -> str:
    return f"{times[0]:.3f} to {times[-1]:.3f} s"


def _painter(volume: SaliencyVolume, clip: Clip, drawing: RenderOptions) -> _Painter:
    _check(volume, clip)
    view = View.of(volume, drawing)
    size = (clip.frames.shape[1], clip.frames.shape[2])
    return _Painter(Panel(view, drawing, drawing.texts(volume), clip.times, clip.end, size))


def _original(clip: Clip) -> Source | None:
    """Source of the file that the clip was read from, if it still exists and has frames of the same size."""
    if clip.path is None:
        return None
    try:
        source = open_source(clip.path)
    except VideoError:
        return None
    return source if source.size == clip.frames.shape[1:3] else None


@dataclass(frozen=True, eq=False)
class _Painter:
    panel: Panel

    def paint(self, frame: Image, time: float) -> Image:
        """Draw one picture (H + panel, W, 3): heat, boxes, points, panel."""
        index = int(np.searchsorted(self.panel.times, time + 5e-4, side="right")) - 1
        picture = mix(frame, *_full_size_heat(self.panel, index)) if index >= 0 else frame.copy()
        draw_boxes(picture, self.panel.drawing, time)
        draw_dots(picture, self.panel.drawing, time)
        return np.concatenate([picture, self.panel.at(time)])


@lru_cache(maxsize=2)
def _full_size_heat(panel: Panel, index: int) -> tuple[Image, NDArray[np.float32]]:
    """Heat of a sampled frame at the size of the video; cached, since many frames in a row share it."""
    height, width = panel.size
    values = cv2.resize(panel.view.values[index], (width, height), interpolation=cv2.INTER_LINEAR)
    return heat(np.asarray(values, dtype=np.float32), panel.drawing)
