"""Decoding of video files, all frames in order or selected ones, by decord or PyAV with the same result."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import av
import cv2  # noqa: F401 - before decord: loaded after it, OpenCV gets decord's zlib and can no longer read PNG files
import numpy as np
from av.stream import Discard, Disposition
from numpy.typing import NDArray

from attrib.errors import VideoError
from attrib.video import images

try:
    import decord
except ImportError:  # no wheels for macOS and ARM: PyAV reads the same frames, but more slowly
    decord = None

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Frame = NDArray[np.uint8]
CONVERT = "convert it, e.g. by `ffmpeg -i IN -c:v libx264 OUT.mp4`"

if decord is not None:
    decord.logging.set_level(decord.logging.QUIET)


class MissingFrame(Exception):
    """The decoder did not deliver a frame that the packets announced; handled within `attrib.video`."""


def check_file(path: Path) -> None:
    """Raise VideoError for a file that is missing, empty or a directory."""
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


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file as its container and video stream. Raises VideoError for errors here and within the context."""
    check_file(path)
    av.logging.set_level(None)  # older torchvision asks for log lines, for which decoders may wait for ever
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as file:
            stream = _video_stream(path, file)
            stream.thread_type = "AUTO"
            yield file, stream
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: cannot be read as a video: {error.strerror or error}") from None


def _video_stream(path: Path, file: Any) -> Any:
    """Return the best stream that shows moving pictures: neither cover art nor text as "art"."""
    moving = [
        stream
        for stream in file.streams.video
        if not stream.disposition & Disposition.attached_pic
        and (stream.codec_context is None or stream.codec_context.name != "ansi")
    ]
    readable = [stream for stream in moving if stream.codec_context is not None]
    if not moving:
        raise VideoError(f"{path}: contains no video stream")
    if not readable:
        raise VideoError(f"{path}: its video is in a format that cannot be decoded here; {CONVERT}")
    best = file.streams.best("video")
    best = best if best in readable else readable[0]
    if best.frames == 1:  # of an animated AVIF file the first stream is the still picture
        return max(readable, key=lambda stream: stream.frames)
    return best


def only(file: Any, stream: Any) -> None:
    """Let the demuxer pass over the packets of all other streams."""
    for other in file.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def decoded(path: Path, *, careful: bool = False) -> Iterator[Any]:
    """Yield every intact picture in display order, and None for each that is damaged.

    `careful`: by one thread, so that a damaged packet never costs an intact picture beside it.
    """
    if images.is_image(path):
        yield from images.pictures(path)
        return
    with opened(path) as (file, stream):
        if careful:
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        only(file, stream)
        packets = file.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                pictures = [] if packet is None else packet.decode()
            except av.error.FFmpegError:
                yield None
                continue
            if packet is None:
                return
            yield from (None if picture.is_corrupt else picture for picture in pictures)


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
    except (decord.DECORDError, RuntimeError, UnicodeError):  # UnicodeError: a file name that is not UTF-8
        return []
    return list(pictures) if pictures.shape == (len(indices), *size, 3) else []  # decord may count padding as pixels


def by_order(path: Path, indices: Sequence[int], *, careful: bool = False) -> Iterator[Frame]:
    """Yield frames by their index among the intact ones in display order, decoding from the beginning."""
    wanted = set(indices)
    intact = (picture for picture in decoded(path, careful=careful) if picture is not None)
    for index, picture in enumerate(intact):
        if index in wanted:
            yield rgb(picture)
        if index >= max(wanted):
            return


def by_stamp(
    path: Path, stamps: NDArray[np.int64], wanted: NDArray[np.int64], keys: NDArray[np.int64]
) -> Iterator[Frame | None]:
    """Yield the frames with the increasing time stamps `wanted` out of `stamps`, each from the key frame before it.

    None stands for a frame that cannot be decoded, or that has a gap between it and its key frame.
    """
    first = int(keys[0]) if len(keys) else int(stamps[0])
    with opened(path) as (file, stream):
        only(file, stream)
        pictures, position = file.decode(stream), first - 1
        for stamp in wanted:
            key = int(keys[max(int(np.searchsorted(keys, stamp, side="right")) - 1, 0)]) if len(keys) else first
            if pictures is None or key > max(position, first):
                file.seek(key, stream=stream)
                pictures, position = file.decode(stream), key - 1
            due = np.searchsorted(stamps, stamp, side="right") - np.searchsorted(stamps, position, side="right")
            picture = _reached(pictures, int(stamp), (position, int(due)))
            pictures, position = (None, position) if picture is None else (pictures, int(stamp))
            yield None if picture is None else rgb(picture)


def _reached(pictures: Iterator[Any], stamp: int, gap: tuple[int, int]) -> Any:
    """Return the picture with that stamp; None unless `gap` (after the stamp `gap[0]`) gives `gap[1]` pictures."""
    after, due = gap
    try:
        for picture in pictures:
            if picture.pts is None or picture.is_corrupt:
                return None
            due -= picture.pts > after
            if picture.pts >= stamp:
                return picture if picture.pts == stamp and (due == 0 or stamp < after) else None
    except av.error.InvalidDataError:
        pass
    return None


def rgb(picture: Any) -> Frame:
    """Stored pixels (H, W, 3), before rotation and pixel aspect are applied."""
    return np.asarray(picture.to_ndarray(format="rgb24"), dtype=np.uint8)
