"""Ground truth on the model's token grid: which share of which cell, in which frame, the annotation covers.

Decided here, for all metrics: frames at or after the sample's cut are not scored; a box while its object is fully
hidden says where nothing can be seen, so it is no ground truth, and for metrics of the evidence the cells that it
touches are not scored either (looking there is neither hit nor fault).

The sample need not be the subject's own: a permutation pairs a map with another video's annotation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attrib.annotation_cells import after_cut, coverage, evidence_boxes, evidence_tracks, visible_tube
from attrib.benchmarks.metrics.cache import per_subject
from attrib.benchmarks.perturb.cells import UndefinedError, cell_values, require_contrast
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
HALF = 0.5 - 1e-9  # a cell counts as ground truth from one half on; the slack is for a half that rounding touched


@dataclass(frozen=True, eq=False)
class Scene:
    """The scored cells of one item, flattened: saliency (n,), negatives set to 0, and covered share `truth` (n,).

    `cells` (t, rows, columns) says which ones of the subject's token grid they are.
    """

    subject: Subject
    sample: Sample
    cells: BoolArray
    saliency: FloatArray
    truth: FloatArray

    @property
    def density(self) -> FloatArray:
        """Saliency divided by its sum: p."""
        return self.saliency / float(self.saliency.sum())

    @property
    def area(self) -> float:
        """Share of the scored volume that the ground truth covers: a."""
        return float(self.truth.mean())

    @property
    def inside(self) -> BoolArray:
        """G, the cells that are covered by half or more. Raises UndefinedError when there is none."""
        cells = self.truth >= HALF
        if not cells.any():
            raise UndefinedError("the evidence covers no cell of the token grid by half")
        return cells

    @property
    def share(self) -> float:
        """Share of the scored cells that lie in G: a, for what looks at whole cells. Raises as `inside`."""
        return float(self.inside.mean())

    @property
    def frames(self) -> NDArray[np.int64]:
        """The frame (n,) that each scored cell lies in."""
        return np.nonzero(self.cells)[0]


def scene(volume: SaliencyVolume, subject: Subject, sample: Sample) -> Scene:
    """Saliency and evidence on the scored cells of the token grid. Raises UndefinedError where either says nothing."""
    scored = scored_frames(subject, sample)
    truth, hidden = evidence_cells(subject, sample)
    cells = scored[:, None, None] & ((hidden == 0) | (truth > 0))
    if not truth[cells].any():
        raise UndefinedError("the evidence is hidden or has no area in the clip's frames")
    return Scene(subject, sample, cells, saliency_cells(volume, subject, cells), truth[cells])


def saliency_cells(volume: SaliencyVolume, subject: Subject, scored: BoolArray) -> FloatArray:
    """Saliency (n,) of the `scored` cells (t, rows, columns) of the token grid, negatives set to 0 once, up front.

    Raises UndefinedError when nothing of it is positive, or all is the same.
    """
    grid = subject.grid
    positive = np.maximum(cell_values(volume, subject, grid.rows, grid.columns), 0)[scored]
    if not positive.any():
        raise UndefinedError("no positive saliency in the cells that are scored")
    require_contrast(positive)
    return positive


def scored_frames(subject: Subject, sample: Sample) -> BoolArray:
    """Mask (t,) of the scored frames: those before the cut. Raises UndefinedError when there is none."""
    scored = ~after_cut(sample, subject.clip.times)
    if not scored.any():
        raise UndefinedError("every frame of the clip lies after the cut")
    return scored


@per_subject
def evidence_cells(subject: Subject, sample: Sample) -> tuple[FloatArray, FloatArray]:
    """(t, rows, columns) shares covered by visible and by hidden evidence, each track only during its interval.

    Raises UndefinedError when no track of the evidence is annotated or none has a box in one of the clip's frames.
    """
    if not evidence_tracks(sample):
        raise UndefinedError("no evidence track is annotated")
    boxes = evidence_boxes(sample, subject.clip.times)
    if not any(visible or hidden for visible, hidden in boxes):
        raise UndefinedError("no evidence box lies in the clip's frames")
    grid = subject.grid
    seen, unseen = (np.stack([coverage(pair[i], grid.rows, grid.columns) for pair in boxes]) for i in (0, 1))
    return seen, unseen


@per_subject
def track_tubes(subject: Subject, sample: Sample) -> FloatArray:
    """(k, t, rows, columns) shares that each track of a sample with tracks covers where it can be seen."""
    grid, times = subject.grid, subject.clip.times
    return np.stack([visible_tube(track, times, grid.rows, grid.columns) for track in sample.tracks])
