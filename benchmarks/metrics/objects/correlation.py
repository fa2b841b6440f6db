"""Does the saliency rise and fall with the evidence? Standard scores and correlations over the scored cells."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np
from scipy.stats import pearsonr, spearmanr

from attrib.benchmarks.metrics.objects.ground_truth import ObjectTruth
from attrib.benchmarks.metrics.objects.mass import TubeMetric
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.metric import Score


@dataclass(frozen=True)
class NSS(TubeMetric):
    r"""Normalised scanpath saliency: mean over G of (s - mean) / std, both over all n scored cells; chance 0.

    $$\frac{1}{|G|} \sum_{i \in G} \frac{s_i - \bar{s}}{\sigma_s}$$
    """

    bounds: ClassVar[tuple[float, float]] = (-inf, inf)
    chance_level: ClassVar[str] = "0; a blob in the centre has more where evidence lies in the centre"
    reference: ClassVar[str] = "Peters et al. 2005; Bylinskii et al. 2019, arXiv 1604.03605"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return the mean saliency of the evidence, in standard deviations."""
        centred = scene.saliency - scene.saliency.mean()
        return Score(float(centred[scene.inside].mean() / scene.saliency.std()), 0.0)


@dataclass(frozen=True)
class Pearson(TubeMetric):
    r"""Pearson correlation of s with g over the scored cells, in [-1, 1]; chance 0.

    Also undefined where the evidence covers all scored cells equally.

    $$\frac{\mathrm{cov}(s, g)}{\sigma_s \sigma_g}$$
    """

    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    chance_level: ClassVar[str] = "0"
    reference: ClassVar[str] = "Le Meur et al. 2007; Bylinskii et al. 2019, arXiv 1604.03605"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return r."""
        _require_contrast_of_truth(scene)
        return Score(float(pearsonr(scene.saliency, scene.truth).statistic), 0.0)


@dataclass(frozen=True)
class Spearman(TubeMetric):
    r"""Spearman rank correlation of s with g over the scored cells, ties at their mean rank; in [-1, 1], chance 0.

    Also undefined where the evidence covers all scored cells equally.

    $$\rho(s, g) = \frac{\mathrm{cov}(\mathrm{rank} \, s, \mathrm{rank} \, g)}{\sigma_{\mathrm{rank} \, s} \,
    \sigma_{\mathrm{rank} \, g}}$$
    """

    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    chance_level: ClassVar[str] = "0"
    reference: ClassVar[str] = "Spearman 1904"

    def measure(self, scene: ObjectTruth) -> Score:
        """Return rho."""
        _require_contrast_of_truth(scene)
        return Score(float(spearmanr(scene.saliency, scene.truth).statistic), 0.0)


def _require_contrast_of_truth(scene: ObjectTruth) -> None:
    if float(np.ptp(scene.truth)) <= 1e-9:
        raise UndefinedError("the evidence covers all cells that are scored alike")
