"""Sanity checks, floors and nulls of a run: what is in the tables, what is kept, and what fails alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

import attrib
from attrib import api, registry, video
from attrib.benchmarks.checks.floors import FLOORS
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.metrics.objects.mass import Mass
from attrib.benchmarks.runner import Outcome
from attrib.commands.terminal.checks import extra_tables
from attrib.data.perception_test import PerceptionTest
from attrib.demo.generate import generate
from attrib.errors import ConfigError
from attrib.method import Method
from attrib.models import load
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample

CALLS: list[str] = []
KINDS = ("sanity", "floors", "nulls")


@dataclass(frozen=True)
class OneTask:
    """The samples of a folder, as if all were of one task but the last."""

    root: str
    alone: int = 1

    def __iter__(self) -> Iterator[Sample]:
        samples = list(PerceptionTest(self.root))
        yield from (replace(each, task="many") for each in samples[: len(samples) - self.alone])
        yield from (replace(each, task="few") for each in samples[len(samples) - self.alone :])


@dataclass(frozen=True)
class SeesColour(Method):
    """The mean red of each cell of a coarse grid; fails on a video without any, unless `CALLS` has `mended`."""

    level: float = 0.0

    def values(self, subject: Subject) -> torch.Tensor:
        CALLS.append(subject.clip.path.stem if subject.clip.path else "blank")
        if "mended" not in CALLS and not subject.pixels.std():
            raise ValueError("no colour")
        return torch.nn.functional.avg_pool2d(subject.pixels[:, 0], 8) - self.level


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("world"), videos=5, seed=6)


@pytest.fixture(autouse=True)
def _plugins() -> Iterator[None]:
    CALLS.clear()
    registry.register("methods", SeesColour)
    registry.register("datasets", OneTask)
    yield
    registry._files["methods"].clear()
    registry._files["datasets"].clear()


Settings = Callable[..., dict[str, Any]]


@pytest.fixture
def settings(world: Path) -> Settings:
    def make(**changes: Any) -> dict[str, Any]:
        return {
            "data": {"name": "one_task", "root": str(world)}, "methods": {"motion": None, "sees_colour": None},
            "metrics": {"mass": None, "object_auc": None, "segment_energy": None}, "overlays": 0, "resamples": 100,
            "sanity": {"videos": 3, "stages": 1}, "floors": {"videos": 3}, "null_pairs": 2,
            "null_metrics": ["mass", "segment_energy"], **changes,
        }  # fmt: skip

    return make


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {kind: pd.read_parquet(folder / f"{kind}.parquet") for kind in KINDS}


def computed(folder: Path) -> list[str]:
    """Table and method of each part that was computed beside the scores, in order."""
    lines = (line["item"].split("/") for line in RunDirectory.at(folder).store.logged())
    return [f"{line[0]} {line[2]}" for line in lines if line[0] in KINDS]


@pytest.fixture(scope="module")
def ran(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    CALLS.clear()
    registry.register("methods", SeesColour)
    registry.register("datasets", OneTask)
    folder = tmp_path_factory.mktemp("run")
    return folder, attrib.bench(settings.__wrapped__(world)(), folder)  # type: ignore[attr-defined]


def test_pairs_are_maps_on_other_videos_of_the_same_task(ran: tuple[Path, Outcome], world: Path) -> None:
    folder, _ = ran
    samples = {each.id: each for each in OneTask(str(world))}
    nulls = tables(folder)["nulls"]
    pairs = nulls[(nulls["null"] == "pairing") & (nulls["task"] == "many")]
    assert pairs.groupby(["sample", "method", "metric"]).size().to_list() == [2] * 4 * 2 * 2
    assert (pairs["sample"] != pairs["partner"]).all()
    assert {samples[name].task for name in pairs["partner"]} == {"many"}
    row = pairs[(pairs["method"] == "sees_colour") & (pairs["metric"] == "mass") & pairs["value"].notna()].iloc[0]
    other = samples[row["partner"]]
    volume = SaliencyVolume.load(folder / "volumes" / row["sample"] / "sees_colour.npz")
    clip = video.read(other.video, frames=8)
    subject = Subject.bind(load("demo"), clip, other.question)
    score = Mass().score(replace(volume, times=clip.times), subject, other)
    assert row["value"] == pytest.approx(score.value, abs=1e-6)
    assert row["video"] == samples[row["sample"]].video_id


def test_a_control_that_is_the_same_in_all_videos_has_an_object_auc_of_one_half_after_re_pairing(
    settings: Settings, tmp_path: Path
) -> None:
    own = settings(methods={"centre": None, "motion": None}, metrics={"object_auc": None}, null_metrics=None)
    steps: list[tuple[str, int]] = []
    only_nulls = own | {"sanity": {"videos": 0}, "floors": {"videos": 0}}
    attrib.bench(only_nulls, tmp_path, step=lambda what, done, total: steps.append((what, done)))
    first = steps.index(("nulls", 0))
    assert [done for _, done in steps[first:-2]] == list(range(len(steps[first:-2])))
    assert [what for what, _ in steps[-2:]] == ["tables", "done"], "each part of the work is named when it begins"
    rows = pd.read_parquet(tmp_path / "results.parquet").set_index(["metric", "task", "method"]).sort_index()
    plain, twin = (rows.loc[(label, "many")] for label in ("object_auc", "object_auc_corrected"))
    assert set(twin.loc["centre", "value"]) == {0.5} and len(twin.loc["centre"]) == 4
    assert len(set(plain.loc["centre", "value"])) > 1 and len(set(twin.loc["motion", "value"])) > 1
    assert rows.loc[("object_auc_corrected", "few"), "value"].isna().all()
    again = attrib.bench(own | {"sanity": {"videos": 0}, "floors": {"videos": 0}}, tmp_path)
    assert again.computed == 0


def test_a_sample_without_partners_says_so_and_is_still_shifted(ran: tuple[Path, Outcome]) -> None:
    nulls = tables(ran[0])["nulls"]
    few = nulls[nulls["task"] == "few"]
    pairs = few[few["null"] == "pairing"]
    assert len(pairs) == 2 * 2 and pairs["value"].isna().all()
    assert set(pairs["reason"]) == {"expected 3 videos of this task with as many frames, found 1"}
    shifts = nulls[nulls["null"] == "shift"]
    assert set(shifts["metric"]) == {"segment_energy"} and set(few["null"]) == {"pairing", "shift"}
    assert shifts.groupby(["sample", "method"])["partner"].agg(list).map(sorted).to_list() == [list("1234567")] * 10


def test_each_floor_is_another_map(ran: tuple[Path, Outcome], world: Path) -> None:
    folder, _ = ran
    rows = tables(folder)["floors"]
    assert rows["video"].nunique() == 3
    size = rows.groupby(["sample", "method", "floor"]).size()
    assert set(size) == {4} and len(size) == 3 * 2 * 4  # three metrics and the similarity
    rows = rows[rows["method"] == "sees_colour"].set_index(["sample", "floor", "metric"])
    name = rows.index[0][0]
    real = SaliencyVolume.load(folder / "volumes" / name / "sees_colour.npz").on_grid(6, 6).values
    same = [rows.loc[(name, floor, "similarity"), "value"] for floor in ("other_question", "other_option")]
    assert same == [1, 1]  # it does not look at the question
    samples = {each.id: each for each in OneTask(str(world))}
    own = samples[name].task
    maps = [
        spearmanr(real.ravel(), SaliencyVolume.load(path).on_grid(6, 6).values.ravel()).statistic
        for path in (folder / "volumes").glob("*/sees_colour.npz")
        if path.parent.name != name and own in (samples[path.parent.name].task, "few")
    ]
    swapped = float(rows.loc[(name, "swapped_video", "similarity"), "value"])
    assert np.isclose(swapped, maps, atol=1e-6).any() and swapped < 0.999
    blank = rows.loc[(name, "blank", "mass")]
    assert np.isnan(blank["value"]) and blank["reason"] == "" and blank["error"].startswith("ValueError: no colour")


def test_what_fails_is_told_once_for_each_sample(ran: tuple[Path, Outcome]) -> None:
    failures = ran[1].failures
    assert [(each.method, each.metric) for each in failures] == [("sees_colour", "floors")] * 3
    assert failures[0].error.startswith("ValueError: no colour")


def test_a_dry_run_counts_them(ran: tuple[Path, Outcome], settings: Settings, tmp_path: Path) -> None:
    folder = ran[0]

    def counted(where: Path, **changes: Any) -> dict[tuple[str, str], tuple[int, int, int]]:
        found = api.bench_forecast(settings(**changes), where).counts
        return {
            (each.kind, each.method): (each.kept, each.missing, each.failed) for each in found if each.kind in KINDS
        }

    before = len(computed(folder))
    kept = {
        ("sanity", "motion"): (3, 0, 0), ("sanity", "sees_colour"): (3, 0, 0), ("floors", "motion"): (3, 0, 0),
        ("floors", "sees_colour"): (0, 0, 3), ("nulls", "motion"): (5, 0, 0), ("nulls", "sees_colour"): (5, 0, 0),
    }  # fmt: skip
    assert counted(folder) == kept
    assert counted(folder, sanity={"videos": 3, "stages": 2}, floors={"videos": 0}) == {
        **{name: count for name, count in kept.items() if name[0] == "nulls"},
        ("sanity", "motion"): (0, 3, 0), ("sanity", "sees_colour"): (0, 3, 0),
    }  # fmt: skip
    assert counted(tmp_path / "none") == {name: (0, sum(count), 0) for name, count in kept.items()}
    assert len(computed(folder)) == before and not (tmp_path / "none").exists()


def test_sanity_rows_and_the_verdict_on_a_control(ran: tuple[Path, Outcome]) -> None:
    rows = tables(ran[0])["sanity"]
    motion = rows[(rows["method"] == "motion") & (rows["metric"] == "similarity")]
    assert len(motion) == 3 * 3 and set(motion["value"]) == {1.0}
    assert set(rows["part"]) == {"vision", "language", "both"} and set(rows["metric"]) == {"similarity", "emprt"}
    found = ran[1].extras.verdicts
    assert found is not None and set(found["verdict"]) == {"fail"}  # nor does the plug-in look at the model
    assert (ran[0] / "sanity.csv").is_file() and (ran[0] / "floors.csv").is_file()


def test_tables_for_a_terminal_have_a_row_for_each_method(ran: tuple[Path, Outcome]) -> None:
    found = list(extra_tables(ran[1].extras, 100))
    assert [title.split(",")[0].split(" ")[0] for title, _ in found] == ["Sanity", "object_auc"]
    assert "3 videos" in found[0][0] and [table.row_count for _, (table, *_) in found] == [2, 2]
    assert [str(cell) for cell in found[0][1][0].columns[1].cells] == ["1.00  fail"] * 2
    assert [column.header for table in found[1][1] for column in table.columns[1:]] == list(FLOORS)


def test_a_second_run_computes_nothing_and_two_workers_give_the_same(
    ran: tuple[Path, Outcome], settings: Settings, tmp_path: Path
) -> None:
    before = tables(ran[0])
    assert attrib.bench(settings(), ran[0]).computed == 0
    attrib.bench(settings(workers=2), tmp_path)
    for kind in KINDS:
        pd.testing.assert_frame_equal(before[kind], tables(ran[0])[kind])
        pd.testing.assert_frame_equal(before[kind], tables(tmp_path)[kind])


def test_only_what_depends_on_a_change_is_computed_again(settings: Settings, tmp_path: Path) -> None:
    small = {"sanity": {"videos": 1, "stages": 1}, "floors": {"videos": 1}}
    attrib.bench(settings(**small), tmp_path)
    first = computed(tmp_path)
    assert sorted(set(first)) == sorted(f"{kind} {label}" for kind in KINDS for label in ("motion", "sees_colour"))
    attrib.bench(settings(**small, methods={"motion": None, "sees_colour": {"level": 0.1}}), tmp_path)
    again = computed(tmp_path)[len(first) :]
    assert sorted(again) == sorted(each for each in first if "sees_colour" in each)
    attrib.bench(settings(**small, methods={"motion": None}, null_metrics=["mass"]), tmp_path)
    assert set(computed(tmp_path)[len(first) + len(again) :]) == {"nulls motion"}


def test_failed_rows_are_tried_again_on_request(settings: Settings, tmp_path: Path) -> None:
    wanted = settings(sanity={"videos": 0}, floors={"videos": 2}, null_pairs=0)
    assert len(attrib.bench(wanted, tmp_path).failures) == 2
    count = len(computed(tmp_path))
    CALLS.append("mended")
    assert len(attrib.bench(wanted, tmp_path).failures) == 2
    assert len(computed(tmp_path)) == count
    assert attrib.bench(wanted, tmp_path, retry_failed=True).failures == ()
    assert computed(tmp_path)[count:] == ["floors sees_colour"] * 2


def test_what_is_not_asked_for_is_not_there(settings: Settings, tmp_path: Path) -> None:
    for name in ("sanity.parquet", "floors.csv", "nulls.parquet"):  # of an earlier run that asked for more
        (tmp_path / name).write_text("")
    found = attrib.bench(settings(sanity={}, floors={}, null_pairs=0), tmp_path)
    assert found.extras.sanity is found.extras.floors is found.extras.nulls is None
    assert not any((tmp_path / f"{kind}.{ending}").exists() for kind in KINDS for ending in ("parquet", "csv"))
    assert list(extra_tables(found.extras, 100)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"null_metrics": ["mas"]}, "null_metrics: 'mas' is not an alignment metric of this run; did you mean 'mass'?"),
        ({"sanity": {"vidoes": 1}}, "sanity.vidoes: unknown key; did you mean 'videos'?"),
        ({"sanity": {"stages": 0}}, "sanity.stages:"),
        ({"floors": {"videos": -1}}, "floors.videos:"),
        ({"floors": True}, "floors:"),
        ({"null_pairs": 1.5}, "null_pairs:"),
    ],
)
def test_bad_settings_are_told_before_anything_is_computed(
    settings: Settings, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        attrib.bench(settings(**change), tmp_path / "run")
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
