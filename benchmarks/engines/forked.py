"""Distribution of a run's jobs over processes; the results do not depend on their number."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import cv2
import torch

Job = TypeVar("Job")
Result = TypeVar("Result")
BREAKS = 2  # consecutive deaths of worker processes after which this process does the next job itself

_work: Callable[[Any], Any]  # function that a worker process applies to its jobs


def map_in_processes(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Yield the result of `work` for each job, in order, from at most `workers` processes with one thread each.

    Processes are forked, so that they need not load model and plug-ins again; where Python cannot fork (Windows), this
    process does all jobs. If a process dies, new ones resume with the unfinished jobs; if that happens twice at the
    same job, this process does it, without others that need memory. The processes stop at once when the caller stops,
    also by Ctrl-C, and end when it is killed.
    """
    if min(workers, len(jobs)) < 2 or not can_fork():
        yield from map(work, jobs)
        return
    done = broken = 0
    while done < len(jobs):
        try:
            for result in _shared(work, jobs[done:], workers):
                yield result
                done, broken = done + 1, 0
        except BrokenProcessPool:
            broken += 1
            if broken == BREAKS:
                with one_thread():
                    result = work(jobs[done])
                yield result
                done, broken = done + 1, 0


def can_fork() -> bool:
    """Return whether this platform's Python can fork processes."""
    return "fork" in multiprocessing.get_all_start_methods()


def _shared(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Yield results from one pool of processes. Raises BrokenProcessPool if one of them dies."""
    before = set(multiprocessing.active_children())
    life = os.pipe()  # the operating system closes its writing end when this process ends
    context = multiprocessing.get_context("fork")
    with one_thread():
        pool = ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=partial(_begin, work, life))
        try:
            yield from pool.map(_do, jobs)
        finally:
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
            pool.shutdown(cancel_futures=True)
            for end in life:
                os.close(end)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit OpenCV and torch to one thread, as in every worker process, since more would sum in another order.

    Fork processes only within this context: a process that inherits OpenCV's threads waits for them forever.
    """
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


def _begin(work: Callable[[Any], Any], life: tuple[int, int]) -> None:
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by this signal
    torch.set_num_threads(1)
    os.close(life[1])
    threading.Thread(target=_end_with_parent, args=life[:1], daemon=True).start()


def _end_with_parent(life: int) -> None:
    os.read(life, 1)  # returns when the parent has ended, since nothing is ever written
    os._exit(1)


def _do(job: Any) -> Any:
    return _work(job)
