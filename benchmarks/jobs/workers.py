"""Share the jobs of a run among processes; the results are the same whatever their number."""

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
BREAKS = 2  # times in a row that processes may die before this one takes the job in turn

_work: Callable[[Any], Any]  # of a worker process


def map_in_processes(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Yield the result of `work` for each job, in order, from at most `workers` processes with one thread each.

    They are forked, so that model and plug-ins need not be loaded again; where Python cannot fork (Windows) this
    process does all jobs. When a process dies, new ones resume with the unfinished jobs; a job at which that happens
    twice is done in this process, where it has the memory to itself. They are stopped at once when the caller stops,
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
    """Yield results from one pool of processes. Raises BrokenProcessPool when one of them dies."""
    before = set(multiprocessing.active_children())
    life = os.pipe()  # its writing end closes with this process
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
    """Limit OpenCV and torch to one thread, as in every worker process: more would round sums in another order.

    Fork processes within this context: one that inherits OpenCV's threads waits for them for ever.
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells them to stop
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # and how
    torch.set_num_threads(1)
    os.close(life[1])
    threading.Thread(target=_end_with_parent, args=life[:1], daemon=True).start()


def _end_with_parent(life: int) -> None:
    os.read(life, 1)  # nothing is ever written: this ends when the parent has
    os._exit(1)


def _do(job: Any) -> Any:
    return _work(job)
