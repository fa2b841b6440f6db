"""Does what the map marks matter to this question? Removal under the question and under a neutral one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from attrib.benchmarks.metrics.cache import per_subject
from attrib.benchmarks.metrics.faithfulness import Comprehensiveness, CurveMetric
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.benchmarks.perturb.curves import Curves
from attrib.benchmarks.perturb.evaluator import share_steps
from attrib.metric import Direction
from attrib.runtime.memory import fitting
from attrib.subject import Subject

NEUTRAL = "What does the video show?"


@dataclass(frozen=True)
class Synergy(CurveMetric):
    r"""Comprehensiveness under the question minus that under a neutral question with the same options; high is good.

    Mean over k of f(x, q) - f(x, q0) - [f(x without top k, q) - f(x without top k, q0)] with the neutral question q0
    in place of q: what removal costs this question alone. Negative where the marked cells matter more to any other
    question. Also undefined for a question that is the neutral one.

    $$C(Q) - C(Q_0), \quad C(Q) = \frac{1}{5} \sum_q \left[ f(x, Q) - f(x_{\setminus \mathrm{top}(q)}, Q) \right]$$
    """

    direction: ClassVar[Direction] = "high"
    reference: ClassVar[str] = "arXiv 2605.22168 (cross-modal interaction), for removal"

    neutral: str = NEUTRAL  # text of the neutral question

    def __post_init__(self) -> None:
        if not self.neutral.strip():
            raise ValueError("neutral: expected the text of a question, got an empty one")

    def read(self, curves: Curves) -> float:
        """Return the interaction of the removed cells with the question."""
        other = replace(curves, subject=neutral_subject(curves.subject, self.neutral))
        of_drop = Comprehensiveness(self.imputer, self.of)
        return of_drop.read(curves) - of_drop.read(other)


@per_subject
def neutral_subject(subject: Subject, text: str) -> Subject:
    """Return the subject with `text` in place of its question; the explained option or answer stays the same.

    Raises UndefinedError if that is the question.
    """
    if subject.question.text.strip() == text.strip():
        raise UndefinedError("the question is the neutral one")
    with fitting(subject.model.dtype, "asking the neutral question", len(subject.clip)):
        other = subject.asked(text)
    share_steps(subject, other)
    return other
