"""Read frames of a video with their real times, and write frames as a video that browsers play.

clip = read("video.mp4", frames=8)                  # 8 evenly spaced frames, as transformers selects them
clip = read("video.mp4", sampling="times", times=[0.5, 2.0])
write("copy.mp4", clip.frames, clip.times, clip.end)
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import av
import numpy as np
from av.video.reformatter import Colorspace

from attrib.errors import InputError, UnknownName, VideoError
from attrib.runtime.files import writing
from attrib.types import Clip
from attrib.video.decode import Frame, MissingFrame
from attrib.video.source import Source, open_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import ArrayLike, NDArray

Sampling = Literal["uniform", "one_per_second", "times"]
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)

TICKS = 90_000  # pts per second of written files, so that times are exact to 6 microseconds
# Without B-frames, packets leave in display order, so that each packet's duration can be set exactly. A fixed number
# of threads gives the same bytes on every machine.
_X264 = {"crf": "18", "preset": "veryfast", "bf": "0", "g": "30", "threads": "2", "x264-params": "scenecut=0"}


def read(path: str | Path, frames: int = 8, sampling: Sampling = "uniform", times: ArrayLike | None = None) -> Clip:
    """Read `frames` frames with their times, upright and with square pixels; only these frames are held in memory.

    `uniform`: index k * total // frames. `one_per_second`: the frames shown at 0, 1, 2, ... s after the first one,
    thinned evenly (both ends included) if there are more than `frames`. `times`: for each of `times` (seconds) the last
    frame at or before it. Frames are never repeated: a shorter video gives fewer frames, with a message in
    `Clip.warnings`, which also reports truncated files. Raises VideoError or InputError.
    """
    path = Path(path)
    _check_request(frames, sampling, times)
    for count in (False, True):
        source = open_source(path, count=count)
        indices, warnings = _select(source, frames, sampling, times)
        try:
            pictures = source.pictures(indices.tolist())
        except MissingFrame:
            continue
        return Clip(np.stack(pictures), source.times[indices], source.end, path, (*source.warnings, *warnings))
    raise VideoError(f"{path}: frames that decoded once could not be decoded again")


def _check_request(frames: int, sampling: str, times: ArrayLike | None) -> None:
    if sampling not in SAMPLINGS:
        raise UnknownName("sampling", sampling, SAMPLINGS)
    if frames < 1:
        raise InputError(f"expected at least one frame, got frames={frames}")
    if (sampling == "times") != (times is not None):
        raise InputError('expected both `times` and sampling="times", or neither')


def _select(
    source: Source, frames: int, sampling: Sampling, times: ArrayLike | None
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Increasing indices (n,) of the frames to read, and a warning if they are fewer than requested."""
    total = len(source.times)
    if sampling == "uniform":
        wanted = np.arange(frames) * total // frames if frames < total else np.arange(total)
    elif sampling == "one_per_second":
        count = max(int(np.ceil(source.end - source.times[0] - 1e-3)), 1)
        seconds = np.linspace(0, count - 1, min(count, frames)).astype(int)  # a damaged file may claim centuries
        wanted = _frames_at(source, source.times[0] + seconds)
    else:
        wanted = _frames_at(source, _requested_times(source, times))
    indices = np.unique(wanted)
    requested = len(wanted) if sampling == "times" else frames
    if len(indices) == requested:
        return indices, ()
    return indices, (f"{source.path}: {len(indices)} frames instead of {requested}: {_reason(sampling, total)}",)


def _reason(sampling: Sampling, total: int) -> str:
    return {
        "uniform": f"the video has {total}",
        "one_per_second": "the video is too short for more at one per second",
        "times": "some of the times fall on the same frame",
    }[sampling]


def _frames_at(source: Source, seconds: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the last frame at or before each time, with 0.5 ms of tolerance; 0 for times before the first frame."""
    return np.maximum(np.searchsorted(source.times, seconds + 5e-4, side="right") - 1, 0)


def _requested_times(source: Source, times: ArrayLike | None) -> NDArray[np.float64]:
    seconds = np.sort(np.atleast_1d(np.asarray(times, dtype=np.float64)))
    if seconds.ndim != 1 or not len(seconds) or not ((seconds >= 0) & (seconds <= source.end)).all():
        span = f"0 to {source.end:.3f} s"
        raise InputError(f"{source.path}: expected times (n,) within the video, {span}, got {np.asarray(times)}")
    return seconds


def write(path: str | Path, frames: Iterable[Frame], times: ArrayLike, end: float | None = None) -> None:
    """Write H.264 (yuv420p, faststart) mp4 from frames uint8 (H, W, 3), or an array (t, H, W, 3), RGB.

    `times` (t,) are increasing seconds from 0 on, rounded to at most 6 microseconds; the last frame lasts until `end`,
    by default for the median step (one second for a single frame). H.264 needs even sizes: odd ones grow by one
    replicated row or column at the bottom or right. Raises VideoError if frames or times do not fit, or if the file
    cannot be written.
    """
    path = Path(path)
    durations, ticks = _ticks(path, times, end)
    try:
        with (
            writing(path) as temporary,
            av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as file,
        ):
            _encode(file, _checked(path, frames, len(ticks)), ticks, durations)
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


def _checked(path: Path, frames: Iterable[Frame], count: int) -> Iterator[Frame]:
    """Yield the frames. Raises VideoError unless all have one shape and there are exactly `count` of them."""
    shape: tuple[int, ...] | None = None
    index = 0
    for frame in frames:
        shape = shape or (*frame.shape[:2], 3)
        if frame.dtype != np.uint8 or frame.shape != shape or min(shape) < 1:
            expected = shape if len(shape) == 3 else "(H, W, 3)"
            raise VideoError(f"{path}: frame {index}: expected uint8 {expected}, got {frame.dtype} {frame.shape}")
        index += 1
        if index <= count:
            yield frame
    if index != count:
        raise VideoError(f"{path}: {index} frames for {count} times")


def _encode(file: Any, frames: Iterator[Frame], ticks: list[int], durations: list[int]) -> None:
    stream = None
    remaining = iter(durations)
    for frame, tick in zip(frames, [*ticks, 0], strict=False):
        if frame.shape[0] % 2 or frame.shape[1] % 2:
            frame = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")
        stream = stream or _stream(file, frame.shape[1], frame.shape[0])
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.SMPTE170M, dst_color_range=1)
        picture.pts, picture.time_base = tick, Fraction(1, TICKS)
        _mux(file, stream.encode(picture), remaining)
    if stream is not None:
        _mux(file, stream.encode(None), remaining)


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
