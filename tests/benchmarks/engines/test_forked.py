"""Jobs spread over processes: the same results in the same order, whatever happens to a process."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

from attrib.benchmarks.engines.forked import map_in_processes

HERE = os.getpid()


def in_child(then: Callable[[int], int]) -> Callable[[int], int]:
    return lambda job: then(job) if os.getpid() != HERE and job == 2 else job * job


@pytest.mark.parametrize("workers", [1, 2, 3, 20])
def test_results_come_in_the_jobs_order(workers: int) -> None:
    offset = 7  # a closure needs no pickling
    assert list(map_in_processes(lambda job: job * job + offset, range(6), workers)) == [
        job * job + 7 for job in range(6)
    ]
    assert list(map_in_processes(lambda job: job, [], workers)) == []


def test_every_process_has_one_thread_and_one_worker_is_this_process() -> None:
    assert set(map_in_processes(lambda _: (os.getpid() == HERE, torch.get_num_threads()), range(4), 2)) == {(False, 1)}
    assert set(map_in_processes(lambda _: os.getpid(), range(4), 1)) == {HERE}


def test_without_fork_this_process_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])  # as on Windows
    assert list(map_in_processes(lambda job: (os.getpid(), job), range(3), 2)) == [(HERE, job) for job in range(3)]


def test_threads_of_this_process_do_not_stop_the_others() -> None:
    """OpenCV and torch have used several threads before; a forked process has none of these."""
    picture = np.zeros((2000, 2000, 3), np.float32)

    def blur(job: int) -> float:
        cv2.GaussianBlur(picture, (0, 0), 5)
        return float((torch.ones(800, 800) @ torch.ones(800, 800)).sum()) * job

    before = cv2.getNumThreads(), torch.get_num_threads()
    try:
        cv2.setNumThreads(4)
        torch.set_num_threads(4)
        expected = [blur(job) for job in range(4)]
        assert list(map_in_processes(blur, range(4), 2)) == expected
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


def test_what_a_dead_process_leaves_is_done_here() -> None:
    def die(job: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return job

    assert list(map_in_processes(in_child(die), range(5), 2)) == [job * job for job in range(5)]


def test_an_error_of_the_work_is_raised_and_no_process_is_left() -> None:
    def fail(job: int) -> int:
        raise ValueError(f"job {job}")

    with pytest.raises(ValueError, match="job 2"):
        list(map_in_processes(in_child(fail), range(5), 2))
    assert not multiprocessing.active_children()


def test_a_caller_that_stops_early_stops_the_processes() -> None:
    results = map_in_processes(lambda job: job, range(100), 2)
    assert next(results) == 0
    results.close()
    assert not multiprocessing.active_children()
