"""Counting of a file's readable frames by decoding all of it: their times, and what is damaged or changes its size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from attrib.errors import VideoError
from attrib.video import decode, display
from attrib.video.container import Shortage
from attrib.video.display import Display
from attrib.video.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Counted:
    """Readable frames of a file; see `Source` for the fields."""

    times: NDArray[np.float64]
    end: float
    stamps: NDArray[np.int64] | None
    damaged: bool
    exact: bool
    warnings: tuple[str, ...]


@dataclass
class _Pass:
    """Outcome of one pass: stamps of the intact pictures, their places among all, and what is wrong with others."""

    stamps: list[int | None] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    events: int = 0  # intact and damaged pictures
    early: int = 0  # damaged ones before the first intact one
    fields: bool = False  # some pictures are interlaced, and may have come in two packets
    resized: tuple[int, tuple[int, int]] | None = None  # index and size of the first picture of another size

    def lost(self, packets: Scan) -> int:
        """Return how many pictures are missing, beside those that no decoder could read."""
        damaged = self.events - len(self.stamps) - min(self.early, packets.leading)
        if packets.due is None or (self.fields and not damaged):
            return damaged
        return len(packets.due.difference(self.stamps))


def damage(path: Path, what: str) -> str:
    """Return the warning about a file that lacks frames."""
    return f"{path}: the file is cut short or damaged: {what}"


def counted(path: Path, shape: Display, packets: Scan) -> Counted:
    """Decode a whole file. Raises VideoError if not one frame can be decoded."""
    found = _decode(path, shape)
    if found.lost(packets):
        found = _decode(path, shape, careful=True)
    if not found.stamps:
        raise VideoError(f"{path}: not one frame can be decoded")
    times, end, trusted = _times(packets, found)
    lost = found.lost(packets)
    warnings = [*_missing(path, packets.shortage, (len(times), lost), end)]
    if not trusted:
        rate = f"{packets.rate:g} per second"
        warnings.append(f"{path}: the file has no usable times; frames are assumed at its nominal {rate}")
    if found.resized:
        index, size = found.resized
        warnings.append(display.resizing(path, shape, size, float(times[index] - min(packets.origin, times[0]))))
    whole = packets.stamped and trusted and not (lost or packets.broken or packets.shortage)
    stamps = np.array(found.stamps, np.int64) if whole and None not in found.stamps else None
    exact = stamps is not None and not found.resized and found.stamps == packets.stamps and packets.closed
    exact = exact and (len(packets.keys) < 2 or decode.seeks_exactly(path, packets.keys[1]))
    return Counted(times, end, stamps, lost > 0, exact, tuple(warnings))


def _decode(path: Path, shape: Display, *, careful: bool = False) -> _Pass:
    found = _Pass()
    for picture in decode.decoded(path, careful=careful):
        found.events += 1
        if picture is None:
            found.early += not found.stamps
            continue
        if found.resized is None and (picture.width, picture.height) != (shape.width, shape.height):
            found.resized = len(found.stamps), (picture.width, picture.height)
        found.fields = found.fields or picture.interlaced_frame
        found.places.append(found.events - 1)
        found.stamps.append(picture.pts)
    return found


def _missing(path: Path, shortage: Shortage | None, counts: tuple[int, int], end: float) -> Sequence[str]:
    """Return the warning about missing frames, if some are. `counts`: readable and undecodable frames."""
    present, lost = counts
    promised = shortage.frames or 0 if shortage else 0
    if lost and (shortage is None or promised):
        return (damage(path, f"{max(present + lost, promised)} frames expected, {present} can be read"),)
    if shortage is None or 0 < promised <= present:
        return ()
    return (damage(path, shortage.message(present, end)),)


def _times(packets: Scan, found: _Pass) -> tuple[NDArray[np.float64], float, bool]:
    """Times of the frames in seconds, the end of the last one, and whether the file has them at all."""
    stamps, slots = found.stamps, packets.slots
    first, trusted = 0.0, True
    if packets.stamped and _increase(stamps):
        times = np.array(stamps, np.float64) * packets.base
    elif len(slots) == found.events and _increase(slots):  # AVI: one slot for each picture
        first = float(slots[0] or 0) * packets.base
        times = np.array([slots[place] for place in found.places], np.float64) * packets.base - first
    else:
        times, trusted = np.arange(len(stamps), dtype=np.float64) / packets.rate, False
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1 / packets.rate
    end = float(times[-1]) + step
    if packets.shortage or not trusted:
        return times, end, trusted
    return times, max(packets.end - first, end if not packets.stamped else float(times[-1]) + 1e-3), trusted


def _increase(stamps: Sequence[int | None]) -> bool:
    return None not in stamps and bool((np.diff(np.array(stamps, float)) > 0).all())
