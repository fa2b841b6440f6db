"""A dry run says what the run then does, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

import attrib
from attrib import api, models, registry, video
from attrib.benchmarks.forecast import Count, ExpectedMemory, Forecast, ShardsForecast
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.explaining.expected_memory import memory_note, memory_warnings
from attrib.method import Control
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.testing import QUESTION, ToyModel
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

import toy_world
from runs import same_question

BROKEN = {"on": True}


@dataclass(frozen=True)
class Fickle(Control):
    """Fails as long as it is told to."""

    def values(self, subject: Subject) -> torch.Tensor:
        if BROKEN["on"]:
            raise ValueError("out of luck")
        return torch.ones(len(subject.clip), 2, 2)


@dataclass(frozen=True)
class Half(Metric):
    """Always one half; of every map but that of `Fickle`, or of none while it is told to fail."""

    direction: ClassVar[Direction] = "high"
    needs: ClassVar[frozenset[Need]] = frozenset()

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        if BROKEN["on"]:
            raise KeyError("no half")
        return Score(0.5)


@pytest.fixture(autouse=True)
def _plugins() -> Any:
    BROKEN["on"] = True
    registry.register("methods", Fickle)
    registry.register("metrics", Half)
    registry._files["models"]["toy"] = lambda **_: ToyModel()
    yield
    for kind in registry.KINDS:
        registry._files[kind].clear()


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Two videos and a toy model."""
    given = {"methods": {"uniform": None, "fickle": None}, "metrics": {"mass": None, "half": None}}
    written = toy_world.settings(tmp_path / "world", **given)
    return lambda **changes: {**written, **changes}


def states(found: Forecast) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {(count.kind, count.method): (count.kept, count.missing, count.failed) for count in found.counts}


def missing(found: Forecast) -> int:
    return sum(count.missing for count in found.counts)


def test_a_dry_run_writes_nothing_and_knows_no_cost_yet(settings: Callable[..., Any], tmp_path: Path) -> None:
    found = api.bench_forecast(settings(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert states(found) == {
        ("answers", ""): (0, 2, 0), ("volumes", "uniform"): (0, 2, 0), ("volumes", "fickle"): (0, 2, 0),
        ("scores alignment", "uniform"): (0, 2, 0), ("scores alignment", "fickle"): (0, 2, 0),
    }  # fmt: skip
    assert (found.seconds, found.peak_memory) == (None, None)


def test_it_counts_what_the_next_run_computes(settings: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    outcome = attrib.bench(settings(), folder)
    assert {(failure.method, failure.metric) for failure in outcome.failures} == {("fickle", ""), ("uniform", "half")}
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    found = api.bench_forecast(settings(), folder)
    assert states(found) == {
        ("answers", ""): (2, 0, 0), ("volumes", "uniform"): (2, 0, 0), ("volumes", "fickle"): (0, 0, 2),
        ("scores alignment", "uniform"): (0, 0, 2), ("scores alignment", "fickle"): (0, 0, 2),
    }  # fmt: skip
    assert found.seconds == 0
    assert found.peak_memory is not None and found.peak_memory > 2**20
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before
    assert attrib.bench(settings(), folder).computed == 0
    BROKEN["on"] = False
    again = api.bench_forecast(settings(), folder, retry_failed=True)
    assert (missing(again), again.seconds) == (6, None)  # a score of `fickle` was never computed: its cost is unknown
    done = attrib.bench(settings(), folder, retry_failed=True)
    assert (done.computed, done.failures) == (6, ())
    whats = [line["what"] for line in RunDirectory.at(folder).store.logged() if line["item"].startswith("scores/")]
    assert whats == [["mass", "half"]] * 2 + [["half"], ["mass", "half"]] * 2  # mass had not failed
    assert missing(api.bench_forecast(settings(), folder, retry_failed=True)) == 0


def test_what_rests_on_an_answer_that_failed_is_not_awaited(settings: Callable[..., Any], tmp_path: Path) -> None:
    BROKEN["on"] = False
    (tmp_path / "world" / "videos" / "two.mp4").write_bytes(b"no video")
    given = settings(methods={"uniform": None}, floors={"videos": 2})
    attrib.bench(given, tmp_path / "run")
    found = api.bench_forecast(given, tmp_path / "run")
    assert missing(found) == 0
    assert states(found)["floors", "uniform"] == (1, 0, 1)


def test_time_is_the_mean_of_earlier_ones_shared_by_the_workers(settings: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    BROKEN["on"] = False
    attrib.bench(settings(), folder)
    lines = list(RunDirectory.at(folder).store.logged())
    mean = {
        label: sum(line["seconds"] for line in lines if line["item"].endswith(label)) / 2
        for label in ("uniform", "uniform/alignment", "fickle", "fickle/alignment")
    }
    same_question(folder, settings(seed=1))
    found = api.bench_forecast(settings(seed=1, workers=2), folder)
    assert found.seconds == pytest.approx(sum(mean.values()) * 2 / 2)
    totals = {count.kind: count for count in found.totals()}
    assert totals["answers"] == Count("answers", "", 2, 0, 0, 0.0)
    assert (totals["volumes"].missing, totals["volumes"].kept) == (4, 0)
    assert totals["volumes"].seconds == pytest.approx(2 * (mean["uniform"] + mean["fickle"]))
    same_question(folder, settings())
    unknown = api.bench_forecast(settings(methods={"uniform": None, "centre": None}), folder)
    assert unknown.seconds is None
    assert {count.kind: count.seconds for count in unknown.totals()}["volumes"] is None


def test_shards_take_as_long_as_the_longest_and_the_checks_between_samples_come_after() -> None:
    found = Forecast((), 100.0, 1, None, None, by_sample=(10.0, 1.0, 2.0, 30.0, 5.0), rest=7.0)
    assert found.shards(1) == ShardsForecast(48.0, 7.0)
    assert found.shards(2) == ShardsForecast(31.0, 7.0)  # 10 + 2 + 5, 1 + 30
    assert found.shards(9) == ShardsForecast(30.0, 7.0)
    unknown = Forecast((), None, 1, None, None, by_sample=(10.0, None), rest=None)
    assert unknown.shards(2) == ShardsForecast(None, None)


def test_the_samples_and_the_rest_are_the_whole(settings: Callable[..., Any], tmp_path: Path) -> None:
    BROKEN["on"] = False
    folder, checks = tmp_path / "run", {"floors": {"videos": 2}, "null_pairs": 1, "null_metrics": ["mass"]}
    attrib.bench(settings(**checks), folder)
    done = api.bench_forecast(settings(**checks), folder)
    assert (done.by_sample, done.rest) == ((0.0, 0.0), 0.0)
    same_question(folder, settings(seed=1))
    found = api.bench_forecast(settings(seed=1, **checks), folder)
    assert None not in found.by_sample and found.rest and found.seconds
    assert sum(each or 0 for each in found.by_sample) + found.rest == pytest.approx(found.seconds)
    costs = {count.kind: count.seconds for count in found.totals()}
    assert found.rest == pytest.approx((costs["floors"] or 0) + (costs["nulls"] or 0))


def test_the_expected_memory_is_that_of_explain_on_the_first_video_that_can_be_read(
    settings: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(methods={"uniform": None, "saliency": None}, model={"name": "demo", "frames": 2})
    first, other = (tmp_path / "world" / "videos" / f"{name}.mp4" for name in toy_world.VIDEOS)
    methods = [(name, registry.get("methods", name)()) for name in ("uniform", "saliency")]
    subject = Subject.bind(models.load("demo"), video.read(other, 2), QUESTION)
    monkeypatch.setattr("attrib.models.checking.memory._free", lambda _: 1000)
    expected = ExpectedMemory(memory_note(subject, methods), memory_warnings(subject, methods))
    first.write_bytes(b"no video")
    found = api.bench_forecast(given, tmp_path / "run").memory
    assert found == expected and "saliency: expected to need " in expected.warnings[0]
    other.write_bytes(b"no video")
    assert api.bench_forecast(given, tmp_path / "run").memory is None
