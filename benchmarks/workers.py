"""Several processes for the samples of a run; what they compute is the same whatever their number."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, TypeVar

import cv2
import torch

Job = TypeVar("Job")
Result = TypeVar("Result")

_work: Callable[[Any], Any]  # what this process was forked for


def spread(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """`work` done on each job, in the jobs' order, by at most so many processes with one thread each.

    They are forked, so that model and plug-ins need not be loaded again; a job whose process dies is done here. When
    the caller stops, by Ctrl-C too, they are stopped at once.
    """
    if min(workers, len(jobs)) < 2:
        yield from map(work, jobs)
        return
    done = 0
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=partial(_begin, work))
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # here, since a forked process that inherits OpenCV's threads waits for them for ever
    try:
        for result in pool.map(_do, jobs):
            yield result
            done += 1
    except BrokenProcessPool:
        yield from map(work, jobs[done:])
    finally:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads)


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells them to stop
    torch.set_num_threads(1)


def _do(job: Any) -> Any:
    return _work(job)
