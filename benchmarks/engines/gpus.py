"""One process for each GPU of this machine; each loads the model onto its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from types import ModuleType

import torch

from attrib.benchmarks.engines.remote import RemoteExecutor, RemoteWorker, setup_of
from attrib.benchmarks.engines.worker import FilesNeeded, Loaded, PieceOutcome, Refused, SampleWorker, Setup, WorkPiece
from attrib.benchmarks.jobs.plan import Plan
from attrib.config import Config
from attrib.errors import InputError
from attrib.runtime.progress import Progress

_worker: SampleWorker  # of a worker process


def devices() -> list[str]:
    """Return the names of the GPUs that this process sees."""
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


@contextmanager
def gpu_executor(config: Config, check: Callable[[Plan], None], step: Progress | None) -> Iterator[RemoteExecutor]:
    """Start a process on each GPU, at most `workers`, and end them after the context. Raises InputError."""
    found = devices()
    if not found:
        raise InputError("--engine gpus: this process sees no GPU; choose the engine process, fork or ray")
    if config.model.device != "auto" or config.model.device_map:
        raise InputError("--engine gpus: chooses the devices itself; leave out model.device and model.device_map")
    used = found[: config.workers]
    setup = setup_of(config, check, step)
    crew = [GpuWorker(setup, device) for device in used]
    fewer = config.workers is not None and len(used) < config.workers
    executor = RemoteExecutor(setup, crew, f"this process sees {len(found)} GPUs" if fewer else "")
    try:
        executor.begin(step)
        yield executor
    finally:
        for worker in crew:
            worker.close()


class GpuWorker(RemoteWorker):
    """Process that is started anew, since CUDA does not survive a fork."""

    deaths = (BrokenProcessPool,)

    def __init__(self, setup: Setup, device: str) -> None:
        self._setup, self._device = setup, device
        self._pool: ProcessPoolExecutor | None = None
        self._processes: set[BaseProcess] = set()

    def start(self) -> Future[Loaded | Refused]:
        """Start the process, or a new one after its death."""
        self.close()
        before = set(multiprocessing.active_children())
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_begin)
        with _without_main():
            started = self._pool.submit(_start, self._setup, self._device)
        self._processes = set(multiprocessing.active_children()) - before
        return started

    def submit(self, piece: WorkPiece) -> Future[PieceOutcome | FilesNeeded | Refused]:
        """Send a piece to the started process; one that has died says so by the future."""
        assert self._pool is not None, "start comes first"
        try:
            return self._pool.submit(_do, piece)
        except BrokenProcessPool as error:
            failed: Future[PieceOutcome | FilesNeeded | Refused] = Future()
            failed.set_exception(error)
            return failed

    def close(self) -> None:
        """End the process at once."""
        for process in self._processes:
            process.terminate()
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the caller's script while a process starts, which would run it again; workers need only modules."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by this signal
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
    os._exit(1)


def _start(setup: Setup, device: str) -> Loaded | Refused:
    global _worker
    _worker = SampleWorker(device)
    return _worker.start(setup)


def _do(piece: WorkPiece) -> PieceOutcome | FilesNeeded | Refused:
    return _worker.do(piece)
