"""Simulated runs against closed forms: equal pieces, stragglers, one long video, failures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.simulate_scale import COSTS, Cluster, Worker, forward_seconds, main, pieces_of, queue, strides

EQUAL = [[3.0, 1.0]] * 12


def even(count: int, start: float = 0.0) -> Cluster:
    """GPUs of one speed that never fail."""
    return Cluster(count, slow=0, start=start)


@pytest.mark.parametrize("simulate", [queue, strides])
@pytest.mark.parametrize(("gpus", "rounds"), [(1, 12), (2, 6), (5, 3), (12, 1), (24, 1)])
def test_equal_videos_take_rounds(simulate: type[object], gpus: int, rounds: int) -> None:
    run = simulate(EQUAL, even(gpus, start=10))  # type: ignore[call-arg]
    assert run.makespan == 10 + 4 * rounds and run.work == 48  # type: ignore[attr-defined]
    assert run.efficiency == pytest.approx(48 / (gpus * (10 + 4 * rounds)))  # type: ignore[attr-defined]


def test_a_long_video_delays_its_stride_and_not_the_queue() -> None:
    """A video of 10 s first, 9 of 1 s: its stride of 2 GPUs has 4 more to do; a queue leaves those to the other GPU."""
    videos = [[10.0]] + [[1.0]] * 9
    assert strides(videos, even(2)).makespan == 14 and queue(videos, even(2)).makespan == 10
    assert queue(videos[::-1], even(2)).makespan == 4 + 10  # it comes last: nothing helps


def test_a_slow_gpu_does_less_of_a_queue() -> None:
    """Half the speed: of 12 videos of 4 s, 8 and 4 for the queue, 6 and 6 for strides."""
    half = Cluster(2, slow=0.5, slowdown=2.0)
    assert queue(EQUAL, half).makespan == 8 * 4 and strides(EQUAL, half).makespan == 6 * 8


def test_a_failure_loses_the_piece_in_work_alone() -> None:
    """Pieces end at 3, 4, 7, ...; a failure at 5 loses 2 s of the third, which begins anew at 5 + 10."""
    worker = Worker(1.0, 0.0, iter([0.5]))
    worker.start = 10.0
    worker.run([3.0])
    assert (worker.free, worker.failed) == (10.5 + 3, 1)

    def at(*times: float) -> Iterator[float]:
        return iter(times)

    worker = Worker(1.0, 0.0, at(5.0, 9.0, 100.0))  # the second falls into the restart
    worker.start = 10.0
    for pieces in EQUAL[:3]:
        worker.run(pieces)
    assert (worker.free, worker.failed) == (15 + 3 + 1 + 4, 1)


def test_failures_come_as_often_as_they_should() -> None:
    """Pieces of 1 s, a failure in 100 s on average: each piece fails e^.01 - 1 times, by the geometric series."""
    run = strides([[1.0] * 1000] * 200, Cluster(20, slow=0, between=100.0))
    assert run.failures == pytest.approx(200_000 * (2.718281828**0.01 - 1), rel=0.05)


def test_costs_of_videos_have_the_mean_that_was_asked_for() -> None:
    videos = pieces_of(4000, 2.0, 0.3)
    assert len(videos[0]) == len(COSTS) == 20
    assert sum(map(sum, videos)) / 4000 == pytest.approx(2 * sum(COSTS.values()), rel=0.03)
    assert videos == pieces_of(4000, 2.0, 0.3)


def test_the_forward_pass_is_arithmetic() -> None:
    assert forward_seconds(8e9) == pytest.approx(2 * 8e9 * 4296 / (312e12 * 0.4))


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--forward-seconds", "1", "--gpus", "1024", "--between-hours", "inf", "--slow", "0", "--spread", "0"])
    words = capsys.readouterr().out.split()
    hours = (60 + 6 * sum(COSTS.values())) / 3600  # 6,000 videos on 1,024 GPUs: 6 rounds
    efficiency = f"{6000 * sum(COSTS.values()) / (1024 * 3600 * hours):.0%}"
    assert words[-8:] == ["1,024", *[f"{hours:.2f}", "h", efficiency] * 2, "0"]
