"""Cost of integrated gradients beside a plain call of Captum, on the built-in videos and model.

Captum is asked with Gauss-Legendre nodes, its own choice, at its default of 50 steps, and then with the fewest of a few
step counts that reach the same completeness error as ours, and the fewest that come as close to a densely sampled
reference. All run with the same baseline and batch, one after the other on the same video, so that the ratios hold on a
machine that does other work as well.
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
from attrib.demo.built_in import demo
from attrib.inputs.path import Path
from attrib.inputs.space import Baseline, baseline_of
from attrib.method import Attribution
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
    """One video and baseline. Errors are |sum - (f(x) - f(x'))| / |f(x) - f(x')|, distances those to the reference.

    A distance is the L2 norm of the difference over that of the reference. `sum_steps` is 0 where none of STEPS reaches
    the error of ours or TOLERANCE, whichever is larger, and `map_steps` where none comes as close to the reference as
    ours; their seconds are then those of the most. `same_difference`: largest difference at equal nodes, as a share of
    the largest value.
    """

    sample: str
    baseline: Baseline
    error: float
    distance: float
    gradients: int
    forwards: int
    seconds: float
    default_error: float
    default_distance: float
    default_seconds: float
    sum_steps: int
    sum_seconds: float
    map_steps: int
    map_seconds: float
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
    error, change = found.reports["completeness_error"], found.reports["score_change"]
    reference = Path.of(subject, "pixels", baseline, BATCH).integral(change)
    distance = reference.distance(found.values)
    runs = Captums(subject, baseline, {})
    default_seconds, default = runs.at(DEFAULT)
    by_sum = runs.fewest(lambda values: sum_error(values, change) <= max(error, TOLERANCE))
    by_map = runs.fewest(lambda values: reference.distance(values) <= distance)
    return Cost(
        sample.id, baseline, error, distance, int(found.reports["gradient_evaluations"]),
        int(found.reports["forward_evaluations"]), seconds, sum_error(default, change), reference.distance(default),
        default_seconds, *by_sum, *by_map, *same(subject, baseline),
    )  # fmt: skip


@dataclass(frozen=True)
class Captums:
    """Captum's attributions of one video with their seconds, each number of steps computed once."""

    subject: Subject
    baseline: Baseline
    known: dict[int, tuple[float, Tensor]]

    def at(self, steps: int) -> tuple[float, Tensor]:
        """Seconds and values."""
        if steps not in self.known:
            self.known[steps] = timed(partial(captums, self.subject, self.baseline, steps))
        return self.known[steps]

    def fewest(self, good: Callable[[Tensor], bool]) -> tuple[int, float]:
        """The fewest of STEPS whose values are good, and their seconds; 0 and the seconds of the most if none is."""
        for steps in STEPS:
            if good(self.at(steps)[1]):
                return steps, self.at(steps)[0]
        return 0, self.at(STEPS[-1])[0]


def ours(subject: Subject, baseline: Baseline, steps: int) -> Attribution:
    """Chosen nodes, or so many Gauss-Legendre nodes."""
    method = registry.get("methods", "integrated_gradients")(
        baseline=baseline, steps=steps, batch=BATCH, checked=0
    )  # fmt: skip
    return method.values_and_reports(subject)


def captums(subject: Subject, baseline: Baseline, steps: int) -> Tensor:
    """Captum's attribution (t, h, w), colours summed."""
    found: Tensor = Captum(subject.score).attribute(
        subject.pixels[None], baseline_of(subject, "pixels", baseline), n_steps=steps, method="gausslegendre",
        internal_batch_size=BATCH,
    )  # fmt: skip
    return found.detach()[0].sum(dim=1)


def sum_error(values: Tensor, change: float) -> float:
    """Completeness error."""
    return abs(float(values.double().sum()) - change) / abs(change)


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
        "baseline", "videos", "error < 1 %", "L2", "gradients", "forwards", "Captum (50): error < 1 %", "L2",
        "steps for the same error", "time of Captum's", "steps for the same L2", "time of Captum's",
        "50 nodes: difference", "time", box=None,
    )  # fmt: skip
    for baseline in dict.fromkeys(item.baseline for item in found):
        rows = [item for item in found if item.baseline == baseline]
        seconds = sum(item.seconds for item in rows)
        shown.add_row(
            baseline, str(len(rows)), f"{np.mean([item.error < TOLERANCE for item in rows]):.1%}",
            f"{np.median([item.distance for item in rows]):.1%}",
            f"{np.median([item.gradients for item in rows]):.0f}", f"{np.median([item.forwards for item in rows]):.0f}",
            f"{np.mean([item.default_error < TOLERANCE for item in rows]):.1%}",
            f"{np.median([item.default_distance for item in rows]):.1%}",
            f"{np.median([item.sum_steps or np.inf for item in rows]):.0f}",
            f"{seconds / sum(item.sum_seconds for item in rows):.2f}",
            f"{np.median([item.map_steps or np.inf for item in rows]):.0f}",
            f"{seconds / sum(item.map_seconds for item in rows):.2f}",
            f"{max(item.same_difference for item in rows):.0e}", f"{np.median([item.same_ratio for item in rows]):.2f}",
        )  # fmt: skip
    return shown
