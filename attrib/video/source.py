"""Readable frames of a video file: their times, their display geometry and their pixels.

Times are the packets' own presentation stamps, never computed from an average rate. A file of up to `CHECKED` pixels is
decoded once from end to end, without storing pictures, so that damage inside is found and told; so are files whose
packets are unreliable (cut short, without stamps). Longer files are checked where they are read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attrib.errors import VideoError
from attrib.video import decode, display, images
from attrib.video.counting import counted, damage
from attrib.video.decode import Frame
from attrib.video.display import Display
from attrib.video.scan import scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CHECKED = 2e9  # most pixels of a file that is decoded to find damage: seconds of work, 26,000 frames of 320 x 240
REMEMBERED = 32  # files whose frames are known for the rest of the process
_known: dict[tuple[object, ...], Source] = {}


@dataclass(frozen=True, eq=False)
class Source:
    """Readable frames of a video: their times float64 (n,) in seconds, the end of the last one, and their stamps.

    `stamps` int64 (n,) are the decoder's time stamps; None if frames are identified by their order alone. `counted`:
    all frames were decoded once. `exact` means that, moreover, all have one size and seeking to the key frame before a
    frame finds it. Only then is decord used, since it would otherwise return wrong frames silently.
    """

    path: Path
    display: Display
    times: NDArray[np.float64]
    end: float
    stamps: NDArray[np.int64] | None = None
    keys: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    counted: bool = False
    damaged: bool = False
    exact: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a displayed frame."""
        shape = self.display.show(np.zeros((self.display.height, self.display.width, 3), np.uint8)).shape
        return shape[0], shape[1]

    def stored(self, indices: Sequence[int]) -> list[Frame]:
        """Read the stored pictures at increasing `indices`. Raises MissingFrame if one cannot be decoded after all."""
        found = self._by_seeking(indices)
        if any(picture is None for picture in found) and self.counted:  # as with periodic intra refresh
            found = [*decode.by_order(self.path, indices, careful=self.damaged)]
        pictures = [picture for picture in found if picture is not None]
        if len(pictures) != len(indices):
            raise decode.MissingFrame
        return pictures

    def _by_seeking(self, indices: Sequence[int]) -> list[Frame | None]:
        if self.stamps is None:
            return [None]
        if self.exact and self.display.matrix == (1, 0, 0, 1):  # decord rotates pictures itself
            pictures = decode.by_decord(self.path, self.times, (self.display.height, self.display.width), indices)
            if pictures:
                return [*pictures]
        return [*decode.by_stamp(self.path, self.stamps, self.stamps[list(indices)], self.keys)]

    def pictures(self, indices: Sequence[int]) -> list[Frame]:
        """Read the displayed frames at increasing `indices`. Raises MissingFrame as `stored` does."""
        return [self.display.show(picture) for picture in self.stored(indices)]

    def play(self, indices: Sequence[int] | None = None) -> Iterator[Frame]:
        """Yield the frames at increasing `indices` (default: all) in one pass over the file, and convert only these.

        The frame before stands in for one that cannot be decoded.
        """
        wanted = range(len(self.times)) if indices is None else indices
        last, frame = None, np.empty(0, np.uint8)
        for stored in _held(self._numbered(), iter(wanted)):
            if stored is not last:
                last, frame = stored, self.display.show(decode.rgb(stored))
            yield frame

    def browse(self, indices: Sequence[int]) -> Iterator[Frame | None]:
        """Yield the frames at increasing `indices`, each found by seeking: cheap if they are few, or key frames.

        None stands for one that cannot be decoded.
        """
        if self.stamps is None:
            yield from self.play(indices)
            return
        for stored in decode.by_stamp(self.path, self.stamps, self.stamps[list(indices)], self.keys):
            yield None if stored is None else self.display.show(stored)

    def key_frames(self) -> NDArray[np.intp]:
        """Indices of the frames that can be decoded without others; all if every frame is decoded in turn anyway."""
        if self.stamps is None:
            return np.arange(len(self.times))
        return np.flatnonzero(np.isin(self.stamps, self.keys))

    def _numbered(self) -> Iterator[tuple[int, Any]]:
        """Yield the pictures with their indices."""
        intact = (picture for picture in decode.decoded(self.path, careful=self.damaged) if picture is not None)
        for count, picture in enumerate(intact):
            if self.stamps is None or picture.pts is None:
                index = count
            else:
                index = int(np.searchsorted(self.stamps, picture.pts))
                if index < len(self.stamps) and self.stamps[index] != picture.pts:
                    continue
            if index < len(self.times):
                yield index, picture


def _held(numbered: Iterator[tuple[int, Any]], wanted: Iterator[int]) -> Iterator[Any]:
    """Yield for each wanted index the picture with that index, or else the last one before it."""
    due, previous = next(wanted, None), None
    for index, picture in numbered:
        while due is not None and due < index:
            yield picture if previous is None else previous
            due = next(wanted, None)
        if due == index:
            yield picture
            due = next(wanted, None)
        if due is None:
            return
        previous = picture
    while due is not None and previous is not None:
        yield previous
        due = next(wanted, None)


def open_source(path: Path, *, count: bool = False) -> Source:
    """Find a video's frames from its packets; decode all to check them if the file is not long, or with `count`.

    The answer is remembered while the file stays the same. Raises VideoError, in one line, unless the file is a video
    with at least one readable frame.
    """
    key = _identity(path)
    known = _known.get(key)
    if known is None or (count and not known.counted):
        known = _of_images(path) if images.is_image(path) else _of_packets(path, count)
        while len(_known) >= REMEMBERED:
            _known.pop(next(iter(_known)), None)
        _known[key] = known
    return known


def _identity(path: Path) -> tuple[object, ...]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return (path,)
    return path, path.absolute(), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _of_packets(path: Path, count: bool) -> Source:
    shape, packets = display.of_first_picture(path), scan(path)
    large = len(packets.slots) * shape.width * shape.height > CHECKED
    if large and not (count or packets.broken or packets.shortage) and packets.stamped:
        stamps = np.array(packets.stamps, np.int64)
        times = stamps.astype(np.float64) * packets.base
        source = Source(path, shape, times, packets.end, stamps, np.array(packets.keys, np.int64))
    else:
        found = counted(path, shape, packets)
        source = Source(path, shape, found.times, found.end, found.stamps, np.array(packets.keys, np.int64),
                        True, found.damaged, found.exact, found.warnings)  # fmt: skip
    first = float(source.times[0])
    origin = min(packets.origin, first) if packets.origin or first < 0 else 0.0
    return replace(source, times=source.times - origin, end=source.end - origin)


def _of_images(path: Path) -> Source:
    found = list(images.pictures(path))
    shown = [picture for picture in found if picture is not None]
    if not shown:
        raise VideoError(f"{path}: not one frame can be decoded")
    times = np.array([picture.pts for picture in shown], np.float64) * float(images.BASE)
    lost = len(found) - len(shown)
    warnings = (damage(path, f"{len(found)} frames expected, {len(shown)} can be read"),) if lost else ()
    shape = Display(shown[0].width, shown[0].height)
    return Source(path, shape, times, images.end(path), counted=True, damaged=lost > 0, warnings=warnings)
