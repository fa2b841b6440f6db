"""Cost of integrated gradients beside a plain call of Captum, on the built-in videos and model.

Captum is asked with Gauss-Legendre nodes, its own choice, at its default of 50 steps, and then with the fewest of a few
step counts that reach the same completeness error as ours. All run with the same baseline and batch, one after the
other on the same video, so that the ratios hold on a machine that does other work as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from captum.attr import IntegratedGradients as Captum
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from attrib import registry, video
from attrib.inputs.space import Baseline, baseline_of
from attrib.method import Attribution
from attrib.models.families.perception_lm import demo
from attrib.models.family_model import FamilyModel
from attrib.subject import Subject
from attrib.types import Sample

DEFAULT = 50  # steps of Captum where none are asked for
STEPS = (8, 12, 16, 24, 32, DEFAULT, 75, 100, 150)
TOLERANCE = 0.01  # completeness error that both have to reach
BATCH = 4
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """One video and baseline. Errors are |sum - (f(x) - f(x'))| / |f(x) - f(x')|.

    `captum_steps` is 0 where none of STEPS reaches the error of ours or TOLERANCE, whichever is larger; its seconds are
    then those of the most. `same_difference`: largest difference at equal nodes, as a share of the largest value.
    """

    sample: str
    baseline: Baseline
    error: float
    gradients: int
    forwards: int
    seconds: float
    default_error: float
    default_seconds: float
    captum_steps: int
    captum_seconds: float
    same_difference: float
    same_ratio: float


def measure_all(baselines: Sequence[Baseline], videos: int) -> list[Cost]:
    """Every built-in video with every baseline."""
    model = demo()
    samples = list(registry.get("datasets", "demo")(videos=videos, counterfactuals=False))
    jobs = [(sample, baseline) for baseline in baselines for sample in samples]
    shown = track(jobs, "integrated gradients", console=Console(stderr=True), transient=True)
    return [cost(subject_of(model, sample), sample, baseline) for sample, baseline in shown]


def subject_of(model: FamilyModel, sample: Sample) -> Subject:
    """The sample's video and question with the option that the model chooses."""
    return Subject.bind(model, video.read(sample.video, frames=model.frames), sample.question)


def cost(subject: Subject, sample: Sample, baseline: Baseline) -> Cost:
    """Ours and Captum's, one after the other."""
    seconds, found = timed(partial(ours, subject, baseline, 0))
    error = found.reports["completeness_error"]
    default_seconds, default = timed(partial(captums, subject, baseline, DEFAULT))
    default_error = captum_error(default, found)
    steps, needed = equal(subject, baseline, max(error, TOLERANCE), found)
    difference, ratio = same(subject, baseline)
    return Cost(
        sample.id, baseline, error, int(found.reports["gradient_evaluations"]),
        int(found.reports["forward_evaluations"]), seconds, default_error, default_seconds, steps, needed,
        difference, ratio,
    )  # fmt: skip


def ours(subject: Subject, baseline: Baseline, steps: int) -> Attribution:
    """Chosen nodes, or so many Gauss-Legendre nodes."""
    method = registry.get("methods", "integrated_gradients")(baseline=baseline, steps=steps, batch=BATCH)
    return method.values_and_reports(subject)


def captums(subject: Subject, baseline: Baseline, steps: int) -> Tensor:
    """Captum's attribution (t, h, w), colours summed."""
    found: Tensor = Captum(subject.score).attribute(
        subject.pixels[None], baseline_of(subject, "pixels", baseline), n_steps=steps, method="gausslegendre",
        internal_batch_size=BATCH,
    )  # fmt: skip
    return found.detach()[0].sum(dim=1)


def captum_error(values: Tensor, found: Attribution) -> float:
    """Its completeness error, against the same change of the score."""
    change = found.reports["score_change"]
    return abs(float(values.double().sum()) - change) / abs(change)


def equal(subject: Subject, baseline: Baseline, error: float, found: Attribution) -> tuple[int, float]:
    """The fewest steps that bring Captum to `error`, and their seconds; 0 and the seconds of the most if none does."""
    seconds = 0.0
    for steps in STEPS:
        seconds, values = timed(partial(captums, subject, baseline, steps))
        if captum_error(values, found) <= error:
            return steps, seconds
    return 0, seconds


def same(subject: Subject, baseline: Baseline, repeats: int = 3) -> tuple[float, float]:
    """Largest difference from Captum at its default number of nodes, and the ratio of the fastest of a few runs.

    Ours works its completeness error out as well, from the score of the baseline.
    """
    runs = [(timed(partial(ours, subject, baseline, DEFAULT)), timed(partial(captums, subject, baseline, DEFAULT)))
            for _ in range(repeats)]  # fmt: skip
    (_, mine), (_, theirs) = runs[0]
    difference = float((mine.values - theirs).abs().max() / theirs.abs().max())
    mine_seconds, their_seconds = (min(run[i][0] for run in runs) for i in (0, 1))
    return difference, mine_seconds / their_seconds


def timed(job: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds and result."""
    began = time.perf_counter()
    result = job()
    return time.perf_counter() - began, result


def table(found: Sequence[Cost]) -> Table:
    """One row a baseline: shares and medians over the videos."""
    shown = Table(
        "baseline", "videos", "error < 1 %", "gradients", "forwards", "Captum (50): error < 1 %", "steps for the same",
        "time of Captum's", "50 nodes: difference", "time", box=None,
    )  # fmt: skip
    for baseline in dict.fromkeys(item.baseline for item in found):
        rows = [item for item in found if item.baseline == baseline]
        needed = np.array([item.captum_steps or np.inf for item in rows])
        shown.add_row(
            baseline, str(len(rows)), f"{np.mean([item.error < TOLERANCE for item in rows]):.1%}",
            f"{np.median([item.gradients for item in rows]):.0f}", f"{np.median([item.forwards for item in rows]):.0f}",
            f"{np.mean([item.default_error < TOLERANCE for item in rows]):.1%}",
            f"{np.median(needed):.0f}", f"{sum(i.seconds for i in rows) / sum(i.captum_seconds for i in rows):.2f}",
            f"{max(item.same_difference for item in rows):.0e}",
            f"{np.median([item.same_ratio for item in rows]):.2f}",
        )  # fmt: skip
    return shown
