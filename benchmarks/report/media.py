"""Videos for the page: the original file where it is small H.264, else a small copy with the same timestamps."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import av
import cv2
import numpy as np

from attrib import video
from attrib.errors import NotWritten
from attrib.runtime.files import writing
from attrib.video.decode import Frame
from attrib.video.source import Source, open_source

SIDE = 480  # pixels of the longer side, at most
RATE = 15.0  # frames per second, at most: enough to watch
SMALL = 2**20  # bytes; smaller files are copied unchanged


def make(source: Path, target: Path) -> float:
    """Write `target` (.mp4) unless it is up to date, and return the end of the video in seconds.

    The copy gets the modification time of its source (to the nanosecond), by which an outdated copy is recognised.
    Raises VideoError when the source cannot be read, NotWritten when the copy cannot be written.
    """
    found = open_source(source)
    status = source.stat()
    if target.exists() and target.stat().st_mtime_ns == status.st_mtime_ns:
        return found.end
    if _plays(source, found):
        _copy(source, target)
    else:
        _shrink(found, target)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    return found.end


def _plays(path: Path, source: Source) -> bool:
    """True if every browser can play the original: small, upright, square pixels, H.264 in yuv420p, starts at 0 s."""
    if path.suffix.lower() != ".mp4" or path.stat().st_size > SMALL or max(source.size) > SIDE:
        return False
    display = source.display
    if display.aspect != 1.0 or display.matrix != (1, 0, 0, 1) or source.times[0] != 0 or source.warnings:
        return False
    with av.open(str(path)) as file:
        context = file.streams.video[0].codec_context
        return (context.name, context.pix_fmt) == ("h264", "yuv420p") and not file.streams.audio


def _copy(source: Path, target: Path) -> None:
    with writing(target) as part:
        try:
            shutil.copyfile(source, part)
        except OSError as error:
            raise NotWritten(f"{target}: cannot be written: {error.strerror or error}") from error


def _shrink(source: Source, target: Path) -> None:
    step = max(1, math.ceil(len(source.times) / max(source.end - source.times[0], 1e-3) / RATE - 0.01))
    height, width = source.size
    scale = min(1.0, SIDE / max(height, width))
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    times = source.times[::step]
    frames = (_resized(frame, size) for place, frame in enumerate(source.play()) if place % step == 0)
    video.write(target, frames, times, source.end)


def _resized(frame: Frame, size: tuple[int, int]) -> Frame:
    if frame.shape[1::-1] == size:
        return frame
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
