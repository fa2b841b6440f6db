"""Pieces of a run dealt out to workers that load the model themselves; whoever is free takes the next piece."""

from __future__ import annotations

import os
import socket
import time
import uuid
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from typing import Any, ClassVar

from attrib.benchmarks.engines.executor import Result, Stage
from attrib.benchmarks.engines.forked import BREAKS
from attrib.benchmarks.engines.parcels import packed, unpack
from attrib.benchmarks.engines.plugins import registered_sources
from attrib.benchmarks.engines.worker import (
    FilesNeeded,
    Loaded,
    PieceOutcome,
    Place,
    Refused,
    Setup,
    WorkPiece,
    code_of,
    device_type,
)  # fmt: skip
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.plan import Plan, read_samples
from attrib.config import Config, dataset, method_entries, metric_entries
from attrib.errors import InputError, first_line
from attrib.runtime.progress import Progress, report_progress
from attrib.types import Sample

GRACE = 30.0  # seconds that the first worker waits for the others, so that most bad input is found before a run begins
ABSENCE = 180.0  # seconds in which a worker that cannot be reached may come back, such as one whose node was lost
PAUSE = 1.0  # seconds before it is tried again
PATIENCE = 600.0  # seconds without any worker after which a run ends
TRIES = 3  # workers that a piece may end: after one was killed, the node on which it is tried again may go away too


class RemoteWorker(ABC):
    """Worker as the process that deals out the pieces sees it."""

    deaths: ClassVar[tuple[type[Exception], ...]]  # errors of a future whose worker has died
    absences: ClassVar[tuple[type[Exception], ...]] = ()  # those of them that may pass, such as a move to another node
    sees_directory = True  # until it says otherwise

    @abstractmethod
    def start(self) -> Future[Loaded | Refused]:
        """Start the worker, or start it again after its death."""

    @abstractmethod
    def submit(self, piece: WorkPiece) -> Future[PieceOutcome | FilesNeeded | Refused]:
        """Send a piece to the started worker."""


def setup_of(config: Config, check: Callable[[Plan], None], step: Progress | None) -> Setup:
    """Read the data set, and describe what workers start from. Raises InputError for bad input."""
    method_entries(config)
    metric_entries(config)
    samples = read_samples(config, dataset(config), step)
    paths = {each.video for each in samples} | {item.video for each in samples for item in each.counterfactuals}
    videos = tuple(sorted(path for path in paths if path.exists()))
    return Setup(config, samples, videos, registered_sources(), os.getcwd(), check)


class RemoteExecutor:
    """Executor whose workers run elsewhere. Call `begin` before all else."""

    def __init__(self, setup: Setup, crew: Sequence[RemoteWorker], note: str = "") -> None:
        self.setup, self.crew, self.note = setup, crew, note
        self.idle: list[RemoteWorker] = []
        self.starting: dict[Future[Loaded | Refused], RemoteWorker] = {}
        self._plan: Plan | None = None
        self._failed_starts: Counter[RemoteWorker] = Counter()
        self._absent: dict[RemoteWorker, float] = {}  # when a worker could first not be reached

    @property
    def plan(self) -> Plan:
        """Plan of the run; the workers hold its model."""
        assert self._plan is not None, "begin comes first"
        return self._plan

    @property
    def workers(self) -> int:
        """Number of processes."""
        return len(self.crew)

    def begin(self, step: Progress | None) -> None:
        """Start all workers; wait for the first, and for a while for the others. Raises InputError for bad input."""
        report_progress(step, f"starting {self.workers} workers", 0, 0)
        for worker in self.crew:
            self.start(worker)
        while not self.idle:
            self._join_some(None)
        until = time.monotonic() + GRACE
        while self.starting and (left := until - time.monotonic()) > 0:
            self._join_some(left)

    def start(self, worker: RemoteWorker) -> None:
        """Start a worker, or start it again after its death."""
        self.starting[worker.start()] = worker

    def join(self, future: Future[Loaded | Refused]) -> None:
        """Take a started worker on; try another time if it has died. Raises InputError if none can be used."""
        worker = self.starting.pop(future)
        try:
            loaded = future.result()
        except worker.deaths as error:
            if isinstance(error, worker.absences) and self._may_come_back(worker):
                time.sleep(PAUSE)
                self.start(worker)
                return
            self._failed_starts[worker] += 1
            if self._failed_starts[worker] < BREAKS:
                self.start(worker)
            elif not (self.idle or self.starting):
                raise InputError(f"no worker could load the model (not enough memory?): {first_line(error)}") from None
            return
        if isinstance(loaded, Refused):
            raise InputError(loaded.message)
        if self._plan is None:
            self._plan = Plan.of(self.setup.config, None, self.setup.samples, device_type(loaded.facts))
        if loaded.code != code_of(self.plan):
            raise InputError("a worker has other code than this process; install the same attrib and plug-ins there")
        self._absent.pop(worker, None)
        self.idle.append(worker)

    def map(
        self, stage: Stage[Result], run: RunDirectory, samples: Sequence[Sample], step: Progress | None = None
    ) -> Iterator[Result]:
        """Yield the result of the stage for each sample, in order. A piece whose worker dies is dealt out again."""
        del step  # samples are the steps of others' work
        with _shown(run) as place:
            yield from _Deal(self, stage, run, place, samples).results()

    def _may_come_back(self, worker: RemoteWorker) -> bool:
        return time.monotonic() - self._absent.setdefault(worker, time.monotonic()) < ABSENCE

    def _join_some(self, seconds: float | None) -> None:
        for future in wait(self.starting, seconds, FIRST_COMPLETED).done:
            self.join(future)


class _Deal:
    """Pieces of one stage: dealt out, collected, and dealt out again where a worker has died."""

    def __init__(
        self, executor: RemoteExecutor, stage: Stage[Any], run: RunDirectory, place: Place, samples: Sequence[Sample]
    ) -> None:
        self.executor, self.stage, self.run, self.place, self.samples = executor, stage, run, place, samples
        self.numbers = {sample.id: number for number, sample in enumerate(executor.plan.samples)}
        self.queue = deque(range(len(samples)))
        self.busy: dict[Future[PieceOutcome | FilesNeeded | Refused], tuple[RemoteWorker, int]] = {}
        self.done: dict[int, Any] = {}
        self.deaths: dict[int, list[str]] = {}  # by piece

    def results(self) -> Iterator[Any]:
        """Yield the results in order, from whichever worker. Raises InputError, at the end, for a deadly piece."""
        for number in range(len(self.samples)):
            while number not in self.done and (self.queue or self.busy):
                self._deal()
                self._collect()
            if number not in self.done:
                raise InputError(
                    f"{self.samples[number].id}: ended its worker {TRIES} times (not enough memory?), the other "
                    f"samples are computed: {self.deaths[number][-1]}"
                )
            self._deal()
            yield self.done.pop(number)

    def _deal(self) -> None:
        idle = self.executor.idle
        while self.queue and idle:
            worker, number = idle.pop(0), self.queue.popleft()
            sample = self.samples[number]
            files = None
            if not worker.sees_directory:
                files = packed(self.run.directory, (sample, *self.stage.others(sample)))
            self.busy[worker.submit(WorkPiece(self.stage.sent, self.place, self.numbers[sample.id], files))] = (
                worker,
                number,
            )

    def _collect(self) -> None:
        """Wait until a piece is done or a worker has started."""
        starting = self.executor.starting
        seconds = None if self.busy else PATIENCE
        pending: list[Future[Any]] = [*self.busy, *starting]
        finished = wait(pending, seconds, FIRST_COMPLETED).done
        if not finished:
            raise InputError("no worker is left; the same command goes on from here")
        for future in finished:
            if future in self.busy:
                self._take(future)
            else:
                self.executor.join(future)

    def _take(self, future: Future[Any]) -> None:
        worker, number = self.busy.pop(future)
        try:
            outcome = future.result()
        except worker.deaths as error:
            deaths = self.deaths.setdefault(number, [])
            deaths.append(first_line(error))
            if len(deaths) < TRIES:
                self.queue.appendleft(number)
            self.executor.start(worker)
            return
        self.executor.idle.append(worker)
        if isinstance(outcome, Refused):
            raise InputError(outcome.message)
        if isinstance(outcome, FilesNeeded):
            worker.sees_directory = False
            self.queue.appendleft(number)
            return
        unpack(self.run.directory, outcome.files)
        self.run.store.add_lines(outcome.log)
        self.done[number] = outcome.value


@contextmanager
def _shown(run: RunDirectory) -> Iterator[Place]:
    """Yield the place of a run, with a token in its directory by which workers know that they see it."""
    directory, store = run.directory.absolute(), run.store
    token = directory / f".seen.{uuid.uuid4().hex}.part"
    token.touch()
    try:
        yield Place(directory, token.name, store.retry_failed, store.log, socket.gethostname())
    finally:
        token.unlink(missing_ok=True)
