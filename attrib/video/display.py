"""Display geometry of a video: upright, with square pixels, and every picture at the size of the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from attrib.errors import VideoError
from attrib.video import decode
from attrib.video.decode import Frame

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Display:
    """Display geometry of a stored picture (width, height): pixel aspect, then the display matrix (a, b, c, d)."""

    width: int
    height: int
    aspect: float = 1.0
    matrix: tuple[int, int, int, int] = (1, 0, 0, 1)

    def show(self, picture: Frame) -> Frame:
        """Return the picture upright and with square pixels. Sides are only enlarged, so that no detail is lost.

        A picture of another size than the first is fitted into the first's, with black bars where the shape differs.
        """
        picture = _fitted(picture, self.width, self.height)
        width = round(self.width * max(self.aspect, 1.0))
        height = round(self.height * max(1 / self.aspect, 1.0))
        picture = _resized(picture, width, height)
        a, b, c, d = self.matrix
        if abs(a) < abs(b):  # a quarter turn: x' = c y, y' = b x
            picture, a, d = picture.transpose(1, 0, 2), c, b
        return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _resized(picture: Frame, width: int, height: int) -> Frame:
    if picture.shape[:2] == (height, width):
        return picture
    smaller = picture.shape[0] > height or picture.shape[1] > width
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), dtype=np.uint8)


def _fitted(picture: Frame, width: int, height: int) -> Frame:
    tall, wide = picture.shape[:2]
    if (tall, wide) == (height, width):
        return picture
    scale = min(height / tall, width / wide)
    inner = _resized(picture, max(1, round(wide * scale)), max(1, round(tall * scale)))
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return canvas


def of_first_picture(path: Path) -> Display:
    """Display geometry of the first picture that can be decoded. Raises VideoError if there is none."""
    for picture in decode.decoded(path):
        if picture is None:
            continue
        with decode.opened(path) as (_, stream):
            aspect = float(stream.sample_aspect_ratio or 1)
        side = _matrix(picture)
        corner = np.frombuffer(bytes(side), np.int32)[[0, 1, 3, 4]] if side else np.array([1, 0, 0, 1])
        a, b, c, d = (int(value) for value in np.rint(corner / max(np.abs(corner).max(), 1)))
        return Display(picture.width, picture.height, aspect if 0.1 <= aspect <= 10 else 1.0, (a, b, c, d))
    with decode.opened(path) as (file, stream):
        kind = f"{stream.codec_context.name} in {file.format.name.split(',')[0]}"
    raise VideoError(f"{path}: not one frame can be decoded ({kind}); if it plays elsewhere, {decode.CONVERT}")


def _matrix(picture: Any) -> Any:
    try:
        return picture.side_data.get("DISPLAYMATRIX")
    except ValueError:  # other side data of a kind that PyAV has no name for
        return None


def resizing(path: Path, first: Display, size: tuple[int, int], time: float) -> str:
    """Return the warning that from `time` on pictures have another `size` (width, height) than the first."""
    before, after = f"{first.width} x {first.height}", f"{size[0]} x {size[1]}"
    return (
        f"{path}: the picture changes from {before} to {after} pixels at {time:.2f} s; "
        "it is fitted into the first's size, with black bars where the shape differs"
    )
