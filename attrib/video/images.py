"""Still pictures, upright by their EXIF orientation, and animated WebP, which FFmpeg cannot decode, by Pillow."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from PIL import Image, ImageOps

from attrib.errors import VideoError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = Fraction(1, 1000)  # seconds of a time stamp
STILL = 1000  # time stamps that a still picture lasts
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}  # of pictures, by the file's ending


def is_still(path: Path) -> bool:
    """Return whether the file is a PNG, JPEG or WebP with one picture of at most 8 bits a colour."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None or not path.is_file():
        return False
    try:
        with Image.open(path, formats=[kind]) as image:
            return getattr(image, "n_frames", 1) == 1 and not image.mode.startswith(("I", "F"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def is_image(path: Path) -> bool:
    """Return whether Pillow reads the file: a still picture or an animated WebP image."""
    return is_animation(path) or is_still(path)


def is_animation(path: Path) -> bool:
    """Return whether the file is an animated WebP image."""
    try:
        with path.open("rb") as file:
            head = file.read(21)
    except (OSError, ValueError):
        return False
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == 21 and bool(head[20] & 2)


def pictures(path: Path) -> Iterator[Any]:
    """Yield the pictures with their time stamps, over black where they are transparent; None for a damaged one."""
    clock = 0
    with _opened(path) as image:
        for index in range(getattr(image, "n_frames", 1)):
            try:
                image.seek(index)
                pixels = ImageOps.exif_transpose(image).convert("RGBA")
            except (OSError, ValueError, EOFError, SyntaxError):
                yield None
                continue
            flat = Image.alpha_composite(Image.new("RGBA", pixels.size, (0, 0, 0, 255)), pixels).convert("RGB")
            picture = av.VideoFrame.from_ndarray(np.asarray(flat), format="rgb24")
            picture.pts, picture.time_base = clock, BASE
            clock += _shown(image)
            yield picture


def end(path: Path) -> float:
    """Seconds until the last picture ends."""
    total = 0
    with _opened(path) as image:
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            total += _shown(image)
    return float(total * BASE)


def _shown(image: Image.Image) -> int:
    """Milliseconds that the picture stays; browsers give 100 to one of an animation that claims none."""
    image.load()
    return round(image.info.get("duration", 0)) or (100 if getattr(image, "n_frames", 1) > 1 else STILL)


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except (OSError, ValueError) as error:
        raise VideoError(f"{path}: cannot be read as an image: {error}") from None
