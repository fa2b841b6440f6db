"""Read a few frames of a video at their real times, and write frames as a video that browsers play."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import ArrayLike, NDArray

from attrib.errors import VideoError
from attrib.files import writing

Frame = NDArray[np.uint8]

TICKS = 90_000  # pts per second of written files: 11 microseconds apart at most from the time asked for
# Without B-frames packets leave in the order of display, so that each packet's duration can be given exactly. A fixed
# number of threads gives the same bytes on every machine.
_X264 = {"crf": "18", "preset": "veryfast", "bf": "0", "g": "30", "threads": "2", "x264-params": "scenecut=0"}


def write(path: str | Path, frames: Iterable[Frame], times: ArrayLike, end: float | None = None) -> None:
    """Write H.264 (yuv420p, faststart) mp4 from frames uint8 (H, W, 3), or an array (t, H, W, 3), RGB.

    `times` (t,) are seconds from 0 on, increasing, kept to 6 microseconds; the last frame lasts until `end`, by default
    the median step (one second for a single frame). H.264 needs even sizes: an odd one grows by one replicated row or
    column at the bottom or right. Raises VideoError where frames or times do not fit, and when nothing can be written.
    """
    path = Path(path)
    durations, ticks = _ticks(path, times, end)
    try:
        with writing(path) as part, av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as file:
            _encode(file, path, _checked(path, frames, len(ticks)), ticks, durations)
    except av.error.FFmpegError as error:
        raise VideoError(f"{path}: cannot be written: {error.strerror}") from None


def _ticks(path: Path, times: ArrayLike, end: float | None) -> tuple[list[int], list[int]]:
    """Durations and presentation times in ticks."""
    seconds = np.asarray(times, dtype=np.float64)
    if seconds.ndim != 1 or not len(seconds) or not np.isfinite(seconds).all() or seconds[0] < 0:
        raise VideoError(f"{path}: expected finite times (t,) in seconds from 0 on, got shape {seconds.shape}")
    if end is None:
        end = float(seconds[-1] + (np.median(np.diff(seconds)) if len(seconds) > 1 else 1.0))
    ticks = np.round(np.append(seconds, end) * TICKS).astype(np.int64)
    if (np.diff(ticks) <= 0).any():
        raise VideoError(f"{path}: times must increase by at least 1/{TICKS} s, and the end must come after them")
    return np.diff(ticks).tolist(), ticks[:-1].tolist()


def _checked(path: Path, frames: Iterable[Frame], count: int) -> Iterator[Frame]:
    """The frames, all of one shape, and exactly `count` of them."""
    shape: tuple[int, ...] | None = None
    seen = 0
    for frame in frames:
        shape = shape or frame.shape
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.shape != shape:
            raise VideoError(f"{path}: frame {seen}: expected uint8 {shape}, got {frame.dtype} {frame.shape}")
        seen += 1
        if seen <= count:
            yield frame
    if seen != count:
        raise VideoError(f"{path}: {seen} frames for {count} times")


def _encode(file: Any, path: Path, frames: Iterator[Frame], ticks: list[int], durations: list[int]) -> None:
    stream = None
    waiting = iter(durations)
    for frame, tick in zip(frames, [*ticks, 0], strict=False):
        frame = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")
        stream = stream or _stream(file, frame.shape[1], frame.shape[0])
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.SMPTE170M, dst_color_range=1)
        picture.pts, picture.time_base = tick, Fraction(1, TICKS)
        _mux(file, stream.encode(picture), waiting)
    if stream is not None:
        _mux(file, stream.encode(None), waiting)


def _mux(file: Any, packets: Any, durations: Iterator[int]) -> None:
    for packet in packets:
        packet.duration = next(durations)
        file.mux(packet)


def _stream(file: Any, width: int, height: int) -> Any:
    stream = file.add_stream("libx264", rate=30, options=_X264)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
    context = stream.codec_context
    context.colorspace, context.color_range, context.color_primaries, context.color_trc = 6, 1, 6, 6
    return stream
