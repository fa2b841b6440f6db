"""Ray: clusters of this machine, of one node and of three; actors, nodes and commands are really killed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

import attrib as package
from attrib.benchmarks.jobs.store import Store
from attrib.errors import InputError
from attrib.settings import engine as engine_settings
from attrib.settings.engine import Engine

from engine_cases import assert_same_run, forget_plugins, logged, settings

pytestmark = pytest.mark.slow

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
Run = Callable[..., tuple[int, str, str]]
HOME = "127.0.0.1"
PROGRESS = re.compile(r"(starting|connecting to Ray|reading the data set|\d+ of \d+|video_|sanity|floors|nulls|tables)")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _plugins() -> Iterator[None]:
    yield
    forget_plugins()


@pytest.fixture
def run(home: Path) -> dict[str, Any]:
    return {**settings(home), "workers": 2}


@pytest.fixture(scope="module")
def one(home: Path) -> Path:
    """The run of one process."""
    assert not package.bench(settings(home), home / "one", engine=Engine("process")).failures
    forget_plugins()
    return home / "one"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Three nodes with a CPU each; the first is the head."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    cluster = Cluster()
    try:
        _add(cluster, {**node, "_system_config": {"worker_niceness": 0}})
        for _ in range(2):
            _add(cluster, node)
        yield cluster
    finally:
        cluster.shutdown()


def _add(cluster: Any, node: dict[str, Any]) -> None:
    """Add a node, which Ray wants to answer within 30 s; a busy machine has another try."""
    try:
        cluster.add_node(**node)
    except Exception:
        cluster.add_node(**node)


def children() -> list[psutil.Process]:
    return [each for each in psutil.Process().children(recursive=True) if "resource_tracker" not in str(each)]


def test_an_own_cluster_is_silent_stays_on_this_machine_and_is_equal_to_one_process(
    attrib: Run, run: dict[str, Any], home: Path, one: Path, tmp_path: Path
) -> None:
    """The workers do not see the run's directory: a descriptor's path means it in this process only."""
    before, listening = set(children()), set()
    (tmp_path / "bench.yaml").write_text(yaml.safe_dump(run, sort_keys=False))
    forget_plugins()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        folder = Path(f"/proc/self/fd/{descriptor}/run")
        with Listening(listening):
            code, out, err = attrib(
                "bench", tmp_path / "bench.yaml", "--plugin", home / "deadly.py", "-O", folder, "--engine", "ray"
            )
    finally:
        os.close(descriptor)
    assert (code, "Leaderboard" in out) == (0, True), err
    assert not [line for line in err.splitlines() if not PROGRESS.match(line)], err
    assert_same_run(tmp_path / "run", one)
    assert logged(tmp_path / "run") == logged(one)
    assert {line["pid"] for line in Store(tmp_path / "run").logged()}.isdisjoint({os.getpid()})
    assert listening == {HOME}
    assert set(children()) <= before


class Listening:
    """Gathers the addresses on which this process's children listen, every now and then."""

    def __init__(self, found: set[str]) -> None:
        self.found, self.ended = found, threading.Event()
        self.thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self.ended.wait(0.5):
            for process in children():
                try:
                    connections = process.net_connections()
                except psutil.Error:
                    continue
                self.found |= {
                    each.laddr.ip.removeprefix("::ffff:") for each in connections if each.status == psutil.CONN_LISTEN
                }

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()


def test_an_actor_and_a_node_are_killed_and_nothing_is_lost_or_computed_twice(
    run: dict[str, Any], home: Path, one: Path, cluster: Any, tmp_path: Path
) -> None:
    (home / "fuse").touch()
    gone = []

    def step(what: str, done: int, total: int) -> None:
        if done and not gone:
            gone.append(what)
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    outcome = package.bench(run, tmp_path, step=step, engine=Engine("ray", cluster.address))
    assert gone and not (home / "fuse").exists(), "a node and an actor were killed"
    assert outcome.failures == ()
    assert_same_run(tmp_path, one)
    assert outcome.computed == sum(logged(tmp_path).values())


def test_a_killed_command_leaves_no_actor_and_goes_on(
    run: dict[str, Any], home: Path, one: Path, cluster: Any, tmp_path: Path
) -> None:
    process, _, lines = started(run, home, cluster, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    actor = psutil.Process(lines[0]["pid"])
    assert not psutil.wait_procs([actor], timeout=60)[1]
    package.bench(run, tmp_path / "run", engine=Engine("process"))
    assert_same_run(tmp_path / "run", one, twice=1)


def started(
    run: dict[str, Any], home: Path, cluster: Any, folder: Path
) -> tuple[subprocess.Popen[bytes], list[object], list[dict[str, Any]]]:
    """Start a command with one actor; return it, its arguments and the lines of its log as soon as there are some."""
    (folder / "bench.yaml").write_text(yaml.safe_dump({**run, "workers": 1}, sort_keys=False))
    command = ["bench", folder / "bench.yaml", "--plugin", home / "deadly.py", "-O", folder / "run"]
    command += ["--engine", "ray", "--address", cluster.address]
    process = subprocess.Popen([sys.executable, "-m", "attrib", *map(str, command)])
    store, until = Store(folder / "run"), time.monotonic() + 300
    while not (lines := list(store.logged())):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    return process, command, lines


def test_of_two_runs_into_one_directory_the_second_is_refused_and_the_first_goes_on(
    attrib: Run, run: dict[str, Any], home: Path, one: Path, cluster: Any, tmp_path: Path
) -> None:
    process, command, _ = started(run, home, cluster, tmp_path)
    forget_plugins()
    psutil.Process(process.pid).suspend()  # it holds its lock, and cannot end before the other one has begun
    try:
        code, out, err = attrib(*command)
    finally:
        psutil.Process(process.pid).resume()
    said = [line for line in err.splitlines() if line.startswith("attrib: ")]  # a slow start shows its progress too
    assert (code, out, len(said)) == (2, "", 1) and "is at work here" in said[0], err
    assert process.wait(timeout=300) == 0
    assert_same_run(tmp_path / "run", one)


def refused(result: tuple[int, str, str], message: str) -> None:
    code, out, err = result
    assert (code, out) == (2, "")
    assert message in err and err.count("\n") == 1, err


def test_what_does_not_fit_is_one_line_and_writes_nothing(
    attrib: Run, run: dict[str, Any], home: Path, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((HOME, 0)) as free:
        nobody = f"{HOME}:{free.getsockname()[1]}"
    config = tmp_path / "bench.yaml"
    config.write_text(yaml.safe_dump({**run, "methods": {"centre": None}, "workers": None}, sort_keys=False))
    bench = ("bench", config, "-O", tmp_path / "run", "--json", "--engine", "ray")
    refused(attrib(*bench, "--address", nobody), f"--address {nobody}: no Ray cluster answers there")
    refused(attrib(*bench, "--address", "ray://head:10001"), "expected HOST:PORT of a cluster's head")
    refused(attrib(*bench, "--set", "model.device=cuda:1"), "leave out model.device, or let it be cpu")
    there = (*bench, "--address", cluster.address)
    refused(
        attrib(*there, "--worker-gpus", 1), "1 workers of 1 CPUs, 1 GPUs each do not fit, 0 do; the cluster's nodes"
    )
    refused(attrib(*there, "--worker-cpus", 2), "1 workers of 2 CPUs, 0 GPUs each do not fit")
    refused(attrib(*there, "--worker-memory", 1e6), "and 1e+06 GiB each do not fit")
    refused(attrib(*bench[:-1], "rey"), "--engine rey: unknown engine; did you mean 'ray'?")
    refused(attrib(*bench[:-1], "gpus", "--worker-gpus", 1), "--worker-gpus: only --engine ray has it")
    descriptor = os.open(home, os.O_RDONLY)
    config.write_text(
        yaml.safe_dump({**run, "methods": {"centre": None}, "workers": 1,
                        "data": {"name": "perception_test", "root": f"/proc/self/fd/{descriptor}/world"}})
    )  # fmt: skip
    refused(attrib(*there), "video_60000.mp4; put the data where all workers see it under the same path")
    os.close(descriptor)
    monkeypatch.setattr(engine_settings, "find_spec", lambda name: None)
    refused(attrib(*bench), "--engine ray: needs the package ray; pip install 'attrib[ray]'")
    assert not (tmp_path / "run").exists()


def test_a_class_of_a_notebook_is_refused(run: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package.registry.get("methods", "deadly"), "__module__", "__main__")
    with pytest.raises(InputError, match="method 'deadly' is defined in __main__, which other processes cannot import"):
        package.bench(run, tmp_path / "run", engine=Engine("ray"))
