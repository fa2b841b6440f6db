"""Does the map stay the same under pixel noise that does not change the answer?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar

import numpy as np
import torch

from attrib.benchmarks.perturb.cells import UndefinedError, on_tokens
from attrib.method import require_at_least
from attrib.metric import NAN, Direction, Remake, RemakingMetric, Score
from attrib.runtime.selection import is_selected
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need


@dataclass(frozen=True)
class MaxSensitivity(RemakingMetric):
    r"""Largest relative L2 change of the map under noise of `radius` that leaves the answer the same; 0 is best.

    Noise is uniform in [-radius, radius] for each colour of each pixel of the model's input in [0, 1], `draws` times;
    draws that change the chosen option are left out. Each costs another map of the method, so `share` selects a part of
    the samples by a hash of their ids; the others are undefined. Maps are compared on the token grid. A map that does
    not depend on the video has 0, so read it beside faithfulness. Also undefined for a map of zeros and where every
    draw changes the answer.

    $$\max_k \frac{|M(x + \epsilon_k) - M(x)|_2}{|M(x)|_2}$$
    """

    direction: ClassVar[Direction] = "low"
    bounds: ClassVar[tuple[float, float]] = (0.0, inf)
    chance_level: ClassVar[str] = "none: a map that ignores the video never changes"
    reference: ClassVar[str] = "Yeh et al. 2019, arXiv 1901.09392, definition 3.1, relative to the map's own norm"
    needs: ClassVar[frozenset[Need]] = frozenset({"model"})

    radius: float = 0.02  # of the noise, for colours in [0, 1]
    draws: int = 3  # of noise; each takes another map
    share: float = 1.0  # of the samples, selected by a hash of their ids

    def __post_init__(self) -> None:
        require_at_least("draws", self.draws, 1)
        if not 0 < self.radius <= 1:
            raise ValueError(f"radius: expected more than 0 and at most 1, got {self.radius}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share: expected more than 0 and at most 1, got {self.share}")

    def score(self, volume: SaliencyVolume, remake: Remake, subject: Subject, sample: Sample) -> Score:
        """Return the score of one item; `remake` computes the method's map of another subject."""
        try:
            if not is_selected(sample.id, self.share):
                raise UndefinedError(f"not among the selected {100 * self.share:g} % of the samples (share)")
            before = on_tokens(volume, subject)
            norm = float(np.linalg.norm(before))
            if not norm:
                raise UndefinedError("the saliency is zero everywhere")
            changes = [float(np.linalg.norm(on_tokens(remake(noisy), subject) - before)) / norm
                       for noisy in self.versions(subject)]  # fmt: skip
        except UndefinedError as case:
            return Score.undefined(str(case))
        if not changes:
            return Score.undefined(f"noise of radius {self.radius:g} changes the answer in every draw")
        return Score(max(changes), NAN)

    def versions(self, subject: Subject) -> Iterator[Subject]:
        """Yield the subject with noise in its pixels, for each draw that leaves the chosen option the same."""
        for draw in range(self.draws):
            rng = np.random.default_rng([subject.seed, 6, draw])
            noise = torch.from_numpy(rng.uniform(-self.radius, self.radius, tuple(subject.pixels.shape)))
            pixels = (subject.pixels + noise.to(subject.pixels)).clamp(0, 1)
            with torch.no_grad():
                logprobs = subject.model.option_logprobs(pixels[None], subject.question)[0].float()
            if not subject.question.options or int(logprobs.argmax()) == subject.predicted:
                yield replace(subject, pixels=pixels, logprobs=logprobs)
