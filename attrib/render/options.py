"""What is drawn and in which colours: one set of options, one scale and one colour map for videos and sheets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from attrib.types import Evidence, PointTrack, SaliencyVolume, Sample, Segment, Track

if TYPE_CHECKING:
    from collections.abc import Sequence

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

# Okabe and Ito's palette: told apart with every common kind of colour vision.
_TRACKS: tuple[Colour, ...] = ((86, 180, 233), (240, 228, 66), (204, 121, 167), (0, 158, 115), (230, 159, 0))
_POINT: Colour = (255, 255, 255)
EVIDENCE: Colour = (0, 200, 140)
BANDS: dict[str, Colour] = {"action": (86, 180, 233), "sound": (204, 121, 167), "evidence": EVIDENCE}
# Blue against, orange for; pale in between and never red against green.
_DIVERGING = ((5, 60, 140), (60, 150, 230), (225, 225, 225), (245, 150, 30), (170, 70, 0))
_DARKEST = 48  # the map starts here of 255: below it is black, which would only dim the picture


@dataclass(frozen=True)
class RenderOptions:
    """Options of every picture: texts, scale and ground truth.

    `title` and `subtitle` default to the volume's method and target. Unless `signed`, only the positive part is shown.
    Full colour is `percentile` of the whole volume's values; `opacity` in (0, 1] is what covers the picture there.
    `smooth` is the sigma, as a share of the frame, of a blur that turns single pixels into places; grids stay as is.
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
        """All that is annotated, with a method's name and by default the question."""
        return RenderOptions(
            title, sample.question.text if subtitle is None else subtitle, tracks=sample.tracks,
            segments=sample.segments, evidence=sample.evidence, points=sample.points,
        )  # fmt: skip

    def texts(self, volume: SaliencyVolume) -> tuple[str, str]:
        """The title and the line below it, which says what is explained."""
        title = volume.provenance.method if self.title is None else self.title
        target = volume.provenance.target
        return title, (f"explains: {target}" if target else "") if self.subtitle is None else self.subtitle


@dataclass(frozen=True, eq=False)
class View:
    """A volume as it is drawn: values (t, h, w) in [0, 1], or [-1, 1] if signed; what 1 stands for; (t,) means."""

    values: NDArray[np.float32]
    scale: float
    profile: NDArray[np.float64]
    signed: bool

    @staticmethod
    def of(volume: SaliencyVolume, drawing: RenderOptions) -> View:
        """Scaled over the whole volume, never per frame: a quiet frame stays quiet."""
        signed = _smoothed(volume.values, drawing.smooth)
        shown = signed if drawing.signed else np.maximum(signed, 0)
        size = np.abs(shown)
        scale = float(np.percentile(size, drawing.percentile)) or float(size.max())
        values = np.clip(shown / scale, -1, 1) if scale > 0 else np.zeros_like(shown)
        return View(values.astype(np.float32), scale, shown.mean(axis=(1, 2), dtype=np.float64), drawing.signed)

    @property
    def bars(self) -> NDArray[np.float64]:
        """The temporal profile (t,) over its own largest magnitude: in [0, 1], or [-1, 1] if signed."""
        top = float(np.abs(self.profile).max())
        return self.profile / top if top > 0 else self.profile


def _smoothed(values: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Blurred within each frame, signs included; a volume whose cells are wider than the blur is left as it is."""
    sigma = [share * size for size in values.shape[1:]]
    if min(sigma) < 0.5:
        return values
    return np.stack([
        cv2.GaussianBlur(frame, (0, 0), sigmaX=sigma[1], sigmaY=sigma[0], borderType=cv2.BORDER_REFLECT)
        for frame in values
    ])  # fmt: skip


@cache
def colours(signed: bool) -> Image:
    """The colour map (256, 3) RGB: inferno (perceptually uniform), or blue to orange for signed values."""
    if signed:
        at = np.linspace(0, len(_DIVERGING) - 1, 256)
        columns = zip(*_DIVERGING, strict=True)
        table = np.stack([np.interp(at, range(len(_DIVERGING)), column) for column in columns], axis=-1)
        return np.rint(table).astype(np.uint8)
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    return np.ascontiguousarray(table[np.linspace(_DARKEST, 255, 256).astype(int)], dtype=np.uint8)


def blend(picture: Image, values: NDArray[np.float32], drawing: RenderOptions) -> Image:
    """Heat over a picture (H, W, 3), from values (h, w) as in `View`; where nothing is salient the picture is left."""
    size = (picture.shape[1], picture.shape[0])
    return mix(picture, *heat(np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)), drawing))


def heat(values: NDArray[np.float32], drawing: RenderOptions) -> tuple[Image, NDArray[np.float32]]:
    """Colours (H, W, 3) and their opacity (H, W) for values (H, W)."""
    level = values * 127.5 + 127.5 if drawing.signed else values * 255
    colour = colours(drawing.signed)[np.clip(np.rint(level), 0, 255).astype(np.uint8)]
    return colour, (drawing.opacity * np.abs(values) ** 0.75).astype(np.float32)


def mix(picture: Image, colour: Image, alpha: NDArray[np.float32]) -> Image:
    """`colour` over `picture` with opacity `alpha`."""
    return np.asarray(cv2.blendLinear(picture, colour, 1 - alpha, alpha), dtype=np.uint8)


@dataclass(frozen=True)
class Band:
    """An interval in seconds to be shown along the time axis."""

    label: str
    start: float
    end: float
    colour: Colour


def bands(drawing: RenderOptions, end: float) -> list[list[Band]]:
    """Evidence and segments within [0, end], in lanes in which nothing overlaps; evidence first."""
    labels = {track.id: track.label for track in drawing.tracks}
    found = [
        Band(f"evidence: {labels.get(item.track, item.track)}", max(item.start, 0.0), min(item.end, end), EVIDENCE)
        for item in drawing.evidence
        if item.role != "context"
    ]
    found += [Band(s.label, max(s.start, 0.0), min(s.end, end), BANDS[s.kind]) for s in drawing.segments]
    lanes: list[list[Band]] = []
    for band in (band for band in found if band.end > band.start):
        free = next((lane for lane in lanes if all(band.start >= b.end or band.end <= b.start for b in lane)), None)
        if free is None:
            lanes.append([band])
        else:
            free.append(band)
    return lanes


@dataclass(frozen=True)
class Box:
    """A ground-truth box in normalised xyxy at one moment; `strong` where the answer rests on it."""

    label: str
    corners: tuple[float, float, float, float]
    colour: Colour
    strong: bool


def boxes(drawing: RenderOptions, time: float) -> list[Box]:
    """The tracks' boxes at `time`, clipped to the picture; evidence last, so that it lies on top."""
    found = []
    for place, track in enumerate(drawing.tracks):
        corners = track.at(time)
        if corners is None:
            continue
        x1, y1, x2, y2 = (float(value) for value in np.clip(corners, 0, 1))
        strong = _rests_on(drawing.evidence, track.id, time)
        colour = EVIDENCE if strong else _TRACKS[place % len(_TRACKS)]
        found.append(Box(f"{track.id} : {track.label}", (x1, y1, x2, y2), colour, strong))
    return sorted(found, key=lambda box: box.strong)


@dataclass(frozen=True)
class Dot:
    """A ground-truth point in normalised x, y at one moment, in the colour of the first track that it lies on."""

    at: tuple[float, float]
    colour: Colour


def dots(drawing: RenderOptions, time: float) -> list[Dot]:
    """The points that can be seen at `time`, within the picture."""
    colour_of = {track.id: _TRACKS[place % len(_TRACKS)] for place, track in enumerate(drawing.tracks)}
    colour_of |= {track: EVIDENCE for track in colour_of if _rests_on(drawing.evidence, track, time)}
    found = []
    for point in drawing.points:
        xy = point.at(time)
        if xy is not None and ((xy >= 0) & (xy <= 1)).all():
            colour = next((colour_of[parent] for parent in point.parents if parent in colour_of), _POINT)
            found.append(Dot((float(xy[0]), float(xy[1])), colour))
    return found


def _rests_on(evidence: Sequence[Evidence], track: int, time: float) -> bool:
    return any(e.track == track and e.role != "context" and e.start <= time < e.end for e in evidence)
