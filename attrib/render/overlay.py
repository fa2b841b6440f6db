"""Overlay videos and contact sheets of saliency.

write_overlay("explained.mp4", volume, clip, RenderOptions(title="Grad-CAM", tracks=sample.tracks))
contact_sheet("explained.png", volume, clip)
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from attrib import video
from attrib.errors import InputError, VideoError
from attrib.render.options import Image, RenderOptions, View, heat, mix
from attrib.render.panel import Panel, draw_boxes, draw_dots
from attrib.render.sheet import draw_sheet
from attrib.types import Clip, SaliencyVolume
from attrib.video.source import Source, open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

__all__ = ["RenderOptions", "contact_sheet", "overlay", "write_overlay", "write_overlays"]

PLAYED = 3600  # most frames of a video that is played, two minutes at 30 per second; longer ones are for browsing
PICTURES, BROWSED = 1200, 120  # most pictures of an overlay that is played, and most key frames of one for browsing
PIXELS = 2e9  # most pixels drawn for an overlay, about a minute's work
Drawn = tuple[SaliencyVolume, RenderOptions]


def overlay(volume: SaliencyVolume, clip: Clip, drawing: RenderOptions | None = None) -> Image:
    """Return the clip's frames with saliency drawn over them and a panel below: uint8 (t, H + panel, W, 3), RGB.

    The panel holds the texts, the colour bar and the mean saliency over time with a cursor. Raises InputError unless
    volume and clip have the same frames.
    """
    painter = _painter(volume, clip, drawing or RenderOptions())
    return np.stack([painter.paint(frame, time) for frame, time in zip(clip.frames, clip.times, strict=True)])


def write_overlay(
    path: str | Path, volume: SaliencyVolume, clip: Clip, drawing: RenderOptions | None = None, *, original: bool = True
) -> str:
    """Write one overlay; see `write_overlays`."""
    return write_overlays({Path(path): (volume, drawing or RenderOptions())}, clip, original=original)


def write_overlays(drawn: Mapping[Path, Drawn], clip: Clip, *, original: bool = True) -> str:
    """Write overlays of one clip as mp4, with the frames at their own times, in one pass over the video.

    With `original`, and if `clip.path` can still be read, the overlays show that file, each frame with the saliency of
    the last sampled frame at or before it; one frame is in memory at a time. Up to `PLAYED` frames they play: all
    frames up to `PICTURES` and `PIXELS`, else every k-th. Longer videos are for browsing: the sampled frames and at
    most `BROWSED` key frames, which can be decoded alone. Otherwise the overlays have the clip's frames alone.

    Returns a note on what is left out, or an empty string. Raises InputError unless volume and clip have the same
    frames, VideoError if a file cannot be written.
    """
    painters = [_painter(volume, clip, drawing) for volume, drawing in drawn.values()]
    source = _original(clip) if original else None
    if source is None:
        times, end, frames = clip.times, clip.end, iter(clip.frames)
    else:
        indices = _painted(source, clip)
        times, end, frames = source.times[indices], source.end, _frames(source, clip, indices)
    with ExitStack() as stack:
        films = [stack.enter_context(video.writer(path, times, end)) for path in drawn]
        for frame, time in zip(frames, times, strict=True):
            for painter, put in zip(painters, films, strict=True):
                put(painter.paint(frame, float(time)))
    return "" if source is None else _note(source, len(times))


def _painted(source: Source, clip: Clip) -> NDArray[np.intp]:
    """Indices of the frames that an overlay shows."""
    total, most = len(source.times), PIXELS / (source.size[0] * source.size[1])
    if total <= PLAYED:
        return np.arange(0, total, max(math.ceil(total / PICTURES), math.ceil(total / most)))
    keys = source.key_frames()
    keys = keys[:: math.ceil(len(keys) / max(min(BROWSED, most), 1))] if len(keys) else keys
    return np.union1d(keys, _sampled(source, clip))


def _sampled(source: Source, clip: Clip) -> NDArray[np.intp]:
    """Indices of the clip's frames in the video."""
    return np.searchsorted(source.times, clip.times - 5e-4).clip(max=len(source.times) - 1)


def _frames(source: Source, clip: Clip, indices: NDArray[np.intp]) -> Iterator[Image]:
    if len(source.times) <= PLAYED:
        yield from source.play(indices.tolist())
        return
    sampled = dict(zip(_sampled(source, clip).tolist(), clip.frames, strict=True))
    others = source.browse([index for index in indices.tolist() if index not in sampled])
    shown = clip.frames[0]
    for index in indices.tolist():
        found = sampled[index] if index in sampled else next(others)
        shown = shown if found is None else found
        yield shown


def _note(source: Source, count: int) -> str:
    total = len(source.times)
    if count == total:
        return ""
    if total <= PLAYED:
        return f"overlays show {count} of {total} frames, evenly spaced"
    return f"overlays show {count} of {total} frames, the sampled ones and key frames between them"


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
    heat: dict[int, tuple[Image, NDArray[np.float32]]] = field(default_factory=dict)  # of the frame in front alone

    def paint(self, frame: Image, time: float) -> Image:
        """Draw one picture (H + panel, W, 3): heat, boxes, points, panel."""
        index = int(np.searchsorted(self.panel.times, time + 5e-4, side="right")) - 1
        picture = mix(frame, *self._full_size_heat(index)) if index >= 0 else frame.copy()
        draw_boxes(picture, self.panel.drawing, time)
        draw_dots(picture, self.panel.drawing, time)
        return np.concatenate([picture, self.panel.at(time)])

    def _full_size_heat(self, index: int) -> tuple[Image, NDArray[np.float32]]:
        """Heat of a sampled frame at the size of the video; many frames in a row share it."""
        if index not in self.heat:
            height, width = self.panel.size
            values = cv2.resize(self.panel.view.values[index], (width, height), interpolation=cv2.INTER_LINEAR)
            self.heat.clear()
            self.heat[index] = heat(np.asarray(values, dtype=np.float32), self.panel.drawing)
        return self.heat[index]
