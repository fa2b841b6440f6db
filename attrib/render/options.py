"""Drawing options, the scale of values and the colour map that overlay videos and contact sheets share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from attrib.types import Evidence, PointTrack, SaliencyVolume, Sample, Segment, Track
from attrib.types.annotation import has_area

if TYPE_CHECKING:
    from collections.abc import Sequence

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

# Okabe and Ito's palette: distinct for people with every common kind of colour vision.
_TRACKS: tuple[Colour, ...] = ((86, 180, 233), (240, 228, 66), (204, 121, 167), (0, 158, 115), (230, 159, 0))
_POINT: Colour = (255, 255, 255)
EVIDENCE: Colour = (0, 200, 140)
BANDS: dict[str, Colour] = {"action": (86, 180, 233), "sound": (204, 121, 167), "evidence": EVIDENCE}
# Blue for values against the target, orange for values in favour, pale in between; never red beside green.
_DIVERGING = ((5, 60, 140), (60, 150, 230), (225, 225, 225), (245, 150, 30), (170, 70, 0))
_DARKEST = 48  # first entry (of 256) of inferno that is used: the darker ones would only dim the picture


@dataclass(frozen=True)
class RenderOptions:
    """Options of every picture: texts, scale and ground truth.

    `title` and `subtitle` default to the volume's method and target. Unless `signed`, only positive values are shown.
    Full colour stands for this `percentile` of the whole volume's values, drawn with this `opacity` in (0, 1].
    `smooth` is the sigma, as a share of the frame, of a blur that merges single pixels into regions; volumes whose
    cells are wider than the blur are drawn as they are.
    Tracks are drawn as boxes, points as dots, segments and the evidence's intervals as bands in time.
    """

    title: str | None = None
    subtitle: str | None = None
    signed: bool = False
    percentile: float = 99.5
    opacity: float = 0.7
    smooth: float = 0.015
    tracks: tuple[Track, ...] = ()
    segments: tuple[Segment, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    points: tuple[PointTrack, ...] = ()

    @staticmethod
    def of(sample: Sample, title: str, subtitle: str | None = None) -> RenderOptions:
        """Return options to draw the sample's whole annotation below `title`; the subtitle defaults to the question."""
        return RenderOptions(
            title, sample.question.text if subtitle is None else subtitle, tracks=sample.tracks,
            segments=sample.segments, evidence=sample.evidence, points=sample.points,
        )  # fmt: skip

    def texts(self, volume: SaliencyVolume) -> tuple[str, str]:
        """Title, and the line below it that names the explained target."""
        title = volume.provenance.method if self.title is None else self.title
        target = volume.provenance.target
        return title, (f"explains: {target}" if target else "") if self.subtitle is None else self.subtitle


@dataclass(frozen=True, eq=False)
class View:
    """Volume scaled for drawing: values (t, h, w) in [0, 1], or [-1, 1] if signed.

    `scale` is the saliency that value 1 stands for; `profile` (t,) has the mean saliency of each frame.
    """

    values: NDArray[np.float32]
    scale: float
    profile: NDArray[np.float64]
    signed: bool

    @staticmethod
    def of(volume: SaliencyVolume, drawing: RenderOptions) -> View:
        """Scale the values over the whole volume, never per frame, so that a frame with little saliency stays pale."""
        signed = _smoothed(volume.values, drawing.smooth)
        raw = signed if drawing.signed else np.maximum(signed, 0)
        magnitude = np.abs(raw)
        scale = float(np.percentile(magnitude, drawing.percentile)) or float(magnitude.max())
        values = np.clip(raw / scale, -1, 1) if scale > 0 else np.zeros_like(raw)
        return View(values.astype(np.float32), scale, raw.mean(axis=(1, 2), dtype=np.float64), drawing.signed)

    @property
    def bars(self) -> NDArray[np.float64]:
        """Temporal profile (t,) divided by its largest magnitude: in [0, 1], or [-1, 1] if signed."""
        top = float(np.abs(self.profile).max())
        return self.profile / top if top > 0 else self.profile


def _smoothed(values: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Blur signed values within each frame; return a volume whose cells are wider than the blur unchanged."""
    sigma = [share * size for size in values.shape[1:]]
    if min(sigma) < 0.5:
        return values
    return np.stack([
        cv2.GaussianBlur(frame, (0, 0), sigmaX=sigma[1], sigmaY=sigma[0], borderType=cv2.BORDER_REFLECT)
        for frame in values
    ])  # fmt: skip


@cache
def colours(signed: bool) -> Image:
    """Colour map (256, 3) RGB: inferno (perceptually uniform), or blue to orange for signed values."""
    if signed:
        positions = np.linspace(0, len(_DIVERGING) - 1, 256)
        columns = zip(*_DIVERGING, strict=True)
        table = np.stack([np.interp(positions, range(len(_DIVERGING)), column) for column in columns], axis=-1)
        return np.rint(table).astype(np.uint8)
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    return np.ascontiguousarray(table[np.linspace(_DARKEST, 255, 256).astype(int)], dtype=np.uint8)


def blend(picture: Image, values: NDArray[np.float32], drawing: RenderOptions) -> Image:
    """Blend heat from values (h, w), as in `View`, into a picture (H, W, 3); pixels of value 0 stay as they are."""
    size = (picture.shape[1], picture.shape[0])
    return mix(picture, *heat(np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)), drawing))


def heat(values: NDArray[np.float32], drawing: RenderOptions) -> tuple[Image, NDArray[np.float32]]:
    """Colours (H, W, 3) and their opacity (H, W) for values (H, W)."""
    level = values * 127.5 + 127.5 if drawing.signed else values * 255
    colour = colours(drawing.signed)[np.clip(np.rint(level), 0, 255).astype(np.uint8)]
    return colour, (drawing.opacity * np.abs(values) ** 0.75).astype(np.float32)


def mix(picture: Image, colour: Image, alpha: NDArray[np.float32]) -> Image:
    """Blend `colour` into `picture` with opacity `alpha`."""
    return np.asarray(cv2.blendLinear(picture, colour, 1 - alpha, alpha), dtype=np.uint8)


@dataclass(frozen=True)
class Band:
    """Labelled interval in seconds, drawn along the time axis."""

    label: str
    start: float
    end: float
    colour: Colour


def bands(drawing: RenderOptions, end: float) -> list[list[Band]]:
    """Return evidence, then segments, within [0, end], sorted into lanes of bands that do not overlap."""
    labels = {track.id: track.label or track.name for track in drawing.tracks}
    intervals = [
        Band(f"evidence: {labels.get(item.track, item.track)}", max(item.start, 0.0), min(item.end, end), EVIDENCE)
        for item in drawing.evidence
        if item.role != "context"
    ]
    intervals += [Band(s.label, max(s.start, 0.0), min(s.end, end), BANDS[s.kind]) for s in drawing.segments]
    lanes: list[list[Band]] = []
    for band in (band for band in intervals if band.end > band.start):
        free = next((lane for lane in lanes if all(band.start >= b.end or band.end <= b.start for b in lane)), None)
        if free is None:
            lanes.append([band])
        else:
            free.append(band)
    return lanes


@dataclass(frozen=True)
class Box:
    """Ground-truth box in normalised xyxy at one moment; `strong` if it is evidence for the answer."""

    label: str
    corners: tuple[float, float, float, float]
    colour: Colour
    strong: bool


def boxes(drawing: RenderOptions, time: float) -> list[Box]:
    """Return the tracks' boxes with area at `time`, clipped to the picture; evidence last, drawn on top."""
    visible = []
    for index, track in enumerate(drawing.tracks):
        corners = track.at(time)
        if corners is None:
            continue
        if not has_area(corners[None])[0]:
            continue
        x1, y1, x2, y2 = (float(value) for value in np.clip(corners, 0, 1))
        strong = _is_evidence(drawing.evidence, track.id, time)
        colour = EVIDENCE if strong else _TRACKS[index % len(_TRACKS)]
        visible.append(Box(track.name, (x1, y1, x2, y2), colour, strong))
    return sorted(visible, key=lambda box: box.strong)


@dataclass(frozen=True)
class Dot:
    """Ground-truth point in normalised x, y at one moment, in the colour of the first track that contains it."""

    at: tuple[float, float]
    colour: Colour


def dots(drawing: RenderOptions, time: float) -> list[Dot]:
    """Return the points that are visible at `time` and inside the picture."""
    colour_of = {track.id: _TRACKS[index % len(_TRACKS)] for index, track in enumerate(drawing.tracks)}
    colour_of |= {track: EVIDENCE for track in colour_of if _is_evidence(drawing.evidence, track, time)}
    visible = []
    for point in drawing.points:
        xy = point.at(time)
        if xy is not None and ((xy >= 0) & (xy <= 1)).all():
            colour = next((colour_of[parent] for parent in point.parents if parent in colour_of), _POINT)
            visible.append(Dot((float(xy[0]), float(xy[1])), colour))
    return visible


def _is_evidence(evidence: Sequence[Evidence], track: int, time: float) -> bool:
    return any(e.track == track and e.role != "context" and e.start <= time < e.end for e in evidence)
