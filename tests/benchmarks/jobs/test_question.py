"""A run directory is for one question: a run of another is refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from attrib import api
from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.benchmarks.jobs.plan import ModelFacts
from attrib.benchmarks.jobs.question import question
from attrib.config import Config
from attrib.errors import InputError
from attrib.settings.benchmark import run_directory
from attrib.testing import ToyModel

Attrib = Callable[..., tuple[int, str, str]]


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "data": {"name": "demo", "videos": 2, "seed": 6, "counterfactuals": False},
        "methods": {"centre": None}, "metrics": {"mass": None}, "overlays": 0, "resamples": 100, **changes,
    }  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    api.bench(settings(), folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


DATA = settings()["data"]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"data": {**DATA, "seed": 7}}, "data.seed 6, this configuration has 7"),
        ({"data": {**DATA, "counterfactuals": True}}, "data.counterfactuals False, this configuration has True"),
        ({"model": {"frames": 4}}, "model.frames 8, this configuration has 4"),
        (
            {"model": {"sampling": "one_per_second"}},
            "model.sampling 'uniform', this configuration has 'one_per_second'",
        ),
        ({"model": {"dtype": "float64"}}, "model.dtype 'float32', this configuration has 'float64'"),
        ({"target": "correct"}, "target 'predicted', this configuration has 'correct'"),
        ({"seed": 1}, "seed 0, this configuration has 1"),
    ],
)
def test_another_question_is_refused_and_nothing_is_written(
    finished: Path, changes: dict[str, Any], difference: str
) -> None:
    before = contents(finished)
    for begin in (api.bench, api.bench_forecast):
        with pytest.raises(InputError) as caught:
            begin(settings(**changes), finished)
        assert f"{finished} holds a run with {difference}" in str(caught.value)
        assert "-O" in str(caught.value) and "--replace" in str(caught.value)
    assert contents(finished) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": {"random": None}}, {"metrics": {"lift": None}}, {"imputers": ["mean"]}, {"workers": 2},
        {"resamples": 200}, {"model": {"frames": 8}}, {"data": {**DATA, "root": ""}},
    ],
)  # fmt: skip
def test_the_same_question_goes_on(finished: Path, changes: dict[str, Any]) -> None:
    """The directory is accepted, and the model's answers in it still count."""
    forecast = api.bench_forecast(settings(**changes), finished)
    (answers,) = [count for count in forecast.counts if count.kind == "answers"]
    assert answers.kept > 0 == answers.missing


@pytest.mark.parametrize("damage", [None, "methods: [", "unknown: 1\n"])
def test_a_run_without_a_readable_configuration_is_refused(tmp_path: Path, damage: str | None) -> None:
    api.bench(settings(), tmp_path)
    (tmp_path / "config.yaml").unlink() if damage is None else (tmp_path / "config.yaml").write_text(damage)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="holds a run without a readable config"):
        api.bench(settings(), tmp_path)
    assert contents(tmp_path) == before


def test_replace_starts_the_run_anew(tmp_path: Path) -> None:
    api.bench(settings(null_pairs=1, overlays=1), tmp_path)
    own = ("notes.txt", "my.csv", "my.parquet", "videos/mine.mp4", "volumes/mine.npz")
    for name in own:
        (tmp_path / name).write_text("mine")
    wanted = settings(seed=1)
    forecast = api.bench_forecast(wanted, tmp_path, replace=True)
    assert {(count.kept, count.missing > 0) for count in forecast.counts} == {(0, True)}
    api.bench(wanted, tmp_path, replace=True)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["seed"] == 1
    assert {(tmp_path / name).read_text() for name in own} == {"mine"}
    fresh = tmp_path / "fresh"
    api.bench(wanted, fresh)
    names = {name for name in contents(tmp_path) if not name.startswith("fresh/")} - {*own}
    assert names == set(contents(fresh))


def test_frames_by_default_are_the_models() -> None:
    parsed = Config(methods={}, metrics={})
    facts = ModelFacts.of(ToyModel(), parsed.model, CodeHashes())
    assert question(parsed, facts)["model.frames"] == ToyModel().frames
    assert question(parsed.model_copy(update={"data": {"name": "gone", "root": "x"}}), facts)["data.root"] == "x"


def test_the_command_refuses_with_code_2_and_names_the_default_directory(
    attrib: Attrib, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(yaml.safe_dump(settings()))
    Path("other.yaml").write_text(yaml.safe_dump(settings(target="correct")))
    assert attrib("bench", "mine.yaml")[0] == attrib("bench", "other.yaml")[0] == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["mine", "other"]
    for more in ([], ["--dry-run"]):
        code, _, told = attrib("bench", "other.yaml", "-O", "runs/mine", *more)
        assert (code, len(told.splitlines())) == (2, 1)
        assert "holds a run with target 'predicted', this configuration has 'correct'" in told
    assert attrib("bench", "other.yaml", "-O", "runs/mine", "--replace")[0] == 0
    assert yaml.safe_load(Path("runs/mine/config.yaml").read_text())["target"] == "correct"


@pytest.mark.parametrize(
    ("given", "folder"), [(None, "demo"), ("some/mine.yaml", "mine"), ("perception_test", "perception_test")]
)
def test_the_default_directory_has_the_configurations_name(given: str | None, folder: str) -> None:
    assert run_directory(given) == Path("runs") / folder
