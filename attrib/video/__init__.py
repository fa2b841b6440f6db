"""Read frames of a video with their real times, and write frames as a video that browsers play.

clip = read("video.mp4", frames=8)                  # 8 evenly spaced frames, as transformers selects them
clip = read("video.mp4", sampling="times", times=[0.5, 2.0])
write("copy.mp4", clip.frames, clip.times, clip.end)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from attrib.errors import InputError, UnknownName, VideoError
from attrib.types import Clip
from attrib.video import images
from attrib.video.decode import Frame, MissingFrame, check_file
from attrib.video.display import resizing
from attrib.video.encode import TICKS, write, writer
from attrib.video.source import Source, open_source

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["SAMPLINGS", "TICKS", "Frame", "Sampling", "check_file", "read", "write", "writer"]

Sampling = Literal["uniform", "one_per_second", "times"]
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)


def read(path: str | Path, frames: int = 8, sampling: Sampling = "uniform", times: ArrayLike | None = None) -> Clip:
    """Read `frames` frames with their times, upright and with square pixels; only these frames are held in memory.

    `uniform`: index k * total // frames. `one_per_second`: the frames shown at 0, 1, 2, ... s after the first one,
    thinned evenly (both ends included) if there are more than `frames`. `times`: for each of `times` (seconds) the last
    frame at or before it. Frames are never repeated: a shorter video gives fewer frames, with a message in
    `Clip.warnings`, which also reports files that are cut short or damaged. A picture (PNG, JPEG, WebP) is a clip of
    one frame that lasts a second. Raises VideoError or InputError.
    """
    path = Path(path)
    _check_request(frames, sampling, times)
    for count in (False, True):
        source = open_source(path, count=count)
        indices, warnings = _select(source, frames, sampling, times)
        try:
            stored = source.stored(indices.tolist())
        except MissingFrame:
            continue
        frames_shown = np.stack([source.display.show(picture) for picture in stored])
        warnings = (*source.warnings, *warnings, *_resized(source, stored, source.times[indices]))
        return Clip(frames_shown, source.times[indices], source.end, path, warnings)
    raise VideoError(f"{path}: frames that decoded once could not be decoded again")


def _resized(source: Source, stored: list[Frame], times: NDArray[np.float64]) -> tuple[str, ...]:
    """Return the warning about sampled pictures of another size than the first, unless the source has it already."""
    expected = (source.display.height, source.display.width)
    for picture, time in zip(stored if not source.counted else (), times, strict=False):
        if picture.shape[:2] != expected:
            return (resizing(source.path, source.display, (picture.shape[1], picture.shape[0]), float(time)),)
    return ()


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
    if len(indices) == requested or images.is_still(source.path):
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
