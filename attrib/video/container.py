"""Claims of a container about its video: when it ends, and how many frames it promises that the file no longer has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MATROSKA, _MOV, _AVI = "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi"
_FROM_ZERO = (_MATROSKA, "flv", "live_flv")  # formats whose duration counts from 0 s, wherever the first frame lies
_SEGMENT, _HEADER = b"\x18\x53\x80\x67", b"\x1a\x45\xdf\xa3"
_BOXES = (b"mdat", b"moof", b"moov", b"ftyp", b"styp", b"sidx", b"free", b"skip", b"mfra", b"uuid", b"emsg")
_STEADY = 24  # fewest frames by which a rate counts as constant
_CUT = 0.5  # other formats count as cut short if their packets end broken, this many seconds before the declared end


@dataclass(frozen=True)
class Shortage:
    """Evidence that a file was cut short: number of frames that it promised, or else where it should end, if known."""

    frames: int | None = None
    end: float | None = None

    def message(self, present: int, reached: float) -> str:
        """Describe what is missing beside the `present` frames that reach until `reached` seconds."""
        if self.frames is not None:
            return f"{self.frames} frames expected, {present} can be read"
        if self.end is not None:
            return f"it ends at {reached:.1f} s of {self.end:.1f} s, {present} frames can be read"
        return f"its last part is missing, {present} frames can be read"


def declared_end(file: Any, stream: Any, reached: float) -> float:
    """Declared end of the stream in seconds; 0 if it is not declared. `reached`: end of its last packet."""
    start, whole = (file.start_time or 0) / av.time_base, (file.duration or 0) / av.time_base
    if file.format.name in _FROM_ZERO:
        length = _tag(stream) or whole
        return length if length > reached - _CUT or not start else start + length
    if stream.duration is None or not whole:
        return 0.0
    length = float(stream.duration * stream.time_base)
    if file.format.name == _MOV and length > reached - 1e-3:  # fragments count from 0 s
        return length
    return min(float((stream.start_time or 0) * stream.time_base) + length, start + whole)


def declared_length(file: Any, stream: Any) -> float | None:
    """Declared seconds from the first to the last picture, from the header alone; None if they are not declared."""
    whole, start = (file.duration or 0) / av.time_base, (file.start_time or 0) / av.time_base
    if file.format.name in _FROM_ZERO:
        whole = _tag(stream) or whole
        return whole - start if whole > start > 0 else whole or None
    return whole or None


def declared_frames(stream: Any) -> set[int]:
    """Number of frames by the header, and by the index if that differs: without empty or hidden ones."""
    return {stream.frames, len(stream.index_entries)} - {0} if stream.frames else set()


def has_own_end(file: Any, stream: Any) -> bool:
    """Return whether the end of the video can be told without the packets of the other streams."""
    return file.format.name in (_MOV, _AVI) or _tag(stream) > 0


def _tag(stream: Any) -> float:
    """Matroska's DURATION tag in seconds; 0 without a valid one."""
    found = re.fullmatch(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d*)?)", stream.metadata.get("DURATION", ""), re.ASCII)
    hours, minutes, seconds = map(float, found.groups()) if found else (0.0, 0.0, 0.0)
    return hours * 3600 + minutes * 60 + seconds


def shortage(path: Path, opened: tuple[Any, Any], present: int, reached: float, broken: bool) -> Shortage | None:
    """Return what a file that was cut short lacks; None for a whole file, however few frames it holds.

    A pause, a late start or a variable rate leave fewer frames than duration x rate, so only the container's own
    structure tells: an element, box or chunk that goes on beyond the end of the file. `opened`: container and stream,
    with all packets read. `reached`: end of the last packet in seconds.
    """
    file, stream = opened
    name, size = file.format.name, path.stat().st_size
    if name == _MOV:
        return _of_mov(path, opened, present, reached)
    if name == _AVI:
        empty = max(round(reached * float(stream.average_rate or 0)) - present, 0)
        lacks = _runs_over(_riff(path, size), size) and stream.frames - empty > present
        return Shortage(stream.frames - empty) if lacks else None
    cut = _runs_over(_segment(path), size) if name == _MATROSKA else broken
    end = declared_end(file, stream, reached)
    if not cut or end - reached < (_step(stream) if name == _MATROSKA else _CUT):
        return None
    return _by_rate(file, stream, present, (reached, end))


def _step(stream: Any) -> float:
    """Seconds by which a file may end early for rounding alone."""
    return 1.5 / float(stream.average_rate or 25)


def _by_rate(file: Any, stream: Any, present: int, span: tuple[float, float]) -> Shortage:
    """Return the promised frames if those that are present have a constant rate, else the promised end."""
    start, rate = (file.start_time or 0) / av.time_base, float(stream.average_rate or 0)
    reached, end = span
    steady = present >= _STEADY and abs((reached - start) * rate - present) <= max(2, 0.02 * present)
    return Shortage(frames=max(stream.frames, round((end - start) * rate))) if steady else Shortage(end=end)


def _of_mov(path: Path, opened: tuple[Any, Any], present: int, reached: float) -> Shortage | None:
    file, stream = opened
    size = path.stat().st_size
    boxes = list(_boxes(path, size))
    if not _runs_over(iter(boxes), size):
        return None
    if any(kind == b"moof" for kind, _, _ in boxes):  # fragments: the index ends where the file does
        end = declared_end(file, stream, reached)
        return _by_rate(file, stream, present, (reached, end)) if end - reached > _step(stream) else Shortage()
    entries = [entry for entry in stream.index_entries if not entry.is_discard]
    return Shortage(len(entries)) if any(entry.pos + entry.size > size for entry in entries) else None


def _runs_over(parts: Iterator[tuple[bytes, int, int]], size: int) -> bool:
    return any(end > size for _, _, end in parts)


def _boxes(path: Path, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and declared end of each top-level box of an ISO file; stop at what is no box."""
    start = 0
    with path.open("rb") as raw:
        while start + 8 <= size:
            raw.seek(start)
            head = raw.read(16)
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            length = int.from_bytes(head[8:], "big") if length == 1 else length or size - start
            if kind not in _BOXES or length < 8:
                return
            yield kind, start, start + length
            start += length


def _riff(path: Path, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the top-level chunks of an AVI file; a size of 0 or of all ones was never filled in."""
    start = 0
    with path.open("rb") as raw:
        while start + 12 <= size:
            raw.seek(start)
            head = raw.read(8)
            length = int.from_bytes(head[4:], "little")
            if head[:4] != b"RIFF" or not 0 < length < 2**32 - 16:
                return
            yield head[:4], start, start + 8 + length
            start += 8 + length + length % 2


def _segment(path: Path) -> Iterator[tuple[bytes, int, int]]:
    """Yield the segment of a Matroska file, unless its size was left open as that of a live recording."""
    start = 0
    with path.open("rb") as raw:
        for _ in range(8):  # header, perhaps padding, then the segment
            raw.seek(start)
            head = raw.read(12)
            wide = 4 if head[:4] in (_HEADER, _SEGMENT) else 1
            width = 9 - head[wide].bit_length() if len(head) == 12 and head[wide] else 0
            if not width:
                return
            length = int.from_bytes(head[wide : wide + width], "big") & ((1 << 7 * width) - 1)
            if head[:4] == _SEGMENT:
                if length < (1 << 7 * width) - 1:
                    yield _SEGMENT, start, start + wide + width + length
                return
            start += wide + width + length
