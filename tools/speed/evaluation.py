"""The evaluator beside a plain loop: `python -m tools.speed.evaluation [--json]`.

The built-in model on built-in videos, one thread. A plain loop asks the model once for every step of every metric and
caches nothing; its code is `plain`. Both take turns within one run, a metric each; figures are processor seconds,
which other programs hardly change. Then the time of 10,000 perturbed forwards in two processes, extrapolated
from those of random orders of the cells, of which no two versions are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from attrib import models, registry, video
from attrib.benchmarks.engines.forked import map_in_processes
from attrib.benchmarks.metrics.faithfulness import SHARES
from attrib.benchmarks.metrics.flips import SHARE, random_others
from attrib.benchmarks.metrics.infidelity import Infidelity
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.benchmarks.perturb.curves import Order, cells_of, plans_of, saliency_order, without
from attrib.benchmarks.perturb.evaluator import answers, cell_shape
from attrib.config import build
from attrib.errors import AttribError
from attrib.imputer import BoolArray, Canvas, Imputer, PixelImputer, TokenImputer
from attrib.model import VideoModel
from attrib.subject import Subject
from attrib.types import Sample

METHODS = ("grad_cam", "raw_attention", "relevance", "input_x_gradient", "motion", "random")
TARGET = 10_000  # forwards
ORDERS = 25  # random ones for each of two processes: 1150 forwards
Made = TypeVar("Made")


@dataclass(frozen=True)
class EvaluatorCost:
    """The versions of one imputer that metrics of several methods ask for: one by one, and by the evaluator.

    Seconds of the processor; `difference` is the largest of all log-probabilities.
    """

    imputer: str
    asked: str
    versions: int
    distinct: int
    plain: float
    evaluator: float
    difference: float


def plain(subject: Subject, imputer: Imputer, removed: BoolArray) -> Tensor:
    """Option log-probabilities (n, o), one forward for each version."""
    canvas, logprobs = Canvas(subject.pixels, *cell_shape(subject)[1:], subject.seed), []
    fill = imputer.prepare(canvas) if isinstance(imputer, PixelImputer) else None
    with torch.no_grad():
        for cells in removed:
            pixels = fill(cells) if fill else subject.pixels
            keep = imputer.keep(cells, subject.grid) if isinstance(imputer, TokenImputer) else None
            logprobs.append(subject.model.score_tokens(subject.model.encode(pixels[None]), subject.question, keep)[0])
    return torch.stack(logprobs).float().cpu()


def steps_of(order: Order, chance: Order, subject: Subject) -> Mapping[str, BoolArray]:
    """Versions that each metric evaluates for one order of the cells, with its chance level, (n, t, rows, columns)."""
    cells, (most, least, inserted) = len(order), plans_of(len(order))[1]
    shares = [cells_of(share, cells) for share in SHARES]
    top, only = [(0, 0), *((0, k) for k in shares)], [(0, 0), *((k, cells) for k in shares)]
    tenth = cells_of(SHARE, cells)
    walked = {"deletion": most, "insertion": inserted, "comprehensiveness": top, "sufficiency": only}
    found = {
        name: [given[slice(*ranks)] for given in (order, chance) for ranks in plan] for name, plan in walked.items()
    }
    found["srg"] = [order[slice(*ranks)] for plan in (most, least) for ranks in plan]
    found["flip_rate"] = [order[:tenth], random_others(order, tenth, subject.seed)]
    asked = {name: np.stack([without(chosen, subject) for chosen in chosens]) for name, chosens in found.items()}
    return {**asked, "infidelity": Infidelity().sets(subject)}


def curve_steps(order: Order, subject: Subject) -> BoolArray:
    """Every step of the three curves of one order."""
    return np.stack([without(order[slice(*ranks)], subject) for plan in plans_of(len(order))[1] for ranks in plan])


def compared(subject: Subject, name: str, asked: str, parts: Sequence[BoolArray]) -> EvaluatorCost:
    """Both on each of `parts`, taking turns; the evaluator knows nothing at the start."""
    subject, imputer = replace(subject), build("imputers", name).item
    slow = fast = difference = 0.0
    for part in parts:
        (took, one), (needed, two) = (timed(partial(how, subject, imputer, part)) for how in (plain, answers))
        slow, fast = slow + took, fast + needed
        difference = max(difference, float((one - two).abs().max()))
    versions = [cells.tobytes() for part in parts for cells in part]
    return EvaluatorCost(name, asked, len(versions), len(set(versions)), slow, fast, difference)


def timed(job: Callable[[], Made]) -> tuple[float, Made]:
    """Seconds of the processor, and the result."""
    began = time.process_time()
    made = job()
    return time.process_time() - began, made


def orders_of(subject: Subject, methods: Sequence[str]) -> list[Order]:
    """The methods' orders of the cells, and a random one at the end."""
    volumes = [registry.get("methods", method)().attribute(subject) for method in methods]
    chance = np.random.default_rng(1).permutation(int(np.prod(cell_shape(subject))))
    return [*(saliency_order(volume, subject) for volume in volumes), chance]


def compare_all(subject: Subject, methods: Sequence[str], imputers: Sequence[str]) -> list[EvaluatorCost]:
    """Compare, for each imputer, the curves alone and all metrics with their chance levels."""
    *orders, chance = orders_of(subject, methods)
    curves = [curve_steps(order, subject) for order in orders]
    metrics = [part for order in orders for part in steps_of(order, chance, subject).values()]
    jobs = [(imputer, asked, parts) for imputer in imputers
            for asked, parts in (("curves", curves), ("metrics", metrics))]  # fmt: skip
    shown = track(jobs, "comparing", console=Console(stderr=True), transient=True)
    return [compared(subject, *job) for job in shown]


@dataclass(frozen=True)
class Rate:
    """Number of versions that two processes evaluated, with wall-clock seconds and processor seconds of both."""

    forwards: int
    seconds: float
    processor: float

    @property
    def undisturbed(self) -> float:
        """Seconds for TARGET forwards on two cores that nobody else uses."""
        return self.processor / 2 / self.forwards * TARGET

    @property
    def here(self) -> float:
        """Seconds for TARGET forwards at the pace of this run."""
        return self.seconds / self.forwards * TARGET


def forwards(subjects: Sequence[Subject], orders: int) -> Rate:
    """Versions of random orders, each subject's in a process."""
    began, before = time.perf_counter(), _children()
    made = list(map_in_processes(partial(_random_orders, subjects, orders), range(len(subjects)), 2))
    return Rate(sum(made), time.perf_counter() - began, _children() - before)


def _children() -> float:
    """Seconds of the processor that ended processes took."""
    times = os.times()
    return times.children_user + times.children_system


def _random_orders(subjects: Sequence[Subject], orders: int, index: int) -> int:
    subject, rng = replace(subjects[index]), np.random.default_rng(index)
    seen: set[bytes] = set()
    for _ in range(orders):
        steps = curve_steps(rng.permutation(int(np.prod(cell_shape(subject)))), subject)
        answers(subject, build("imputers", "blur").item, steps)
        seen.update(cells.tobytes() for cells in steps if cells.any())
    return len(seen)


def bound(model: VideoModel, samples: Sequence[Sample]) -> list[Subject]:
    """One subject for each sample."""
    clips = [video.read(sample.video, frames=model.frames) for sample in samples]
    return [
        replace(Subject.bind(model, clip, sample.question), sample=sample)
        for clip, sample in zip(clips, samples, strict=True)
    ]


def table(found: Sequence[EvaluatorCost]) -> Table:
    """A row for each comparison."""
    names = ("imputer", "asked by", "versions", "distinct", "plain loop", "evaluator", "ratio", "differ by")
    shown = Table(*names, box=None)
    for row in found:
        shown.add_row(
            row.imputer, row.asked, str(row.versions), str(row.distinct), f"{row.plain:.1f} s",
            f"{row.evaluator:.1f} s", f"{row.evaluator / row.plain:.2f}", f"{row.difference:.0e}",
        )  # fmt: skip
    return shown


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only JSON")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=registry.names("methods"))
    parser.add_argument("--imputers", nargs="+", default=["blur", "token"], choices=registry.names("imputers"))
    parser.add_argument("--orders", type=int, default=ORDERS, help="random orders for each of the two processes")
    given = parser.parse_args()
    torch.set_num_threads(1)  # a pool of threads would not survive the fork, and would share two cores with others
    if given.orders < 1:
        parser.error(f"--orders: expected 1 or more, got {given.orders}")
    samples = list(islice(registry.get("datasets", "demo")(), 2))
    subjects = bound(models.load("demo"), samples)
    try:
        found = compare_all(subjects[0], given.methods, given.imputers)
    except (AttribError, UndefinedError) as error:
        parser.error(f"--methods: expected methods that rank the cells of a single video: {error}")
    rate = forwards(subjects, given.orders)
    if given.json:
        whole = {"forwards": TARGET, "seconds": rate.here, "seconds_on_free_cores": rate.undisturbed}
        rows = [asdict(row) for row in found]
        print(json.dumps({"comparisons": rows, "two_processes": asdict(rate), "extrapolated": whole}, indent=2))
        return
    Console().print(table(found))
    print(
        f"{rate.forwards} perturbed forwards in two processes: {rate.seconds:.1f} s, {rate.processor:.1f} s of the "
        f"processor; {TARGET:,} would take {rate.here:.0f} s, on two free cores {rate.undisturbed:.0f} s (extrapolated)"
    )


if __name__ == "__main__":
    main()
