"""Runs: what is kept, what is computed again, and what survives an interruption."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

import attrib
from attrib import registry
from attrib.benchmarks.jobs.directory import COLUMNS, ResultRows, RunDirectory
from attrib.benchmarks.tables import write
from attrib.commands.terminal import leaderboard
from attrib.config import Config, build
from attrib.data.perception_test import PerceptionTest
from attrib.demo.generate import generate
from attrib.errors import NotWritten
from attrib.method import Control, PeerControl
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import Question, SaliencyVolume, Sample
from attrib.types.need import Need

from runs import same_question

CALLS: list[str] = []
PARTS = 4  # of a sample with one method and one group of metrics: answer, gate, map, scores


@dataclass(frozen=True)
class CountedRamp(Control):
    """A ramp over time; counts how often it is asked."""

    slope: float = 1.0

    def values(self, subject: Subject) -> torch.Tensor:
        CALLS.append(subject.question.text)
        return (torch.arange(len(subject.clip)) * self.slope + 1)[:, None, None].expand(-1, 2, 2)


@dataclass(frozen=True)
class StopsOnce(Control):
    """Ctrl-C at the second sample, as a person would press it."""

    def values(self, subject: Subject) -> torch.Tensor:
        CALLS.append("stops")
        if len(CALLS) == 2:
            raise KeyboardInterrupt
        return torch.rand(len(subject.clip), 2, 2)


@dataclass(frozen=True)
class Raises(Metric):
    """A metric with a fault."""

    direction: ClassVar[Direction] = "high"
    needs: ClassVar[frozenset[Need]] = frozenset()

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        raise RuntimeError("broken")


@dataclass(frozen=True)
class CountedPeers(PeerControl):
    """A constant; counts whom it is given."""

    def from_peers(self, subject: Subject, peers: tuple[Sample, ...]) -> torch.Tensor:
        assert subject.sample is not None
        CALLS.append(f"{subject.sample.video_id}: {' '.join(sorted(peer.video_id for peer in peers))}")
        return torch.ones(len(subject.clip), 2, 2)


def logged(folder: Path) -> list[dict[str, Any]]:
    return list(RunDirectory.at(folder).store.logged())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("world"), videos=3, seed=6)


@pytest.fixture(autouse=True)
def _plugins() -> Any:
    CALLS.clear()
    for item in (CountedRamp, CountedPeers, StopsOnce):
        registry.register("methods", item)
    registry.register("metrics", Raises)
    yield
    registry._files["methods"].clear()
    registry._files["metrics"].clear()


@pytest.fixture
def settings(world: Path) -> Callable[..., dict[str, Any]]:
    def make(**changes: Any) -> dict[str, Any]:
        return {
            "data": {"name": "demo", "root": str(world), "videos": 3, "seed": 6},
            "methods": {"counted_ramp": None}, "metrics": {"segment_auc": None}, "overlays": 0, "resamples": 100,
            **changes,
        }  # fmt: skip

    return make


def test_a_second_run_computes_nothing_and_gives_the_same(settings: Callable[..., Any], tmp_path: Path) -> None:
    first = attrib.bench(settings(), tmp_path)
    second = attrib.bench(settings(), tmp_path)
    assert (first.computed, second.computed, len(CALLS)) == (3 * PARTS, 0, 3)
    pd.testing.assert_frame_equal(first.results, second.results)
    pd.testing.assert_frame_equal(second.results, pd.read_parquet(tmp_path / "results.parquet"), check_dtype=False)
    assert list(second.results.columns) == list(COLUMNS)


def test_every_registered_metric_runs(settings: Callable[..., Any], tmp_path: Path) -> None:
    """One video of 4 frames, and a map that noise in the pixels changes: no metric fails, most have a value."""
    every = {name: {} for name in registry.names("metrics") if name != "raises"}
    every |= {"synergy": {"neutral": "Which object?"}, "max_sensitivity": {"share": 1.0, "draws": 1}}
    few = {**settings()["data"], "videos": 1}
    wanted = settings(data=few, model={"frames": 4}, methods={"input_x_gradient": {}}, metrics=every, imputers=["mean"])
    outcome = attrib.bench(wanted, tmp_path)
    assert outcome.failures == ()
    values = outcome.results.groupby("metric")["value"].max()
    assert set(values.index) >= set(every) and values.notna().mean() > 0.75, values
    assert values["max_sensitivity"] > 0


def test_new_metrics_score_the_kept_volumes(settings: Callable[..., Any], tmp_path: Path) -> None:
    attrib.bench(settings(), tmp_path)
    again = attrib.bench(settings(metrics={"segment_auc": None, "segment_energy": None}), tmp_path)
    assert (again.computed, len(CALLS)) == (3, 3)
    assert [line["what"] for line in logged(tmp_path)[-3:]] == [["segment_energy"]] * 3
    assert set(again.results["metric"]) == {"segment_auc", "segment_energy"}


@pytest.mark.parametrize(
    "change",
    [{"methods": {"counted_ramp": {"slope": 2.0}}}, {"seed": 1}, {"target": "correct"}, {"model": {"frames": 4}}],
)
def test_what_a_volume_depends_on_makes_it_again(
    settings: Callable[..., Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    attrib.bench(settings(), tmp_path)
    same_question(tmp_path, settings(**change))
    attrib.bench(settings(**change), tmp_path)
    assert len(CALLS) == 6


def test_peers_are_the_other_videos_and_their_annotation_is_in_the_key(
    settings: Callable[..., Any], world: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(world, tmp_path / "world"))
    data = {"name": "perception_test", "root": str(copy)}
    wanted = settings(data=data, methods={"counted_peers": None, "counted_ramp": None})
    attrib.bench(wanted, tmp_path / "run")
    one, two, three = sorted(sample.video_id for sample in PerceptionTest(str(copy)))
    everyone = {f"{one}: {two} {three}", f"{two}: {one} {three}", f"{three}: {one} {two}"}
    assert everyone <= set(CALLS)
    path = copy / "evidence_valid.json"
    annotations = json.loads(path.read_text())
    next(iter(annotations[two].values()))[0]["start"] += 0.01
    path.write_text(json.dumps(annotations))
    CALLS.clear()
    attrib.bench(wanted, tmp_path / "run")
    assert everyone <= set(CALLS)
    assert len(CALLS) == 4  # of those that know only their own annotation, just the changed one


def test_a_volume_cut_short_is_made_again(settings: Callable[..., Any], tmp_path: Path) -> None:
    attrib.bench(settings(), tmp_path)
    for path in (tmp_path / "volumes").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:50])
    attrib.bench(settings(metrics={"segment_energy": None}), tmp_path)
    assert len(CALLS) == 6


def test_an_item_cut_short_is_made_again(settings: Callable[..., Any], tmp_path: Path) -> None:
    before = attrib.bench(settings(), tmp_path)
    names = sorted((tmp_path / "items").rglob("*.json"))
    for path in names:
        path.write_text(path.read_text()[:40])
    after = attrib.bench(settings(), tmp_path)
    assert after.computed == len(names) - 3 == 3 * (PARTS - 1)  # the maps themselves were whole
    assert len([text for text in after.warnings if "not readable, computed again" in text]) == 3 * (PARTS - 1)
    pd.testing.assert_frame_equal(before.results, after.results)


def test_results_do_not_depend_on_the_number_of_workers(settings: Callable[..., Any], tmp_path: Path) -> None:
    costs = ["seconds", "peak_memory"]
    one, two = (
        attrib.bench(settings(workers=count), tmp_path / str(count)).results.drop(columns=costs) for count in (1, 2)
    )
    pd.testing.assert_frame_equal(one, two)
    assert attrib.bench(settings(workers=3), tmp_path / "2").computed == 0


def test_without_fork_a_run_uses_one_process_and_says_so(
    settings: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    outcome = attrib.bench(settings(workers=2), tmp_path)
    expected = "workers: one process instead of 2: Python cannot fork processes on this platform"
    assert outcome.warnings == (expected,)


def test_an_interrupted_run_keeps_what_it_has_and_goes_on(settings: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        attrib.bench(settings(methods={"stops_once": None}), tmp_path)
    assert len(pd.read_parquet(tmp_path / "results.parquet")) == 1
    assert not list(tmp_path.rglob("*.part*"))
    assert not (tmp_path / "leaderboard.csv").exists(), "a leaderboard of a part would look like one of the whole"
    after = attrib.bench(settings(methods={"stops_once": None}), tmp_path)
    assert len([line for line in logged(tmp_path) if line["item"].startswith("volumes/")]) == 3
    assert len(after.results) == 3


def test_a_video_that_cannot_be_read_fails_alone(settings: Callable[..., Any], world: Path, tmp_path: Path) -> None:
    broken = sorted((world / "videos").glob("*.mp4"))[1]
    content = broken.read_bytes()
    broken.write_bytes(b"no video")
    try:
        data = {"name": "perception_test", "root": str(world)}
        outcome = attrib.bench(settings(data=data), tmp_path)
    finally:
        broken.write_bytes(content)
    (failure,) = outcome.failures
    assert failure.video == broken.stem
    row = outcome.results[outcome.results["video"] == broken.stem].iloc[0]
    assert row["reason"] == "" and row["error"] == failure.error
    assert np.isnan(row["value"])
    assert outcome.results["value"].notna().sum() == 2


def test_each_change_recomputes_what_it_touches_and_no_more(settings: Callable[..., Any], tmp_path: Path) -> None:
    def computed(**changes: Any) -> list[str]:
        begun = len(logged(tmp_path))
        same_question(tmp_path, settings(**changes))
        attrib.bench(settings(**changes), tmp_path)
        lines = logged(tmp_path)[begun:]
        kinds = ("/".join(part for part in line["item"].split("/") if not part.startswith("video")) for line in lines)
        return sorted({f"{kind} {' '.join(line['what'])}".strip() for kind, line in zip(kinds, lines, strict=True)})

    two = {"counted_ramp": None, "centre": {"sigma": 0.2}}
    computed()
    assert computed(methods=two) == ["scores/centre/alignment segment_auc", "volumes/centre"]
    more = {"segment_auc": None, "mass": None, "flip_rate": {"imputer": "blur"}}
    assert computed(methods=two, metrics=more) == sorted(
        f"scores/{method}/{group}"
        for method in ("centre", "counted_ramp")
        for group in ("alignment mass", "imputer blur flip_rate")
    )
    two["centre"] = {"sigma": 0.3}
    assert computed(methods=two, metrics=more) == [
        "scores/centre/alignment segment_auc mass", "scores/centre/imputer blur flip_rate",
        "volumes/centre",
    ]  # fmt: skip
    assert computed(methods=two, metrics={"mass": None}) == computed(methods=two, metrics=more) == []
    assert computed(methods=two, metrics={"mass": None}, target="correct") == [
        "scores/centre/alignment mass", "scores/counted_ramp/alignment mass", "volumes/centre", "volumes/counted_ramp"
    ]  # fmt: skip
    assert [kind for kind in computed(model={"frames": 4}) if kind in ("answers", "gates")] == ["answers", "gates"]


def test_a_metric_that_fails_fails_alone_and_stays_so(settings: Callable[..., Any], tmp_path: Path) -> None:
    wanted = settings(metrics={"raises": None, "segment_auc": None})
    first = attrib.bench(wanted, tmp_path)
    assert [(failure.method, failure.metric) for failure in first.failures] == [("counted_ramp", "raises")] * 3
    assert first.failures[0].error.startswith("RuntimeError: broken (test_runner.py:")
    assert (first.results["reason"] == "").all()
    errors = first.results.set_index("metric")["error"]
    assert (errors["raises"] == first.failures[0].error).all() and (errors["segment_auc"] == "").all()
    assert first.results.set_index("metric").loc["segment_auc", "value"].notna().all()
    again = attrib.bench(wanted, tmp_path)
    assert (again.computed, again.failures) == (0, first.failures)
    retried = attrib.bench(wanted, tmp_path, retry_failed=True)
    assert (retried.computed, retried.failures, len(CALLS)) == (3, first.failures, 3)
    assert [line["what"] for line in logged(tmp_path)[-3:]] == [["raises"]] * 3


def test_a_failed_map_is_recorded_with_its_input_and_tried_again_on_request(
    settings: Callable[..., Any], tmp_path: Path
) -> None:
    wanted = settings(methods={"counted_ramp": {"slope": float("inf")}})
    first = attrib.bench(wanted, tmp_path)
    assert len(first.failures) == len(CALLS) == 3
    assert (first.results["metric"] == "").all() and first.results["value"].isna().all()
    part = RunDirectory.at(tmp_path).store.read(("volumes", first.failures[0].sample, "counted_ramp"))
    assert part is not None
    assert part.error == first.failures[0].error
    assert part.given["video"].endswith(".mp4")
    assert part.given["parameters"] == "CountedRamp(slope=inf)"
    assert attrib.bench(wanted, tmp_path).failures == first.failures
    assert len(CALLS) == 3
    assert attrib.bench(wanted, tmp_path, retry_failed=True).computed == 3
    assert len(CALLS) == 6


def test_results_are_in_a_fixed_order_with_what_the_metric_says(settings: Callable[..., Any], tmp_path: Path) -> None:
    metrics = {"segment_auc": None, "deletion": None, "mass": None}
    wanted = settings(methods={"oracle": None, "counted_ramp": None}, metrics=metrics, imputers=["mean", "blur"])
    attrib.bench(settings(metrics={"mass": None}), tmp_path)  # what is there already has no part in the order
    table = attrib.bench(wanted, tmp_path).results
    samples = list(dict.fromkeys(table["sample"]))
    columns = [("segment_auc", None), ("deletion", "mean"), ("deletion", "blur"), ("mass", None)]
    found = [tuple(None if pd.isna(value) else value for value in row) for row in
             table[["sample", "method", "metric", "imputer"]].itertuples(index=False)]  # fmt: skip
    assert found == [(s, m, *c) for s in samples for m in ("oracle", "counted_ramp") for c in columns]
    vision = table.set_index("metric")["vision"]
    assert vision["mass"].isna().all()
    assert vision["deletion"].notna().all()


def test_a_map_whose_content_is_damaged_is_made_again_when_it_is_needed(
    settings: Callable[..., Any], tmp_path: Path
) -> None:
    attrib.bench(settings(), tmp_path)
    for path in (tmp_path / "volumes").rglob("*.npz"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(bytes(content))
    again = attrib.bench(settings(metrics={"segment_energy": None}), tmp_path)
    assert len(CALLS) == 6
    assert len([text for text in again.warnings if ".npz: not readable, computed again" in text]) == 3


@pytest.mark.parametrize("room", [400, 3000])
def test_a_full_disk_stops_the_run_in_one_line_and_loses_nothing(
    settings: Callable[..., Any], tmp_path: Path, room: int
) -> None:
    """A limit on the size of files stands for the disk: the writer meets the same error in the middle of a file."""
    pytest.importorskip("resource", reason="this platform has no limits of a file's size")
    whole = attrib.bench(settings(), tmp_path / "whole").results
    told = tmp_path / "told"

    def limited() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        try:
            attrib.bench(settings(), tmp_path / "run")
        except NotWritten as error:
            told.write_text(str(error))

    process = multiprocessing.get_context("fork").Process(target=limited)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert "cannot be written: File too large" in told.read_text()
    assert "\n" not in told.read_text()
    kept = len(logged(tmp_path / "run"))
    after = attrib.bench(settings(), tmp_path / "run")
    assert not after.warnings and not after.failures
    assert after.computed == 3 * PARTS - kept
    assert not list(tmp_path.rglob("*.part*"))
    costs = ["seconds", "peak_memory"]
    pd.testing.assert_frame_equal(after.results.drop(columns=costs), whole.drop(columns=costs), check_exact=True)


def test_ids_from_data_stay_in_the_directory(tmp_path: Path) -> None:
    run = RunDirectory.at(tmp_path / "run")
    evil = ("../../evil", "..", "/etc/passwd", "a/b", "", ".", "x" * 5000, "\0\n\ud800", "é" * 100, "é" * 101)
    for sample in (Sample(text, Path("x.mp4"), Question("?", ("a", "b"))) for text in evil):
        for text in evil:
            run.store.get_or_compute((sample.id, text), "k", lambda: 1)
            for path in (
                run.store.path((sample.id, text)),
                run.volume_path(sample, text),
                run.overlay_path(sample, text),
            ):
                assert path.resolve() == path.absolute()
                assert path.parent.parent.parent.is_relative_to(tmp_path / "run")
    assert len(list((tmp_path / "run" / "items").rglob("*.json"))) == len(evil) ** 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_leaderboard_by_hand(tmp_path: Path) -> None:
    """Two videos; one has two samples. Means are over samples, intervals over videos."""
    scores = {("v1", 0): 0.2, ("v1", 1): 0.4, ("v2", 0): 0.9, ("v3", 0): None}
    rows: list[dict[str, Any]] = [
        {"sample": f"{video}_{n}", "video": video, "task": "task", "method": "m", "metric": "mass", "value": value,
         "chance": 0.25, "reason": "" if value else "none", "answer": "A", "correct": video != "v2"}
        for (video, n), value in scores.items()
    ]  # fmt: skip
    failed = {"sample": "v4_0", "video": "v4", "task": "task", "method": "m", "metric": "", "error": "broke"}
    collected = ResultRows()
    collected.add([*rows, failed])
    results = collected.table()
    settings = Config(methods={}, metrics={}, resamples=500)
    board = write.summarise(results, None, [build("metrics", "mass")], settings).leaderboard.set_index("subset")
    row = board.loc["all"]
    assert row["mean"] == pytest.approx(0.5)
    assert (row["videos"], row["undefined"], row["chance"], row["direction"]) == (2, 1, 0.25, "high")
    assert board.loc["correct", "mean"] == pytest.approx(0.3)
    assert board.loc["task: task", "mean"] == row["mean"]
    assert leaderboard.board_of(board.reset_index(), "all", (), 80).tables


def test_run_directory_describes_itself(settings: Callable[..., Any], world: Path, tmp_path: Path) -> None:
    attrib.bench(settings(), tmp_path, ["resamples=200"])
    again = attrib.bench(tmp_path / "config.yaml", tmp_path)
    assert again.computed == 0
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert environment["packages"]["torch"] == torch.__version__.split("+")[0] or environment["packages"]["torch"]
    assert {s.id for s in PerceptionTest(str(world))} == set(again.results["sample"])
