"""Are the most salient cells on the evidence? Rankings of cells against G."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.metrics import average_precision_score

from attrib.benchmarks.metrics.objects.ground_truth import ObjectTruth
from attrib.benchmarks.metrics.objects.mass import ARRAS, TubeMetric
from attrib.benchmarks.metrics.roc import auc
from attrib.metric import Score

UNIT = (0.0, 1.0)


@dataclass(frozen=True)
class ROCAUC(TubeMetric):
    r"""Area under the ROC curve of the cells ranked by saliency against G, ties half; in [0, 1], chance .5.

    $$P(s_i > s_j) + \frac{1}{2} P(s_i = s_j), \quad i \in G, \; j \notin G$$
    """

    bounds: ClassVar[tuple[float, float]] = UNIT
    chance_level: ClassVar[str] = ".5; a blob in the centre has more where evidence lies in the centre"
    reference: ClassVar[str] = "Judd et al. 2012; Bylinskii et al. 2019, arXiv 1604.03605"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return the probability that a cell of G outranks one outside."""
        return Score(auc(scene.saliency[scene.inside], scene.saliency[~scene.inside]), 0.5)


@dataclass(frozen=True)
class AveragePrecision(TubeMetric):
    r"""Average precision of the cells ranked by saliency against G, ties together; in (0, 1], chance |G| / n.

    $$\sum_k (R_k - R_{k-1}) P_k$$
    """

    bounds: ClassVar[tuple[float, float]] = UNIT
    chance_level: ClassVar[str] = "a, counted in whole cells: |G| / n"
    reference: ClassVar[str] = "Choe et al. 2020, arXiv 2001.07437 (pixel average precision)"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return the mean precision over the steps of recall."""
        return Score(float(average_precision_score(scene.inside, scene.saliency)), scene.share)


@dataclass(frozen=True)
class Pointing(TubeMetric):
    r"""Share of the maximal cells that are in G, in [0, 1]; ties count fractionally; chance |G| / n.

    $$\frac{|\mathrm{argmax} \, s \cap G|}{|\mathrm{argmax} \, s|}$$
    """

    bounds: ClassVar[tuple[float, float]] = UNIT
    chance_level: ClassVar[str] = "a, counted in whole cells: |G| / n"
    reference: ClassVar[str] = "Zhang et al. 2016, excitation backprop, arXiv 1608.00507 (the pointing game)"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return the share of hits among the maxima: 1 or 0 for a single one."""
        return Score(float(scene.inside[scene.saliency == scene.saliency.max()].mean()), scene.share)


@dataclass(frozen=True)
class RankAccuracy(TubeMetric):
    r"""Share of the top-|G| cells that are in G, in [0, 1]; ties at the border count fractionally; chance |G| / n.

    $$\frac{|\mathrm{top}_{|G|} \cap G|}{|G|}$$
    """

    bounds: ClassVar[tuple[float, float]] = UNIT
    chance_level: ClassVar[str] = "a, counted in whole cells: |G| / n"
    reference: ClassVar[str] = f"{ARRAS} (relevance rank accuracy)"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return hits over |G|."""
        return Score(top_hits(scene) / int(scene.inside.sum()), scene.share)


@dataclass(frozen=True)
class IoU(TubeMetric):
    r"""Intersection over union of the top-|G| cells with G, in [0, 1], ties as in `RankAccuracy`; chance a / (2 - a).

    $$\frac{|\mathrm{top}_{|G|} \cap G|}{|\mathrm{top}_{|G|} \cup G|}$$
    """

    bounds: ClassVar[tuple[float, float]] = UNIT
    chance_level: ClassVar[str] = "a / (2 - a), a counted in whole cells: |G| / n"
    reference: ClassVar[str] = "Jaccard 1912, of two sets of the same size"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return hits over the cells that are in either set."""
        hits, share = top_hits(scene), scene.share
        return Score(hits / (2 * int(scene.inside.sum()) - hits), share / (2 - share))


def top_hits(scene: ObjectTruth) -> float:
    """Return the number of top-|G| cells in G; cells that tie at the border count by their mean."""
    inside, saliency = scene.inside, scene.saliency
    count = int(inside.sum())
    border = np.partition(saliency, -count)[-count]
    above = saliency > border
    return float(inside[above].sum() + (count - int(above.sum())) * inside[saliency == border].mean())
