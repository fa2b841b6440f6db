"""What a video file holds: its readable frames, their times and how they are to be shown; and their pixels.

Times come from the packets' own presentation stamps, never from an average rate. Files whose packets cannot be trusted
(cut short, damaged, without stamps) are decoded once from end to end, keeping no picture, to learn the truth.
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

_TS_DISCONT = 0x200  # ffmpeg's flag of formats (MPEG-TS, MPEG-PS) whose clock does not start at 0
_CUT = 0.5  # seconds that every stream must end before the declared duration for the file to count as cut short


@dataclass(frozen=True)
class Layout:
    """How a stored picture (width, height) is shown: pixel aspect first, then the display matrix (a, b, c, d)."""

    width: int
    height: int
    aspect: float = 1.0
    matrix: tuple[int, int, int, int] = (1, 0, 0, 1)

    def show(self, picture: Frame) -> Frame:
        """The picture with square pixels, upright. Pixels are only ever made larger, so that no detail is lost."""
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
    """A video's readable frames: times float64 (n,) in seconds, the end of the last one, and how to find them.

    `stamps` int64 (n,) are the decoder's own; None where only the order counts. `exact` says that a decoder that seeks
    to the key frame before a frame will find it: only then is decord used, which otherwise gives wrong frames silently.
    """

    path: Path
    layout: Layout
    times: NDArray[np.float64]
    end: float
    stamps: NDArray[np.int64] | None = None
    keys: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    exact: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame as shown."""
        shape = self.layout.show(np.zeros((self.layout.height, self.layout.width, 3), np.uint8)).shape
        return shape[0], shape[1]

    def pictures(self, indices: Sequence[int]) -> list[Frame]:
        """The frames at increasing `indices`. Raises MissingFrame where the packets promised too much."""
        found: list[Frame] = []
        if self.stamps is None:
            found = list(decode.by_order(self.path, indices))
        else:
            if self.exact and self.layout.matrix == (1, 0, 0, 1):  # decord turns pictures by itself
                found = decode.by_decord(self.path, self.times, (self.layout.height, self.layout.width), indices)
            found = found or list(decode.by_stamp(self.path, self.stamps[list(indices)], self.keys))
        if len(found) != len(indices):
            raise decode.MissingFrame
        return [self.layout.show(picture) for picture in found]

    def play(self) -> Iterator[Frame]:
        """All len(times) frames in order, one at a time; one that cannot be decoded repeats the one before."""
        place, picture = 0, None
        for stamp, shown in decode.decoded(self.path):
            at = place if self.stamps is None or stamp is None else int(np.searchsorted(self.stamps, stamp))
            if at >= len(self.times) or (self.stamps is not None and self.stamps[at] != stamp):
                continue
            picture = self.layout.show(decode.rgb(shown))
            yield from [picture] * (at + 1 - place)
            place = max(place, at + 1)
        if picture is not None:
            yield from [picture] * (len(self.times) - place)


@dataclass(frozen=True)
class _Scan:
    """What the packets say. Times are in units of the stream's time base."""

    stamps: list[int]
    slots: list[int | None]  # decoding times
    keys: list[int]
    closed: bool  # no picture is shown before the key frame that it follows in the file
    stamped: bool
    broken: bool
    last: float  # seconds: end of the picture shown last
    expected: int | None  # frames that the file declares, where fewer were found


def open_source(path: Path, *, count: bool = False) -> Source:
    """Find a video's frames from its packets, or by decoding them all where those cannot be trusted or if asked to.

    Raises VideoError, in one line, for whatever is not a video with at least one readable frame.
    """
    layout = _layout(path)
    with decode.opened(path) as (file, stream):
        scan = _scan(file, stream)
        origin = file.start_time / av.time_base if file.start_time and file.format.flags & _TS_DISCONT else 0.0
        declared = _declared_end(file, stream)
        base, rate = float(stream.time_base), float(stream.guessed_rate or stream.average_rate or 25)
    if count or scan.broken or scan.expected or not scan.stamped:
        times, last, warnings = _count(path, scan, base, rate)
        source = Source(path, layout, times, last, warnings=warnings)
    else:
        stamps = np.array(scan.stamps, np.int64)
        keys, end = np.array(scan.keys, np.int64), max(scan.last, declared)
        source = Source(path, layout, stamps.astype(np.float64) * base, end, stamps, keys)
        source = replace(source, exact=scan.closed and (len(scan.keys) < 2 or decode.lands(path, scan.keys[1])))
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
    """When the picture shown last ends: by its own duration, else by the median step."""
    stamps = sorted(row[0] for row in rows)
    duration = max(rows, key=lambda row: row[0])[2] or (float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0)
    return float((stamps[-1] + duration) * base if duration else stamps[-1] * base + 1.0)


def _expected(file: Any, stream: Any, found: int, reached: float) -> int | None:
    """How many frames a file that was cut short declares; None for a whole one."""
    if stream.frames > found:
        return int(stream.frames)
    total = (file.duration or 0) / av.time_base
    if stream.frames or not stream.average_rate or (file.start_time or 0) / av.time_base + total - reached < _CUT:
        return None
    told = re.fullmatch(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d*)?)", stream.metadata.get("DURATION", ""), re.ASCII)
    hours, minutes, seconds = map(float, told.groups()) if told else (0, 0, total)
    count = round((hours * 3600 + minutes * 60 + seconds) * float(stream.average_rate))
    return count if count > found else None


def _declared_end(file: Any, stream: Any) -> float:
    """When the stream ends by its own account, at most when the file does; 0 where it does not say."""
    if stream.duration is None or file.duration is None:
        return 0.0
    whole = ((file.start_time or 0) + file.duration) / av.time_base
    return min(float(((stream.start_time or 0) + stream.duration) * stream.time_base), float(whole))


def _layout(path: Path) -> Layout:
    """From the first picture that can be decoded."""
    for _, picture in decode.decoded(path):
        with decode.opened(path) as (_, stream):
            aspect = float(stream.sample_aspect_ratio or 1)
        side = picture.side_data.get("DISPLAYMATRIX")
        corner = np.frombuffer(bytes(side), np.int32)[[0, 1, 3, 4]] if side else np.array([1, 0, 0, 1])
        a, b, c, d = (int(value) for value in np.rint(corner / max(np.abs(corner).max(), 1)))
        return Layout(picture.width, picture.height, aspect if 0.1 <= aspect <= 10 else 1.0, (a, b, c, d))
    raise VideoError(f"{path}: not one frame can be decoded")


def _count(path: Path, scan: _Scan, base: float, rate: float) -> tuple[NDArray[np.float64], float, tuple[str, ...]]:
    """Times of the frames that really can be decoded, the end of the last one, and what the user should know."""
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
        warnings.append(f"{path}: the file holds no usable times; frames are placed at its nominal {rate:g} per second")
    if len(times) > 1:
        step = float(np.median(np.diff(times)))
    return times, float(times[-1]) + step, tuple(warnings)
