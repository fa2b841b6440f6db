"""The corrupt video of a trace: one of the clip's shape that lacks what answers the question.

`removed`: the same scene without its evidence, which the built-in world draws. `object[:IMPUTER]`: the cells of the
evidence's tracks filled in all frames by a registered imputer of pixels. `frames:VIDEO`: another video. `blank`: the
clip's mean colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from attrib import config, video
from attrib.annotation_cells import evidence_tracks, visible_tube
from attrib.benchmarks.perturb.counterfactual import clip_like
from attrib.benchmarks.trace.groups import SHOWN
from attrib.errors import InputError, nearest
from attrib.imputer import Canvas, PixelImputer
from attrib.subject import Subject
from attrib.types import Sample

if TYPE_CHECKING:
    from jaxtyping import Float

KINDS = ("removed", "object", "blank", "frames")
FORMS = "removed, object, object:IMPUTER, blank or frames:VIDEO"
IMPUTER = "median"
NO_OBJECT = "no box of the evidence is visible in the clip's frames: --against blank or frames:VIDEO needs none"


@dataclass(frozen=True)
class Against:
    """Kind of the corrupt video, and its imputer or file; an empty kind is the best that a sample allows."""

    kind: str = ""
    value: str = ""

    @staticmethod
    def parse(text: str) -> Against:
        """Read `--against`. Raises InputError with the nearest valid kind, and for a file or imputer that is none."""
        kind, colon, value = text.partition(":")
        if kind not in KINDS:
            raise InputError(f"--against {text}: unknown kind {kind!r}; {nearest(kind, KINDS)}")
        if bool(value) != bool(colon) or (kind == "frames") > bool(value) or (bool(value) and kind not in KINDS[1::2]):
            raise InputError(f"--against {text}: expected {FORMS}")
        if kind == "frames":
            video.check_file(Path(value))
        if kind == "object":
            imputer(value or IMPUTER)
        return Against(kind, value)

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}" if self.value else self.kind

    def of(self, sample: Sample) -> Against:
        """Return this, or where no kind is given the best that the sample allows: removed, object or blank."""
        if self.kind:
            return self
        if any(item.kind == "removed" for item in sample.counterfactuals):
            return Against("removed")
        return Against("object") if evidence_tracks(sample) else Against("blank")

    def file(self, sample: Sample) -> Path | None:
        """Return the file of the corrupt video, if it is read from one. Raises InputError where the sample has none."""
        if self.kind == "frames":
            return Path(self.value)
        if self.kind != "removed":
            return None
        found = next((item.video for item in sample.counterfactuals if item.kind == "removed"), None)
        if found is None:
            raise InputError(f"{sample.id}: no video without the evidence: --against object, blank or frames:VIDEO")
        return found

    def pixels(self, subject: Subject, sample: Sample) -> Float[Tensor, "t 3 h w"]:
        """Return the corrupt video as the model sees it. Raises InputError where there is none of the clip's shape."""
        if self.kind == "blank":
            return subject.pixels.mean(dim=(0, 2, 3), keepdim=True).expand_as(subject.pixels)
        if self.kind == "object":
            return _without_object(subject, sample, imputer(self.value or IMPUTER))
        path = self.file(sample)
        assert path is not None  # the two other kinds are files
        if self.kind == "removed":
            return subject.model.preprocess(clip_like(path, subject.clip))
        pixels = subject.model.preprocess(video.read(path, frames=len(subject.clip)))
        if pixels.shape != subject.pixels.shape:
            (t, _, h, w), (frames, _, height, width) = pixels.shape, subject.pixels.shape
            raise InputError(f"--against {self}: expected {frames} frames that the model sees as {width} x {height} "
                             f"pixels, as it does {sample.video.name}; got {t} of {w} x {h}")  # fmt: skip
        return pixels


BEST = Against()


def imputer(name: str) -> PixelImputer:
    """Return a registered imputer of pixels. Raises InputError for another kind, UnknownName for an unknown name."""
    built = config.build("imputers", name, {}).item
    if not isinstance(built, PixelImputer):
        raise InputError(f"--against object:{name}: expected an imputer of pixels; {name} drops tokens")
    return built


def _without_object(subject: Subject, sample: Sample, fill: PixelImputer) -> Tensor:
    grid, times = subject.grid, subject.clip.times
    cells = (grid.rows, grid.columns)
    tubes = [visible_tube(track, times, *cells) for _, track in evidence_tracks(sample)]
    removed = np.max(tubes, axis=0, initial=0.0) >= SHOWN if tubes else np.zeros(0, bool)
    if not removed.any():
        raise InputError(f"{sample.id}: {NO_OBJECT}")
    return fill.prepare(Canvas(subject.pixels, *cells, subject.seed))(removed)
