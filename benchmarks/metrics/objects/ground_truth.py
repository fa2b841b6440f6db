"""Ground truth on the model's token grid: the share of each cell in each frame that the annotation covers.

Rules for all metrics: frames at or after the sample's cut are not scored. The box of a fully hidden object is no ground
truth, because nothing is visible there; metrics of the evidence do not score the cells that it touches either (looking
there is neither a hit nor an error).

The sample may be of another video than the subject: a permutation pairs a map with another video's annotation.
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
FILLED = "the evidence fills every cell that is scored"
HALF = 0.5 - 1e-9  # covered share from which a cell counts as ground truth; the slack is for rounding


@dataclass(frozen=True, eq=False)
class ObjectTruth:
    """The scored cells of one item, flattened: saliency (n,), negatives set to 0, and covered share `truth` (n,).

    `cells` (t, rows, columns) is their mask in the subject's token grid.
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
        """Share of the scored cells that are in G: a, counted in whole cells. Raises like `inside`."""
        return float(self.inside.mean())

    @property
    def frames(self) -> NDArray[np.int64]:
        """Frame (n,) of each scored cell."""
        return np.nonzero(self.cells)[0]


def scene(volume: SaliencyVolume, subject: Subject, sample: Sample) -> ObjectTruth:
    """Return saliency and evidence on the scored cells of the token grid.

    Raises UndefinedError without either, and where the evidence fills every scored cell: no map can miss it then.
    """
    scored = scored_frames(subject, sample)
    truth, hidden = evidence_cells(subject, sample)
    cells = scored[:, None, None] & ((hidden == 0) | (truth > 0))
    if not truth[cells].any():
        raise UndefinedError("the evidence is hidden or has no area in the clip's frames")
    require_outside(truth[cells])
    return ObjectTruth(subject, sample, cells, saliency_cells(volume, subject, cells), truth[cells])


def require_outside(truth: FloatArray) -> None:
    """Raise UndefinedError if the evidence covers every cell of `truth` by half or more."""
    if (truth >= HALF).all():
        raise UndefinedError(FILLED)


def saliency_cells(volume: SaliencyVolume, subject: Subject, scored: BoolArray) -> FloatArray:
    """Return saliency (n,) of the `scored` cells (t, rows, columns) of the token grid, negatives set to 0.

    Raises UndefinedError when no value is positive or all are equal.
    """
    grid = subject.grid
    positive = np.maximum(cell_values(volume, subject, grid.rows, grid.columns), 0)[scored]
    if not positive.any():
        raise UndefinedError("no positive saliency in the cells that are scored")
    require_contrast(positive)
    return positive


def scored_frames(subject: Subject, sample: Sample) -> BoolArray:
    """Return the mask (t,) of the scored frames, those before the cut. Raises UndefinedError when there is none."""
    scored = ~after_cut(sample, subject.clip.times)
    if not scored.any():
        raise UndefinedError("every frame of the clip lies after the cut")
    return scored


@per_subject
def evidence_cells(subject: Subject, sample: Sample) -> tuple[FloatArray, FloatArray]:
    """Return shares (t, rows, columns) that visible and hidden evidence cover, each track only during its interval.

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
    """Return shares (k, t, rows, columns) that each track covers where it is visible; the sample must have tracks."""
    grid, times = subject.grid, subject.clip.times
    return np.stack([visible_tube(track, times, grid.rows, grid.columns) for track in sample.tracks])
