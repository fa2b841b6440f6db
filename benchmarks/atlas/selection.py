"""Heads chosen on one half of the videos and reported on the other, and the other way round.

What a choice gains on the videos that it was made on is no result: among many heads some look good by luck. Only the
other half counts, beside all heads and as many random ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attrib.benchmarks.stats.bootstrap import clustered_interval
from attrib.benchmarks.stats.permutation import sign_flip
from attrib.benchmarks.stats.products import Floats
from attrib.benchmarks.stats.resampling import USUAL, Resampling
from attrib.benchmarks.stats.totals import totals

SELECTING = ("object_auc", "shuffled_auc")  # the statistic that heads are chosen by: the first that has values
RANDOM_CHOICES = 1000
Head = tuple[int, int]  # layer, head
Halves = list[tuple[NDArray[np.bool_], list[int]]]  # reported samples (n,), and heads chosen on the others


@dataclass(frozen=True, eq=False)
class Scores:
    """One statistic of every head, `values` (samples, heads), with each sample's video.

    `resampling` is that of intervals and tests; its seed is that of the split and the random choices too.
    """

    values: Floats
    videos: Sequence[Hashable]
    resampling: Resampling = USUAL

    def of(self, chosen: NDArray[np.bool_]) -> Scores:
        """Return the scores of the chosen samples."""
        videos = [video for video, wanted in zip(self.videos, chosen, strict=True) if wanted]
        return Scores(self.values[chosen], videos, self.resampling)

    def summary(self, values: Floats) -> dict[str, Any]:
        """Mean over samples of `values` (samples,) and its interval over videos."""
        return clustered_interval(values, self.videos, self.resampling)._asdict()


def first_half(videos: Sequence[Hashable], seed: int) -> NDArray[np.bool_]:
    """(n,) True for samples in the first half of the videos, the greater one of an odd number; split at random."""
    known = sorted(set(videos), key=str)
    order = np.random.default_rng(seed).permutation(len(known))
    first = {known[index] for index in order[: -(-len(known) // 2)]}
    return np.array([video in first for video in videos], bool)


def best(scores: Scores, top: int) -> list[int]:
    """The `top` heads of greatest mean, best first; ties go to the earlier head, heads without a value never win."""
    mean = totals(scores.values, scores.videos).mean()
    order = np.argsort(np.where(np.isnan(mean), np.inf, -mean), kind="stable")
    return [int(head) for head in order[:top] if not np.isnan(mean[head])]


def report(scores: Scores, heads: Sequence[int]) -> dict[str, Any]:
    """Report heads that were chosen elsewhere: their mean, that of all heads, of random choices, and the difference.

    `random_heads` gives the mean over choices of as many heads, its central 95 %, and `p`, the share of choices that
    reach the chosen heads' mean, (1 + #>=) / (1 + B).
    """
    own, every = (mean_over(scores.values[:, list(part)]) for part in (heads, range(scores.values.shape[1])))
    return {
        "chosen": scores.summary(own), "all_heads": scores.summary(every),
        "random_heads": _random(random_means(scores, len(heads)), own),
        "difference": {**scores.summary(own - every), "p": p_difference(scores, own - every)},
    }  # fmt: skip


def add_corrected(selection: dict[str, Any], both: Halves, twin: Scores) -> None:
    """Add to the reports on the chosen heads the mean of their re-paired twin (samples, heads), as `corrected`."""
    crossed = np.full(len(twin.values), np.nan)
    for (samples, heads), half in zip(both, selection.get("halves", ()), strict=True):
        part = twin.of(samples)
        crossed[samples] = mean_over(part.values[:, heads])
        half["corrected"] = part.summary(crossed[samples])
    if both:
        selection["both"]["corrected"] = twin.summary(crossed)


def p_difference(scores: Scores, differences: Floats) -> float:
    """Two-sided p of paired differences (samples,), by sign flips of whole videos."""
    return float(sign_flip(totals(differences[:, None], scores.videos), scores.resampling)[0])


def random_means(scores: Scores, count: int, offset: int = 0) -> Floats:
    """(choices, samples) means over `count` heads drawn from all, with the scores' seed plus `offset`."""
    generator = np.random.default_rng(scores.resampling.seed + offset)
    heads = scores.values.shape[1]
    drawn = (generator.choice(heads, count, replace=False) for _ in range(RANDOM_CHOICES))
    return np.stack([mean_over(scores.values[:, choice]) for choice in drawn])


def _random(means: Floats, own: Floats) -> dict[str, float]:
    if np.isnan(own).all():
        return dict.fromkeys(("mean", "low", "high", "p"), float("nan"))
    drawn = mean_over(means[:, ~np.isnan(own)])
    drawn = drawn[~np.isnan(drawn)]  # heads without a value anywhere say nothing
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    reached = int((drawn >= float(np.nanmean(own)) - 1e-9).sum())
    return {"mean": float(drawn.mean()), "low": low, "high": high, "p": (1 + reached) / (1 + len(drawn))}


def mean_over(values: Floats) -> Floats:
    """(samples,) means over the heads that have a value."""
    known = ~np.isnan(values)
    sums, counts = np.where(known, values, 0).sum(axis=1), known.sum(axis=1)
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)


def halves(scores: Scores, top: int) -> Halves:
    """Return for each half its samples and the heads that were chosen on the other half."""
    first = first_half(scores.videos, scores.resampling.seed)
    return [(~first, best(scores.of(first), top)), (first, best(scores.of(~first), top))]


def crossed(scores: Scores, both: Halves) -> dict[str, Any]:
    """Cross-validated `report`: each video is scored with the heads chosen on the other half."""
    own, every = np.full(len(scores.values), np.nan), mean_over(scores.values)
    drawn = np.full((RANDOM_CHOICES, len(scores.values)), np.nan)
    for offset, (samples, heads) in enumerate(both):
        half = scores.of(samples)
        own[samples] = mean_over(half.values[:, heads])
        drawn[:, samples] = random_means(half, len(heads), offset)
    return {
        "chosen": scores.summary(own), "all_heads": scores.summary(every), "random_heads": _random(drawn, own),
        "difference": {**scores.summary(own - every), "p": p_difference(scores, own - every)},
    }  # fmt: skip
