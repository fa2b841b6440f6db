"""Decoding of video files, all frames in order or selected ones, by decord or PyAV with the same result."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import av
import cv2  # noqa: F401 - before decord: loaded after it, OpenCV gets decord's zlib and can no longer read PNG files
import numpy as np
from numpy.typing import NDArray

from attrib.errors import VideoError

try:
    import decord
except ImportError:  # no wheels for macOS and ARM: PyAV reads the same frames, but more slowly
    decord = None

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Frame = NDArray[np.uint8]

if decord is not None:
    decord.logging.set_level(decord.logging.QUIET)


class MissingFrame(Exception):
    """The decoder did not deliver a frame that the packets announced; handled within `attrib.video`."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file as its container and video stream. Raises VideoError for errors here and within the context."""
    try:
        status = path.stat()
    except (FileNotFoundError, ValueError):  # ValueError: a zero byte in the name
        raise VideoError(f"{path}: no such file") from None
    except OSError as error:
        raise VideoError(f"{path}: {error.strerror}") from None
    if stat.S_ISDIR(status.st_mode):
        raise VideoError(f"{path}: is a directory, expected a video file")
    if status.st_size == 0:
        raise VideoError(f"{path}: the file is empty")
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as file:
            stream = file.streams.best("video")
            if stream is None or stream.codec_context is None or stream.codec_context.name == "ansi":  # text as "art"
                raise VideoError(f"{path}: contains no video stream")
            stream.thread_type = "AUTO"
            yield file, stream
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: cannot be read as a video: {error.strerror or error}") from None


def decoded(path: Path) -> Iterator[tuple[int | None, Any]]:
    """Yield every intact picture with its time stamp, in display order; skip damaged packets."""
    with opened(path) as (file, stream):
        packets = file.demux(stream)
        while True:
            try:
                pictures = next(packets).decode()
            except StopIteration:
                return
            except av.error.InvalidDataError:
                continue
            yield from ((picture.pts, picture) for picture in pictures if not picture.is_corrupt)


def seeks_exactly(path: Path, key: int) -> bool:
    """Return whether seeking to the key frame with stamp `key` gives that picture first.

    This is not so for files with periodic intra refresh.
    """
    with opened(path) as (file, stream):
        file.seek(key, stream=stream)
        first = next(file.decode(stream), None)
        return first is not None and bool(first.pts == key)


def by_decord(path: Path, times: NDArray[np.float64], size: tuple[int, int], indices: Sequence[int]) -> list[Frame]:
    """Read frames of `size` (height, width) by decord; none if it is missing, fails or has times other than `times`."""
    if decord is None:
        return []
    try:
        reader = decord.VideoReader(str(path.absolute()))
        own = np.asarray(reader.get_frame_timestamp(range(len(reader))), np.float64)[:, 0]  # from 0, float32
        tolerance = 1e-3 + 1e-6 * float(times[-1])
        if own.shape != times.shape or not (abs(own - (times - times[0])) < tolerance).all():
            return []
        pictures = reader.get_batch(list(indices)).asnumpy()
    except (decord.DECORDError, RuntimeError):
        return []
    return list(pictures) if pictures.shape == (len(indices), *size, 3) else []  # decord may count padding as pixels


def by_order(path: Path, indices: Sequence[int]) -> Iterator[Frame]:
    """Yield frames by their index in display order, decoding from the beginning."""
    wanted = set(indices)
    for index, (_, picture) in enumerate(decoded(path)):
        if index in wanted:
            yield rgb(picture)
        if index >= max(wanted):
            return


def by_stamp(path: Path, stamps: NDArray[np.int64], keys: NDArray[np.int64]) -> Iterator[Frame]:
    """Yield frames by their increasing time stamps, each decoded from the key frame before it. Raises MissingFrame."""
    with opened(path) as (file, stream):
        pictures, position = file.decode(stream), -(2**62)
        for stamp in stamps:
            key = int(keys[max(int(np.searchsorted(keys, stamp, side="right")) - 1, 0)]) if len(keys) else position
            if key > max(position, int(keys[0]) if len(keys) else 0):
                file.seek(key, stream=stream)
                pictures = file.decode(stream)
            try:
                picture = next((each for each in pictures if each.pts is None or each.pts >= stamp), None)
            except av.error.InvalidDataError:
                raise MissingFrame from None
            if picture is None or picture.pts != stamp or picture.is_corrupt:
                raise MissingFrame
            position = picture.pts
            yield rgb(picture)


def rgb(picture: Any) -> Frame:
    """Stored pixels (H, W, 3), before rotation and pixel aspect are applied."""
    return np.asarray(picture.to_ndarray(format="rgb24"), dtype=np.uint8)
