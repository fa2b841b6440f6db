"""Readable frames of a video file: their times, their display geometry and their pixels.

Times are the packets' own presentation stamps, never computed from an average rate. Files whose packets are unreliable
(truncated, damaged, without stamps) are decoded once from end to end, without storing pictures, to find their frames.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from attrib.errors import VideoError
from attrib.video import decode
from attrib.video.decode import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_TS_DISCONT = 0x200  # ffmpeg's flag for formats (MPEG-TS, MPEG-PS) whose clock does not start at 0
_CUT = 0.5  # a file counts as truncated if every stream ends this many seconds before the declared duration


@dataclass(frozen=True)
class Display:
    """Display geometry of a stored picture (width, height): pixel aspect, then the display matrix (a, b, c, d)."""

    width: int
    height: int
    aspect: float = 1.0
    matrix: tuple[int, int, int, int] = (1, 0, 0, 1)

    def show(self, picture: Frame) -> Frame:
        """Return the picture upright and with square pixels. Sides are only enlarged, so that no detail is lost."""
        width = round(self.width * max(self.aspect, 1.0))
        height = round(self.height * max(1 / self.aspect, 1.0))
        if picture.shape[:2] != (height, width):
            picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        a, b, c, d = self.matrix
        if abs(a) < abs(b):  # a quarter turn: x' = c y, y' = b x
            picture, a, d = picture.transpose(1, 0, 2), c, b
        return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


@dataclass(frozen=True, eq=False)
class Source:
    """Readable frames of a video: their times float64 (n,) in seconds, the end of the last one, and their stamps.

    `stamps` int64 (n,) are the decoder's time stamps; None if frames are identified by their order alone. `exact` means
    that seeking to the key frame before a frame finds it. Only then is decord used, since it would otherwise return
    wrong frames silently.
    """

    path: Path
    display: Display
    times: NDArray[np.float64]
    end: float
    stamps: NDArray[np.int64] | None = None
    keys: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    exact: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a displayed frame."""
        shape = self.display.show(np.zeros((self.display.height, self.display.width, 3), np.uint8)).shape
        return shape[0], shape[1]

    def pictures(self, indices: Sequence[int]) -> list[Frame]:
        """Read the frames at increasing `indices`. Raises MissingFrame if the packets announced too many frames."""
        pictures: list[Frame] = []
        if self.stamps is None:
            pictures = list(decode.by_order(self.path, indices))
        else:
            if self.exact and self.display.matrix == (1, 0, 0, 1):  # decord rotates pictures itself
                size = (self.display.height, self.display.width)
                pictures = decode.by_decord(self.path, self.times, size, indices)
            pictures = pictures or list(decode.by_stamp(self.path, self.stamps[list(indices)], self.keys))
        if len(pictures) != len(indices):
            raise decode.MissingFrame
        return [self.display.show(picture) for picture in pictures]

    def play(self) -> Iterator[Frame]:
        """Yield all len(times) frames in order; repeat the previous frame where one cannot be decoded."""
        count, picture = 0, None
        for stamp, stored in decode.decoded(self.path):
            index = count if self.stamps is None or stamp is None else int(np.searchsorted(self.stamps, stamp))
            if index >= len(self.times) or (self.stamps is not None and self.stamps[index] != stamp):
                continue
            picture = self.display.show(decode.rgb(stored))
            yield from [picture] * (index + 1 - count)
            count = max(count, index + 1)
        if picture is not None:
            yield from [picture] * (len(self.times) - count)


@dataclass(frozen=True)
class _Scan:
    """Information from the packets of a file. Times are in units of the stream's time base."""

    stamps: list[int]
    slots: list[int | None]  # decoding times
    keys: list[int]
    closed: bool  # no picture is displayed before the key frame that precedes it in the file
    stamped: bool
    broken: bool
    last: float  # seconds: end of the last picture in display order
    expected: int | None  # number of frames that the file declares, if it has fewer


def open_source(path: Path, *, count: bool = False) -> Source:
    """Find a video's frames from its packets, or by decoding all of them if the packets are unreliable or with `count`.

    Raises VideoError, in one line, unless the file is a video with at least one readable frame.
    """
    display = _display(path)
    with decode.opened(path) as (file, stream):
        scan = _scan(file, stream)
        origin = file.start_time / av.time_base if file.start_time and file.format.flags & _TS_DISCONT else 0.0
        declared = _declared_end(file, stream)
        base, rate = float(stream.time_base), float(stream.guessed_rate or stream.average_rate or 25)
    if count or scan.broken or scan.expected or not scan.stamped:
        times, last, warnings = _count(path, scan, base, rate)
        source = Source(path, display, times, last, warnings=warnings)
    else:
        stamps = np.array(scan.stamps, np.int64)
        keys, end = np.array(scan.keys, np.int64), max(scan.last, declared)
        source = Source(path, display, stamps.astype(np.float64) * base, end, stamps, keys)
        exact = scan.closed and (len(scan.keys) < 2 or decode.seeks_exactly(path, scan.keys[1]))
        source = replace(source, exact=exact)
    origin = min(origin, float(source.times[0])) if origin or source.times[0] < 0 else 0.0
    return replace(source, times=source.times - origin, end=source.end - origin)


def _scan(file: Any, stream: Any) -> _Scan:
    rows: list[tuple[int | None, int | None, int, bool]] = []
    broken, hidden, reached = False, 0, 0.0
    try:
        for packet in file.demux():
            if not packet.size:
                continue
            start = packet.pts if packet.pts is not None else packet.dts or 0
            reached = max(reached, float((start + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index == stream.index:
                broken, hidden = broken or packet.is_corrupt, hidden + packet.is_discard
                if not packet.is_discard:
                    rows.append((packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe))
    except av.error.FFmpegError:
        broken = True
    stamps = [row[0] for row in rows if row[0] is not None]
    stamped = len(set(stamps)) == len(rows) > 0 and file.format.name != "avi"  # AVI has no presentation times at all
    return _Scan(
        sorted(stamps),
        [row[1] for row in rows],
        sorted(row[0] for row in rows if row[3] and row[0] is not None),
        stamped and _closed(rows),
        stamped,
        broken,
        _last_end(rows, float(stream.time_base)) if stamped else 0.0,
        _expected(file, stream, len(rows) + hidden, reached),
    )


def _closed(rows: list[Any]) -> bool:
    key = None
    for stamp, _, _, is_key in rows:
        key = stamp if is_key else key
        if key is None or stamp < key:
            return False
    return True


def _last_end(rows: list[Any], base: float) -> float:
    """End of the last displayed picture in seconds: by its own duration, else by the median step."""
    stamps = sorted(row[0] for row in rows)
    duration = max(rows, key=lambda row: row[0])[2] or (float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0)
    return float((stamps[-1] + duration) * base if duration else stamps[-1] * base + 1.0)


def _expected(file: Any, stream: Any, present: int, reached: float) -> int | None:
    """Number of frames that a truncated file declares; None for a complete file."""
    if stream.frames > present:
        return int(stream.frames)
    total = (file.duration or 0) / av.time_base
    if stream.frames or not stream.average_rate or (file.start_time or 0) / av.time_base + total - reached < _CUT:
        return None
    duration = re.fullmatch(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d*)?)", stream.metadata.get("DURATION", ""), re.ASCII)
    hours, minutes, seconds = map(float, duration.groups()) if duration else (0, 0, total)
    count = round((hours * 3600 + minutes * 60 + seconds) * float(stream.average_rate))
    return count if count > present else None


def _declared_end(file: Any, stream: Any) -> float:
    """Declared end of the stream in seconds, at most the end of the file; 0 if it is not declared."""
    if stream.duration is None or file.duration is None:
        return 0.0
    whole = ((file.start_time or 0) + file.duration) / av.time_base
    return min(float(((stream.start_time or 0) + stream.duration) * stream.time_base), float(whole))


def _display(path: Path) -> Display:
    """Display geometry of the first picture that can be decoded."""
    for _, picture in decode.decoded(path):
        with decode.opened(path) as (_, stream):
            aspect = float(stream.sample_aspect_ratio or 1)
        side = picture.side_data.get("DISPLAYMATRIX")
        corner = np.frombuffer(bytes(side), np.int32)[[0, 1, 3, 4]] if side else np.array([1, 0, 0, 1])
        a, b, c, d = (int(value) for value in np.rint(corner / max(np.abs(corner).max(), 1)))
        return Display(picture.width, picture.height, aspect if 0.1 <= aspect <= 10 else 1.0, (a, b, c, d))
    raise VideoError(f"{path}: not one frame can be decoded")


def _count(path: Path, scan: _Scan, base: float, rate: float) -> tuple[NDArray[np.float64], float, tuple[str, ...]]:
    """Times of the frames that can be decoded, the end of the last one, and warnings for the user."""
    stamps = [stamp for stamp, _ in decode.decoded(path)]
    if not stamps:
        raise VideoError(f"{path}: not one frame can be decoded")
    warnings: list[str] = []
    if scan.expected and scan.expected > len(stamps):
        warnings.append(
            f"{path}: the file is cut short or damaged: {scan.expected} frames expected, {len(stamps)} can be read"
        )
    step = 1 / rate
    if scan.stamped and None not in stamps and (np.diff(np.array(stamps, float)) > 0).all():
        times = np.array(stamps, np.float64) * base
    elif len(scan.slots) == len(stamps) and None not in scan.slots and (np.diff(np.array(scan.slots, float)) > 0).all():
        times = (np.array(scan.slots, np.float64) - float(scan.slots[0] or 0)) * base  # AVI: one slot for each picture
    else:
        times = np.arange(len(stamps), dtype=np.float64) * step
        warnings.append(f"{path}: the file has no usable times; frames are assumed at its nominal {rate:g} per second")
    if len(times) > 1:
        step = float(np.median(np.diff(times)))
    return times, float(times[-1]) + step, tuple(warnings)
