"""Does the saliency say more than the usual position of evidence? Scores against other videos' ground truth.

The others are `subject.peers` except the scored sample's video, at most `annotation_cells.PEERS` of those with
evidence, each compared in the same cells at the same share of its own length. All of their cells count, so only the
selection of videos, where there are more than that, is random.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attrib.annotation_cells import peer_evidence, peers_with_evidence
from attrib.benchmarks.metrics.cache import per_subject
from attrib.benchmarks.metrics.objects.ground_truth import HALF, ObjectTruth
from attrib.benchmarks.metrics.objects.mass import TubeMetric
from attrib.benchmarks.metrics.roc import auc
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.metric import Score
from attrib.subject import Subject
from attrib.types.need import Need

FloatArray = NDArray[np.float64]


class Others(NamedTuple):
    """The name of each peer's video (p,) and the shares (p, t, rows, columns) that its evidence covers."""

    videos: NDArray[np.str_]
    shares: FloatArray


@dataclass(frozen=True)
class ShuffledAUC(TubeMetric):
    r"""Probability that a cell of G outranks a cell of another video's G in this map, ties half; in [0, 1], chance .5.

    Each other video has the same weight, and cells in both G count, so that the mean of any fixed map over all videos
    is .5; for the same reason the evidence itself scores below 1 where other videos' evidence overlaps it. Also
    undefined where no other video has evidence in the scored cells.

    $$\frac{1}{V} \sum_v \left[ P(s_i > s_j) + \frac{1}{2} P(s_i = s_j) \right], \quad i \in G, \; j \in G_v$$
    """

    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    chance_level: ClassVar[str] = ".5, also for any fixed prior"
    reference: ClassVar[str] = "Tatler et al. 2005; Zhang et al. 2008 (SUN); Bylinskii et al. 2019, arXiv 1604.03605"
    needs: ClassVar[frozenset[Need]] = frozenset({"evidence", "tracks", "other videos"})
    primary: ClassVar[bool] = True

    def measure(self, scene: ObjectTruth) -> Score:
        """Return the mean of the AUCs against each other video."""
        negative = others(scene) >= HALF
        sizes = negative.sum(axis=1)
        if not sizes.any():
            raise UndefinedError("no other video's evidence covers a scored cell by half")
        weights = (negative[sizes > 0] / sizes[sizes > 0, None]).sum(axis=0)
        return Score(auc(scene.saliency[scene.inside], scene.saliency, weights), 0.5)


@dataclass(frozen=True)
class InformationGain(TubeMetric):
    r"""Mean over G of log2 p - log2 q, in bits per cell: information beyond the other videos' ground truth.

    p is the saliency and q the mean of the N others' g, each divided by its sum and averaged with a uniform map that
    counts as one more video, (N p + 1 / n) / (N + 1): finite, and 0 for the prior itself. Chance is about 0: a prior
    from N videos errs, and a nearly uniform map had +.07 bits over 24 videos. Also undefined where no other video has
    evidence in the scored cells.

    $$\frac{1}{|G|} \sum_{i \in G} \log_2 \frac{N p_i + 1/n}{N q_i + 1/n}$$
    """

    bounds: ClassVar[tuple[float, float]] = (-inf, inf)
    chance_level: ClassVar[str] = "about 0 bits, for a fixed prior sometimes a little more; 0 for dataset_prior"
    reference: ClassVar[str] = "Kuemmerer et al. 2015, PNAS 112(52)"
    needs: ClassVar[frozenset[Need]] = frozenset({"evidence", "tracks", "other videos"})

    def measure(self, scene: ObjectTruth) -> Score:
        """Return the bits per ground-truth cell."""
        shares = others(scene)
        count, total = int(shares.any(axis=1).sum()), shares.sum(axis=0)
        if not count:
            raise UndefinedError("no other video has evidence in the cells that are scored")
        even = 1 / len(total)
        bits = np.log2(count * scene.density + even) - np.log2(count * total / total.sum() + even)
        return Score(float(bits[scene.inside].mean()), 0.0)


def others(scene: ObjectTruth) -> FloatArray:
    """Return shares (p, n) of the scored cells that the evidence of each other video covers.

    Raises UndefinedError when there is none.
    """
    peers = _others(scene.subject)
    is_other = peers.videos != scene.sample.video_id
    if not is_other.any():
        raise UndefinedError("no other video has annotated evidence")
    return peers.shares[is_other][:, scene.cells]


@per_subject
def _others(subject: Subject) -> Others:
    peers, grid = peers_with_evidence(subject.peers, subject.seed), subject.grid
    shares = peer_evidence(peers, subject.clip.times / subject.clip.end, grid.rows, grid.columns)
    return Others(np.array([peer.video_id for peer in peers], np.str_), shares)
