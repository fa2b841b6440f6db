"""Shards of a run: together they are equal to one run, whenever they begin and however they end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

import attrib
from attrib import api, registry
from attrib.benchmarks.engines.forked import one_thread
from attrib.benchmarks.jobs.store import Store
from attrib.data.perception_test import PerceptionTest
from attrib.demo.generate import generate
from attrib.errors import InputError
from attrib.method import PeerControl
from attrib.subject import Subject
from attrib.types import Sample

from engine_cases import assert_same_run, logged

pytestmark = pytest.mark.slow

Settings = dict[str, Any]


@dataclass(frozen=True)
class SameTask:
    """The samples of a folder, as if all were of one task, so that each has partners."""

    root: str

    def __iter__(self) -> Iterator[Sample]:
        yield from (replace(each, task="one") for each in PerceptionTest(self.root))


@dataclass(frozen=True)
class CountsPeers(PeerControl):
    """A ramp as steep as there are other videos; a pause before it."""

    def from_peers(self, subject: Subject, peers: tuple[Sample, ...]) -> torch.Tensor:
        time.sleep(0.1)
        return (torch.arange(len(subject.clip)) * len(peers) + 1.0)[:, None, None].expand(-1, 2, 2)


@pytest.fixture(autouse=True)
def _plugins() -> Iterator[None]:
    registry.register("datasets", SameTask)
    registry.register("methods", CountsPeers)
    yield
    for kind in registry.KINDS:
        registry._files[kind].clear()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    world = generate(tmp_path_factory.mktemp("world"), videos=4, seed=6)
    return {
        "data": {"name": "same_task", "root": str(world)}, "methods": {"motion": None, "counts_peers": None},
        "metrics": {"mass": None, "deletion": None}, "imputers": ["mean"], "overlays": 0, "resamples": 100,
        "model": {"name": "demo", "frames": 4}, "sanity": {"videos": 1, "stages": 1}, "floors": {"videos": 2},
        "null_pairs": 2, "null_metrics": ["mass"],
    }  # fmt: skip


@pytest.fixture(scope="module")
def one(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run, without shards."""
    registry.register("datasets", SameTask)
    registry.register("methods", CountsPeers)
    folder = tmp_path_factory.mktemp("one")
    assert not attrib.bench(settings, folder).failures
    return folder


def start(settings: Settings, folder: Path, shard: str) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=api.bench_shard, args=(shard, settings, folder))
    with one_thread():
        process.start()
    return process


def kinds(folder: Path, log: str) -> Counter[str]:
    return Counter(line["item"].split("/")[0] for line in Store(folder, log=log).logged_here(0))


def test_two_shards_at_once_and_then_the_command_without_are_equal_to_one_run(
    settings: Settings, one: Path, tmp_path: Path
) -> None:
    shards = [start({**settings, "workers": number}, tmp_path, f"{number}/2") for number in (1, 2)]
    for process in shards:
        process.join()
    assert [process.exitcode for process in shards] == [0, 0]
    assert not list(tmp_path.glob("*.parquet")) and not list(tmp_path.glob("*.csv"))
    for number in (1, 2):
        counts = kinds(tmp_path, f"log.shard-{number}-of-2.jsonl")
        assert (counts["answers"], counts["volumes"], counts["scores"]) == (2, 4, 8)
    again = [api.bench_shard(shard, settings, tmp_path) for shard in ("1/2", "2/2")]
    assert [each.left for each in again] == [{}, {}], "now the maps of both are there"
    outcome = attrib.bench(settings, tmp_path)
    assert outcome.computed == 0
    assert_same_run(tmp_path, one)
    assert set(logged(tmp_path).values()) == {1}
    assert logged(tmp_path) == logged(one)


def test_a_killed_shard_goes_on_where_it_was_beside_another(settings: Settings, one: Path, tmp_path: Path) -> None:
    other, victim = (start(settings, tmp_path, shard) for shard in ("2/2", "1/2"))
    own = Store(tmp_path, log="log.shard-1-of-2.jsonl")
    while victim.is_alive() and sum(1 for _ in own.logged_here(0)) < 3:
        time.sleep(0.005)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    assert (tmp_path / "shard-1-of-2.lease").exists()
    again = start(settings, tmp_path, "1/2")
    for process in (other, again):
        process.join()
        assert process.exitcode == 0
    left = attrib.bench(settings, tmp_path)
    assert left.computed <= 2 * (2 + 4), "floors and nulls alone"
    assert_same_run(tmp_path, one)
    assert sum((logged(one) - logged(tmp_path)).values()) <= 1, "the kill may cost a line of the log"


def test_what_depends_on_other_shards_is_left_and_counted(settings: Settings, tmp_path: Path) -> None:
    settings = {**settings, "methods": {"motion": None}, "metrics": {"mass": None}, "sanity": {"videos": 0}}
    first = api.bench_shard("1/2", settings, tmp_path)
    assert (first.samples, first.all_samples, first.failures) == (2, 4, ())
    counts = kinds(tmp_path, "log.shard-1-of-2.jsonl")
    assert first.left["nulls"] == 2 and not counts["nulls"] and not counts["floors"]
    second = api.bench_shard("2/2", settings, tmp_path)
    assert second.left == {}, "all answers and maps are there"
    assert kinds(tmp_path, "log.shard-2-of-2.jsonl")["nulls"] == 2


def test_more_shards_than_samples(settings: Settings, tmp_path: Path) -> None:
    outcome = api.bench_shard("9/9", settings, tmp_path)
    assert (outcome.samples, outcome.computed, outcome.left) == (0, 0, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [({"seed": 1}, "holds a run with seed 0, this"), ({"target": "correct"}, "holds a run with target 'predicted'")],
)
def test_a_shard_of_another_question_is_refused(
    settings: Settings, one: Path, change: dict[str, Any], message: str
) -> None:
    before = sorted(one.rglob("*"))
    with pytest.raises(InputError, match=message):
        api.bench_shard("1/2", {**settings, **change}, one)
    assert sorted(one.rglob("*")) == before


def test_a_shard_of_other_methods_is_refused_beside_one_at_work(settings: Settings, tmp_path: Path) -> None:
    process = start(settings, tmp_path, "1/2")
    _await(lambda: (tmp_path / "shard-1-of-2.yaml").exists())
    os.kill(process.pid or 0, signal.SIGSTOP)
    try:
        written = (tmp_path / "config.yaml").read_bytes() if (tmp_path / "config.yaml").exists() else b""
        with pytest.raises(InputError, match=r"shard 1/2 .+ is at work here with methods .+, this configuration has"):
            api.bench_shard("2/2", {**settings, "methods": {"motion": None}}, tmp_path)
        with pytest.raises(InputError, match=r"shard 1/2 \(process \d+ on .+\) is at work here; wait"):
            attrib.bench(settings, tmp_path)
        assert not (tmp_path / "log.shard-2-of-2.jsonl").exists()
        assert not (tmp_path / "results.parquet").exists()
        assert not written or (tmp_path / "config.yaml").read_bytes() == written
    finally:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    api.bench_shard("2/2", {**settings, "methods": {"motion": None}}, tmp_path)


def _await(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.005)
