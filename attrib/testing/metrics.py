"""Conformance check of metrics."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from attrib.metric import AnyMetric, ContrastMetric, RemakingMetric, Score
from attrib.subject import Subject
from attrib.testing.toy_model import COLUMNS, FRAMES, ROWS
from attrib.testing.toy_world import RED, toy_counterfactuals, toy_sample, toy_subject, toy_volume
from attrib.types import Sample


def check_metric(metric: AnyMetric) -> None:
    """Raise AssertionError unless `metric` fulfils the contract of its attrib base class on the toy sample.

    The true evidence has a finite value at least as good as its inverse. A volume of zeros has NaN with a reason, or a
    value no better than chance. A sample without annotation has NaN with a reason, or the same value as with it. A
    ContrastMetric compares each volume with its inverse; for a RemakingMetric the evidence is the volume that stays the
    same, and its inverse changes into the evidence.
    """
    with tempfile.TemporaryDirectory() as folder:
        _check_scores(metric, replace(toy_sample(), counterfactuals=toy_counterfactuals(Path(folder))))


def _check_scores(metric: AnyMetric, sample: Sample) -> None:
    subject, bare = toy_subject(), replace(sample, tracks=(), segments=(), evidence=(), counterfactuals=())
    oracle = np.full((FRAMES, ROWS, COLUMNS), 0.01, np.float32)
    oracle[RED] = 1
    best, worst = (_scored(metric, values, subject, sample) for values in (oracle, 1.01 - oracle))
    assert math.isfinite(best.value) and math.isfinite(worst.value), f"{metric}: undefined on a plain case"
    better = best.value >= worst.value if metric.direction == "high" else best.value <= worst.value
    assert better, f"{metric}: the evidence scores {best.value}, its inverse {worst.value}, best is {metric.direction}"
    assert _scored(metric, oracle, subject, sample) == best, f"{metric}: two calls differ"
    nothing = _scored(metric, np.zeros_like(oracle), subject, sample)
    alone = _scored(metric, oracle, subject, bare)
    for score in (nothing, alone):
        assert isinstance(score, Score), f"{metric}: expected a Score, got {type(score).__name__}"
    gain = (nothing.value - nothing.chance) * (1 if metric.direction == "high" else -1)
    assert not gain > 1e-6, f"{metric}: a volume of zeros scores {nothing.value}, chance is {nothing.chance}"
    assert alone.reason or alone == best, f"{metric}: without annotation it scores {alone.value}, with it {best.value}"


def _scored(
    metric: AnyMetric, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], subject: Subject,
    sample: Sample,
) -> Score:  # fmt: skip
    if isinstance(metric, ContrastMetric):
        return metric.score(toy_volume(values), toy_volume(1.01 - values), subject, sample)
    if isinstance(metric, RemakingMetric):
        again = np.maximum(values, 0.01)
        again[RED] = 1
        return metric.score(toy_volume(values), lambda _: toy_volume(again), subject, sample)
    return metric.score(toy_volume(values), subject, sample)
