"""Seam between a run and the processes that compute its pieces: a stage of work goes in, results come out in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from attrib.benchmarks.engines.forked import map_in_processes
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.plan import Plan
from attrib.runtime.progress import Progress
from attrib.types import Sample

Result = TypeVar("Result")


def _none(sample: Sample) -> Sequence[Sample]:
    del sample
    return ()


@dataclass(frozen=True)
class Stage(Generic[Result]):
    """One kind of work on each sample of a run; its records go through the run's store.

    `prepare` returns the function of a sample that does the work, for one process. It can be pickled, as the results
    can. `others`: further samples whose records the work on a sample reads.
    """

    name: str
    prepare: Callable[[Plan, RunDirectory, Progress | None], Callable[[Sample], Result]]
    others: Callable[[Sample], Sequence[Sample]] = _none

    @property
    def sent(self) -> Stage[Result]:
        """The stage for a worker, which is sent the others' records."""
        return replace(self, others=_none)


class Executor(Protocol):
    """Processes that compute the pieces of a run."""

    @property
    def plan(self) -> Plan:
        """Plan of the run."""

    @property
    def workers(self) -> int:
        """Number of processes."""

    @property
    def note(self) -> str:
        """Reason why there are fewer processes than configured; empty if there are not."""

    def map(
        self, stage: Stage[Result], run: RunDirectory, samples: Sequence[Sample], step: Progress | None = None
    ) -> Iterator[Result]:
        """Yield the result of the stage for each sample, in order.

        `step` hears of the progress within a sample, where this process does the work. Raises NotWritten if records
        cannot be stored, and InputError if the processes cannot go on.
        """


@dataclass(frozen=True, eq=False)
class LocalExecutor:
    """This process, or forks of it, which hold the same model without loading it again."""

    plan: Plan
    workers: int = 1
    note: str = ""

    def map(
        self, stage: Stage[Result], run: RunDirectory, samples: Sequence[Sample], step: Progress | None = None
    ) -> Iterator[Result]:
        """Yield the result of the stage for each sample, in order."""
        work = stage.prepare(self.plan, run, step if self.workers == 1 else None)
        return map_in_processes(work, samples, self.workers)
