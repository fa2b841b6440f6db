"""Video files of many containers, made by PyAV alone, with frames at given stamps; and ways to damage them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (48, 64)  # height, width


@dataclass(frozen=True)
class Film:
    """Container and codec of a file to write: frames have stamps in units of 1 / `rate` seconds."""

    codec: str = "libx264"
    rate: int = 10
    options: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)
    sound: float = 0.0  # seconds of silence beside it


def picture(place: float, height: int = SIZE[0], width: int = SIZE[1]) -> np.ndarray:
    """A ramp with a white bar at `place` in [0, 1]."""
    frame = np.zeros((height, width, 3), np.uint8)
    frame[..., 0] = np.arange(width) * 200 // width
    frame[:, int(place * (width - 8)) : int(place * (width - 8)) + 8] = 255
    return frame


@contextmanager
def same_scheduling() -> Iterator[None]:
    """Restore this thread's scheduling policy: for root, SVT-AV1 makes the thread that opens it a real-time one.

    All processes that it starts later inherit that. On two cores, two busy threads of a browser then stop all others.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


@same_scheduling()
def make(path: Path, stamps: Sequence[int], film: Film = Film()) -> Path:
    """Write a file with one frame at each of `stamps`."""
    codec = film.options | ({"x265-params": "log-level=none"} if film.codec == "libx265" else {})
    with av.open(str(path), "w", options=film.container) as file:
        stream = file.add_stream(film.codec, rate=film.rate, options=codec)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, film.rate)
        sound = file.add_stream("aac", rate=48000) if film.sound else None
        for place, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(place / len(stamps)), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, film.rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        for index in range(round(film.sound * 50) if sound else 0):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts = 48000, index * 960
            file.mux(sound.encode(silence))
        if sound:
            file.mux(sound.encode(None))
    return path


def spoil(path: Path, which: Iterable[int], filling: bytes = b"\xff") -> Path:
    """Overwrite the content of some packets, so that they cannot be decoded. Returns the path."""
    with av.open(str(path)) as file:
        shown = [packet for packet in file.demux(file.streams.video[0]) if packet.size]
        contents = [(packet.pos or 0, bytes(packet)) for packet in shown]
    data = bytearray(path.read_bytes())
    for start, content in (contents[index] for index in which):
        place = data.find(content, start)
        assert place >= 0
        data[place : place + len(content)] = filling * len(content)
    path.write_bytes(data)
    return path


def raw(count: int, height: int, width: int) -> bytes:
    """An H.264 stream of one size without a container; several can be joined."""
    context = av.CodecContext.create("libx264", "w")
    context.height, context.width, context.pix_fmt = height, width, "yuv420p"
    context.time_base, context.options = Fraction(1, 10), {"bf": "0"}
    parts = []
    for index in range(count):
        frame = av.VideoFrame.from_ndarray(picture(0.5, height, width), format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, 10)
        parts += context.encode(frame)
    return b"".join(bytes(part) for part in [*parts, *context.encode(None)])


def remuxed(source: Path, target: Path, rate: int = 10, skip: int = 0) -> Path:
    """Copy the packets of an H.264 stream without B-frames into another container, without the first `skip` ones."""
    with av.open(str(source)) as file, av.open(str(target), "w") as out:
        stream = file.streams.video[0]
        copy = out.add_stream_from_template(stream)
        shown = [packet for packet in file.demux(stream) if packet.size]
        for index, packet in enumerate(shown[skip:]):
            packet.pts, packet.dts, packet.duration = index, index, 1
            packet.time_base, packet.stream = Fraction(1, rate), copy
            out.mux(packet)
    return target


def song(path: Path, codec: str, cover: str) -> Path:
    """Write a second of silence with a cover picture ("png" or "mjpeg")."""
    with av.open(str(path), "w") as file:
        sound, art = file.add_stream(codec, rate=48000), file.add_stream(cover)
        art.height, art.width = SIZE
        art.pix_fmt = "rgb24" if cover == "png" else "yuvj420p"
        art.disposition = av.stream.Disposition.attached_pic
        art.codec_context.time_base = Fraction(1, 90000)
        frame = av.VideoFrame.from_ndarray(picture(0.5), format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 90000)
        cover_packets = [*art.encode(frame), *art.encode(None)]
        shape = sound.codec_context.format.name, sound.codec_context.layout.name
        graph = av.AudioResampler(format=shape[0], layout=shape[1], rate=48000)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.int16), format="s16", layout="mono")
        tone.sample_rate, tone.pts = 48000, 0
        fifo = av.AudioFifo()
        for part in graph.resample(tone):
            fifo.write(part)
        encoded = []
        while part := fifo.read(sound.codec_context.frame_size or 1024, partial=True):
            encoded += sound.encode(part)
        for packet in [*encoded[:1], *cover_packets, *encoded[1:], *sound.encode(None)]:
            file.mux(packet)
    return path
