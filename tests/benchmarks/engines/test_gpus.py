"""One process for each GPU: CPU devices stand in for GPUs, all else is real."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import pytest

import attrib
from attrib import api
from attrib.benchmarks.engines import gpus
from attrib.benchmarks.engines.choose import chosen
from attrib.benchmarks.engines.forked import one_thread
from attrib.benchmarks.jobs.store import Store
from attrib.config import Config
from attrib.errors import InputError
from attrib.settings.engine import AUTO, Engine

from engine_cases import assert_same_run, forget_plugins, logged, settings

pytestmark = pytest.mark.slow

GPUS = Engine("gpus")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _two_devices(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(gpus, "devices", lambda: ["cpu", "cpu"])
    before = set(psutil.Process().children(recursive=True))
    yield
    forget_plugins()
    left = set(psutil.Process().children(recursive=True)) - before
    assert not [each for each in left if "resource_tracker" not in " ".join(each.cmdline())]


@pytest.fixture
def run(home: Path) -> dict[str, Any]:
    return settings(home)


@pytest.fixture(scope="module")
def one(home: Path) -> Path:
    """The run of one process."""
    assert not attrib.bench(settings(home), home / "one", engine=Engine("process")).failures
    forget_plugins()
    return home / "one"


def pids(folder: Path) -> set[int]:
    """Processes that computed something."""
    return {line["pid"] for line in Store(folder).logged()}


def test_two_processes_give_the_bits_of_one_though_one_of_them_is_killed(
    run: dict[str, Any], home: Path, one: Path, tmp_path: Path
) -> None:
    (home / "fuse").touch()
    outcome = attrib.bench(run, tmp_path, engine=GPUS)
    assert not (home / "fuse").exists(), "a process was killed"
    assert outcome.failures == () and outcome.warnings == ()
    assert_same_run(tmp_path, one)
    assert logged(tmp_path) == logged(one)
    assert outcome.computed == sum(logged(one).values())
    assert len(pids(tmp_path)) >= 2 and os.getpid() not in pids(tmp_path)
    again = attrib.bench(run, tmp_path, engine=Engine("process"))
    assert again.computed == 0, "their records are those of one process"


def test_workers_that_do_not_see_the_directory_send_their_records(
    run: dict[str, Any], one: Path, tmp_path: Path
) -> None:
    """A descriptor's path means this directory in this process only."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        folder = Path(f"/proc/self/fd/{descriptor}/run")
        first = attrib.bench({**run, "workers": 1}, folder, engine=GPUS)
        assert first.computed == sum(logged(one).values())
        assert_same_run(tmp_path / "run", one)
        assert pids(tmp_path / "run").isdisjoint({os.getpid()})
    finally:
        os.close(descriptor)


def test_a_piece_that_always_kills_its_process_is_named_after_the_others(run: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "fuse").touch()
    run |= {"methods": {"deadly": {"folder": str(tmp_path), "number": 60001, "lasting": True}}, "workers": 1}
    with pytest.raises(InputError, match=r"60001_0: ended its worker 3 times \(not enough memory\?\), the other"):
        attrib.bench(run, tmp_path / "run", engine=GPUS)
    assert len(list((tmp_path / "run" / "volumes").iterdir())) == 3


def test_a_killed_command_leaves_no_process_and_goes_on(run: dict[str, Any], one: Path, tmp_path: Path) -> None:
    process = _start(run, tmp_path)
    until = time.monotonic() + 300
    while not pids(tmp_path):
        assert time.monotonic() < until and process.is_alive()
        time.sleep(0.01)
    workers = [psutil.Process(pid) for pid in pids(tmp_path)]
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert not psutil.wait_procs(workers, timeout=30)[1]
    attrib.bench(run, tmp_path, engine=GPUS)
    assert_same_run(tmp_path, one)


def _start(run: dict[str, Any], folder: Path) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=api.bench, args=(run, folder), kwargs={"engine": GPUS})
    with one_thread():
        process.start()
    return process


def test_what_cannot_be_shared_is_refused_before_anything_is_written(
    run: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"model": {"name": "demo", "device": "cpu"}}, "chooses the devices itself"),
        ({"metrics": {"mass": {"no": 1}}}, "metrics.mass.no: unknown key"),
        ({"data": {"name": "perception_test", "root": str(tmp_path / "no")}}, "no"),
    )
    for change, message in changes:
        with pytest.raises(InputError, match=message):
            attrib.bench({**run, **change}, tmp_path / "run", engine=GPUS)
    monkeypatch.setattr(gpus, "devices", list)
    with pytest.raises(InputError, match="this process sees no GPU"):
        attrib.bench(run, tmp_path / "run", engine=GPUS)
    assert not (tmp_path / "run").exists()


def test_several_gpus_are_used_unless_the_settings_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)

    def engine(engine: Engine = AUTO, **settings: Any) -> str:
        return chosen(engine, Config(methods={}, metrics={}, **settings))

    assert engine() == engine(workers=2) == "gpus"
    assert engine(workers=1) == engine(model={"device": "cpu"}) == engine(model={"device_map": "auto"}) == "auto"
    assert engine(Engine("process")) == "process"
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert engine() == "auto"
    monkeypatch.delenv("LOCAL_RANK")
    monkeypatch.setattr(gpus, "devices", lambda: ["cuda:0"])
    assert engine() == "auto"
