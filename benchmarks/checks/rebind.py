"""A map made again under another condition, with the same thing explained, and how like the first it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from attrib.benchmarks.perturb.cells import cell_values, require_contrast
from attrib.subject import Subject, Target
from attrib.types import Clip, Question, SaliencyVolume

FloatArray = NDArray[np.float64]


def with_clip(subject: Subject, clip: Clip) -> Subject:
    """The subject's model, as it is now, asked again about `clip`: what is explained stays, whatever it answers now."""
    bound = Subject.bind(subject.model, clip, subject.question, fixed_target(subject), subject.seed)
    return replace(bound, sample=subject.sample, peers=subject.peers)


def with_question(subject: Subject, question: Question) -> Subject:
    """The same video with another question; what is explained is what the model answers to it."""
    bound = Subject.bind(subject.model, subject.clip, question, None, subject.seed)
    return replace(bound, sample=subject.sample, peers=subject.peers)


def fixed_target(subject: Subject) -> Target:
    """The subject's target by name, so that another answer of the model does not move it."""
    return Target("option", subject.explained) if subject.target.kind in ("predicted", "correct") else subject.target


def on_tokens(volume: SaliencyVolume, subject: Subject) -> FloatArray:
    """The signed map (t, rows, columns) on the subject's token grid."""
    return cell_values(volume, subject, subject.grid.rows, subject.grid.columns)


def similarity(one: FloatArray, two: FloatArray) -> float:
    """Spearman's correlation of two maps, signed; of the very same map 1, constant or not.

    Raises UndefinedError when they differ and one of them is the same everywhere.
    """
    if np.array_equal(one, two):
        return 1.0
    for values in (one, two):
        require_contrast(values)
    return float(spearmanr(one.ravel(), two.ravel()).statistic)
