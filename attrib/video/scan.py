"""Reading of a video's packets without decoding them: time stamps, key frames, and what was cut off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import numpy as np

from attrib.video import container, decode
from attrib.video.container import Shortage

if TYPE_CHECKING:
    from pathlib import Path

_TS_DISCONT = 0x200  # ffmpeg's flag for formats (MPEG-TS, MPEG-PS) whose clock does not start at 0
_ONE_FOR_ONE = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "libvpx", "libvpx-vp9")  # a packet gives a picture


class _Row(NamedTuple):
    stamp: int | None
    slot: int | None  # decoding time
    duration: int
    key: bool
    shown: bool  # not hidden by an edit list, nor a picture that only others refer to


@dataclass(frozen=True)
class Scan:
    """Information from the packets of a file. Times are in units of `base` seconds unless a name says otherwise."""

    stamps: list[int]
    slots: list[int | None]  # decoding times
    keys: list[int]
    due: frozenset[int] | None  # stamps that must come out of the decoder; None if that cannot be told from packets
    leading: int  # packets before the first key frame, which no decoder can read
    closed: bool  # no picture is displayed before the key frame that precedes it in the file
    stamped: bool
    broken: bool
    last: float  # seconds: end of the last picture in display order
    declared: float  # seconds: end of the video by the file's header; 0 if unknown
    origin: float  # seconds on the file's clock that count as 0
    base: float
    rate: float  # nominal pictures per second
    shortage: Shortage | None  # what a file that was cut short lacks

    @property
    def end(self) -> float:
        """Seconds at which the last picture ends: as the file says, unless it was cut short."""
        return self.last if self.shortage else max(self.last, self.declared)


def scan(path: Path) -> Scan:
    """Read all packets of the video stream. Raises VideoError for a file that is no video."""
    with decode.opened(path) as (file, stream):
        packets, reached, broken = _rows(file, stream)
        rows = [row for row in packets if row.shown]
        stamps = [row.stamp for row in rows if row.stamp is not None]
        stamped = len(set(stamps)) == len(rows) > 0 and file.format.name != "avi"  # AVI has no presentation times
        first_key = 0 if _begins_with_key(stream, packets) else [row.key for row in packets].index(True)
        sure = stamped and stream.codec_context.name in _ONE_FOR_ONE
        return Scan(
            sorted(stamps),
            [row.slot for row in rows],
            sorted(row.stamp for row in packets if row.key and row.stamp is not None),
            _due(packets[first_key:]) if sure else None,
            sum(row.shown for row in packets[:first_key]),
            stamped and _closed(packets),
            stamped,
            broken,
            _last_end(rows, float(stream.time_base)) if stamped else 0.0,
            container.declared_end(file, stream, reached),
            file.start_time / av.time_base if file.start_time and file.format.flags & _TS_DISCONT else 0.0,
            float(stream.time_base),
            float(stream.guessed_rate or stream.average_rate or 25),
            container.shortage(path, (file, stream), len(rows), reached, broken),
        )


def _rows(file: Any, stream: Any) -> tuple[list[_Row], float, bool]:
    """Rows of the video's packets, the end of the last packet of all in seconds, and whether some are broken."""
    rows: list[_Row] = []
    broken, reached, unseen = False, 0.0, stream.codec_context.name in ("vp8", "libvpx")
    if container.has_own_end(file, stream):
        decode.only(file, stream)
    try:
        for packet in file.demux():
            if not packet.size:
                continue
            start = packet.pts if packet.pts is not None else packet.dts or 0
            reached = max(reached, float((start + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index == stream.index:
                broken = broken or packet.is_corrupt
                shown = not packet.is_discard and not (unseen and not memoryview(packet)[0] & 16)
                rows.append(_Row(packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe, shown))
    except av.error.FFmpegError:
        broken = True
    return rows, reached, broken


def _begins_with_key(stream: Any, packets: list[_Row]) -> bool:
    """Return whether the first packet is, or by the container's index was, a key frame; or none is."""
    if not any(row.key for row in packets) or packets[0].key:
        return True
    index, begin = stream.index_entries, packets[0].slot if packets[0].stamp is None else packets[0].stamp
    return len(index) > 0 and index[0].is_keyframe and index[0].timestamp <= (begin or 0)


def _due(rows: list[_Row]) -> frozenset[int]:
    """Stamps from the first key frame's on; pictures before it would need frames that the file does not have."""
    first = rows[0].stamp or 0
    return frozenset(row.stamp for row in rows if row.shown and row.stamp is not None and row.stamp >= first)


def _closed(rows: list[_Row]) -> bool:
    key = None
    for row in rows:
        key = row.stamp if row.key else key
        if key is None or row.stamp is None or row.stamp < key:
            return False
    return True


def _last_end(rows: list[_Row], base: float) -> float:
    """End of the last displayed picture in seconds: by its own duration, else by the median step."""
    stamps = sorted(row.stamp or 0 for row in rows)
    own = max(rows, key=lambda row: row.stamp or 0).duration
    duration = own or (float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0)
    return float((stamps[-1] + duration) * base if duration else stamps[-1] * base + 1.0)
