"""Is the evidence object more salient than the video's other objects, in the frames that show both?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from attrib.benchmarks.metrics.objects.ground_truth import require_outside, saliency_cells, scored_frames, track_tubes
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ObjectAUC(Metric):
    r"""Probability that an evidence object is more salient than another object, ties half; in [0, 1], chance .5.

    A pair of objects is compared in the scored frames that show both, anywhere in the clip and not only during the
    evidence interval: in each frame by the saliency's mean over the object's cells, weighted by g, then by the plain
    mean over frames. A map of time alone therefore gets exactly .5. Undefined where no frame shows an evidence object
    together with another one, and where the evidence fills every scored cell.

    $$P(m_e > m_o) + \frac{1}{2} P(m_e = m_o)$$
    """

    direction: ClassVar[Direction] = "high"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    chance_level: ClassVar[str] = ".5, exactly, for any map of time alone"
    reference: ClassVar[str] = "Mann and Whitney 1947, of objects; here"
    needs: ClassVar[frozenset[Need]] = frozenset({"evidence", "tracks"})
    primary: ClassVar[bool] = True
    corrected: ClassVar[bool] = True

    @final
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item."""
        try:
            return Score(_object_auc(volume, subject, sample), 0.5)
        except UndefinedError as case:
            return Score.undefined(str(case))


def _object_auc(volume: SaliencyVolume, subject: Subject, sample: Sample) -> float:
    frames, grid = scored_frames(subject, sample), subject.grid
    if not sample.tracks:
        raise UndefinedError("no track is annotated")
    tubes = track_tubes(subject, sample)[:, frames].reshape(len(sample.tracks), int(frames.sum()), -1)
    is_evidence = np.array([track.id in sample.evidence_tracks for track in sample.tracks], bool)
    shown = _require_pairs(tubes.max(axis=2) > 0, is_evidence)
    require_outside(tubes[is_evidence].max(axis=0))
    cells = np.broadcast_to(frames[:, None, None], (len(frames), grid.rows, grid.columns))
    saliency = saliency_cells(volume, subject, cells).reshape(tubes.shape[1:])
    return share_of_pairs(_frame_means(saliency, tubes), shown, is_evidence)


def _require_pairs(shown: NDArray[np.bool_], is_evidence: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return `shown` (tracks, t) unchanged. Raises UndefinedError if no frame shows an evidence and another track."""
    evidence, other = shown[is_evidence].any(axis=0), shown[~is_evidence].any(axis=0)
    if not evidence.any():
        raise UndefinedError("no evidence track is seen in the clip's frames")
    if not other.any():
        raise UndefinedError("no other track is seen in the clip's frames")
    if not (evidence & other).any():
        raise UndefinedError("no frame shows the evidence together with another track")
    return shown


def _frame_means(saliency: FloatArray, tubes: FloatArray) -> FloatArray:
    """Return each track's mean (tracks, t) of `saliency` (t, n) weighted by its cells, as a share of the maximum.

    It is 0 where the track is not shown.
    """
    areas = tubes.sum(axis=2)
    sums = np.einsum("ktn,tn->kt", tubes, saliency / float(saliency.max()))
    return np.divide(sums, areas, out=np.zeros_like(sums), where=areas > 0)


def share_of_pairs(means: FloatArray, shown: NDArray[np.bool_], is_evidence: NDArray[np.bool_]) -> float:
    """Return the share of pairs, ties half, in which the evidence has the greater mean over the frames with both.

    `means` and `shown` are (tracks, t); means are rounded to 1e-9 so that ties stay ties.
    """
    one, two = shown[is_evidence].astype(np.float64), shown[~is_evidence].astype(np.float64)
    frames = one @ two.T
    together = frames > 0
    own = np.round((means[is_evidence] * one) @ two.T / np.maximum(frames, 1), 9)[together]
    other = np.round(one @ (means[~is_evidence] * two).T / np.maximum(frames, 1), 9)[together]
    return float(((own > other) + 0.5 * (own == other)).mean())
