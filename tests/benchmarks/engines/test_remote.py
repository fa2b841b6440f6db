"""Workers that cannot be reached for a while, or not at all."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest

from attrib.benchmarks.engines import remote
from attrib.benchmarks.engines.forked import BREAKS
from attrib.benchmarks.engines.remote import RemoteExecutor, RemoteWorker, setup_of
from attrib.benchmarks.engines.worker import FilesNeeded, Loaded, PieceOutcome, Refused, WorkPiece
from attrib.config import parse
from attrib.demo.generate import generate
from attrib.errors import InputError


class Unreachable(RemoteWorker):
    """Every start fails: the machine is away, or the process has died."""

    deaths = (ConnectionError,)
    absences = (ConnectionRefusedError,)

    def __init__(self, error: Exception) -> None:
        self.error, self.starts = error, 0

    def start(self) -> Future[Loaded | Refused]:
        self.starts += 1
        future: Future[Loaded | Refused] = Future()
        future.set_exception(self.error)
        return future

    def submit(self, piece: WorkPiece) -> Future[PieceOutcome | FilesNeeded | Refused]:
        raise AssertionError("it never started")


@pytest.mark.parametrize(("error", "seconds"), [(ConnectionRefusedError("away"), 0.2), (ConnectionError("dead"), 0.0)])
def test_a_worker_that_is_away_is_tried_for_longer_than_one_that_dies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, seconds: float
) -> None:
    monkeypatch.setattr(remote, "ABSENCE", seconds)
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    world = generate(tmp_path / "world", videos=1, seed=5)
    config = parse({"data": {"name": "perception_test", "root": str(world)}, "methods": {"centre": None},
                    "metrics": {"mass": None}})  # fmt: skip
    worker = Unreachable(error)
    executor = RemoteExecutor(setup_of(config, lambda plan: None, None), [worker])
    with pytest.raises(InputError, match="no worker could load the model"):
        executor.begin(None)
    assert worker.starts > 5 if seconds else worker.starts == BREAKS
