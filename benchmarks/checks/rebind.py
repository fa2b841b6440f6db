"""Subjects with a changed clip or question for a second map, and the similarity of two maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from attrib.benchmarks.perturb.cells import require_contrast
from attrib.subject import Subject, Target
from attrib.types import Clip, Question

FloatArray = NDArray[np.float64]


def with_clip(subject: Subject, clip: Clip) -> Subject:
    """Bind the subject's model, in its current state, to another clip; the explained target stays the same."""
    bound = Subject.bind(subject.model, clip, subject.question, fixed_target(subject), subject.seed)
    return replace(bound, sample=subject.sample, peers=subject.peers)


def with_question(subject: Subject, question: Question) -> Subject:
    """Bind the model to the same video with another question; the explained target is the model's answer to it."""
    bound = Subject.bind(subject.model, subject.clip, question, None, subject.seed)
    return replace(bound, sample=subject.sample, peers=subject.peers)


def fixed_target(subject: Subject) -> Target:
    """Return the subject's target by name, so that another answer of the model does not change it."""
    return Target("option", subject.explained) if subject.target.kind in ("predicted", "correct") else subject.target


def similarity(first: FloatArray, second: FloatArray) -> float:
    """Spearman's correlation of two signed maps; 1 for equal maps, even constant ones.

    Raises UndefinedError if they differ and one of them is constant.
    """
    if np.array_equal(first, second):
        return 1.0
    for values in (first, second):
        require_contrast(values)
    return float(spearmanr(first.ravel(), second.ravel()).statistic)
