"""Writing of H.264 video that browsers play, one frame at a time."""

from __future__ import annotations

from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import Colorspace

from attrib.errors import InputError, VideoError
from attrib.runtime.files import writing
from attrib.video.decode import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import ArrayLike

TICKS = 90_000  # pts per second of written files, so that times are exact to 6 microseconds
# Without B-frames, packets leave in display order, so that each packet's duration can be set exactly. A fixed number
# of threads gives the same bytes on every machine.
_X264 = {"crf": "18", "preset": "veryfast", "bf": "0", "g": "30", "threads": "2", "x264-params": "scenecut=0"}


def write(path: str | Path, frames: Iterable[Frame], times: ArrayLike, end: float | None = None) -> None:
    """Write H.264 (yuv420p, faststart) mp4 from frames uint8 (H, W, 3), or an array (t, H, W, 3), RGB.

    `times` (t,) are increasing seconds from 0 on, rounded to at most 6 microseconds; the last frame lasts until `end`,
    by default for the median step (one second for a single frame). H.264 needs even sizes: odd ones grow by one
    replicated row or column at the bottom or right. Raises VideoError if frames or times do not fit, or if the file
    cannot be written.
    """
    with writer(path, times, end) as put:
        for frame in frames:
            put(frame)


@contextmanager
def writer(path: str | Path, times: ArrayLike, end: float | None = None) -> Iterator[Callable[[Frame], None]]:
    """Open a video as in `write` and yield the function that adds one frame, so that several can be written at once."""
    path = Path(path)
    times_in_ticks = _ticks(path, times, end)
    try:
        with (
            writing(path) as temporary,
            av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as file,
        ):
            film = _Film(path, file, times_in_ticks)
            yield film.put
            film.close()
    except av.error.FFmpegError as error:
        raise VideoError(f"{path}: cannot be written: {error.strerror}") from None
    except InputError as error:
        raise VideoError(str(error)) from None


def _ticks(path: Path, times: ArrayLike, end: float | None) -> tuple[list[int], list[int]]:
    """Durations and presentation times of the frames in ticks."""
    seconds = np.asarray(times, dtype=np.float64)
    if seconds.ndim != 1 or not len(seconds) or not np.isfinite(seconds).all() or seconds[0] < 0:
        raise VideoError(f"{path}: expected finite times (t,) in seconds from 0 on, got shape {seconds.shape}")
    if end is None:
        end = float(seconds[-1] + (np.median(np.diff(seconds)) if len(seconds) > 1 else 1.0))
    ticks = np.round(np.append(seconds, end) * TICKS).astype(np.int64)
    if (np.diff(ticks) <= 0).any():
        raise VideoError(f"{path}: times must increase by at least 1/{TICKS} s, and the end must come after them")
    return np.diff(ticks).tolist(), ticks[:-1].tolist()


class _Film:
    """Video that is being written: frames are checked, encoded and given their times one by one."""

    def __init__(self, path: Path, file: Any, times: tuple[list[int], list[int]]) -> None:
        self.path, self.file = path, file
        self.durations, self.ticks = iter(times[0]), times[1]
        self.count = 0
        self.shape: tuple[int, ...] = ()
        self.stream: Any = None

    def put(self, frame: Frame) -> None:
        """Add a frame. Raises VideoError unless it has the shape of the first."""
        self.shape = self.shape or (*frame.shape[:2], 3)
        if frame.dtype != np.uint8 or frame.shape != self.shape or min(self.shape) < 1:
            expected = self.shape if len(self.shape) == 3 else "(H, W, 3)"
            got = f"{frame.dtype} {frame.shape}"
            raise VideoError(f"{self.path}: frame {self.count}: expected uint8 {expected}, got {got}")
        self.count += 1
        if self.count <= len(self.ticks):
            self._encode(frame, self.ticks[self.count - 1])

    def close(self) -> None:
        """Write the frames that the encoder still holds. Raises VideoError unless there is one for each time."""
        if self.count != len(self.ticks):
            raise VideoError(f"{self.path}: {self.count} frames for {len(self.ticks)} times")
        self._mux(self.stream.encode(None))

    def _encode(self, frame: Frame, tick: int) -> None:
        if frame.shape[0] % 2 or frame.shape[1] % 2:
            frame = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")
        self.stream = self.stream or _stream(self.file, frame.shape[1], frame.shape[0])
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.SMPTE170M, dst_color_range=1)
        picture.pts, picture.time_base = tick, Fraction(1, TICKS)
        self._mux(self.stream.encode(picture))

    def _mux(self, packets: Any) -> None:
        for packet in packets:
            packet.duration = next(self.durations)
            self.file.mux(packet)


def _stream(file: Any, width: int, height: int) -> Any:
    stream = file.add_stream("libx264", rate=30, options=_X264)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
    context = stream.codec_context
    context.colorspace, context.color_range, context.color_primaries, context.color_trc = 6, 1, 6, 6
    return stream
