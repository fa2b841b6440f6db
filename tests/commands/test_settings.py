"""Settings that do not apply are refused, by every command that explains one answer; `--frames` is one of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import attrib as package
from attrib.demo.generate import generate
from attrib.errors import ConfigError

Run = Callable[..., tuple[int, str, str]]

ASK = ("-q", "What moves?", "--option", "a", "--option", "b")
BENCHMARK_ONLY = {
    "target=option:1": "target: applies to benchmarks, not to one answer; use --target",
    "imputers=[mean]": "imputers: applies to benchmarks, not to one answer; choose one of: model, seed",
    "workers=2": "workers: applies to benchmarks, not to one answer; choose one of: model, seed",
    "overlays=0": "overlays: applies to benchmarks, not to one answer; choose one of: model, seed",
    "data.name=demo": "data: applies to benchmarks, not to one answer; choose one of: model, seed",
    "resamples=100": "resamples: applies to benchmarks, not to one answer; choose one of: model, seed",
    "modle.frames=4": "modle: unknown key; did you mean 'model'?",
    "model.frame=4": "model.frame: unknown key; did you mean 'frames'?",
}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = (generate(tmp_path_factory.mktemp("world"), videos=1, seed=5) / "videos").glob("*.mp4")
    return path


@pytest.mark.parametrize("command", ["explain", "layers"])
@pytest.mark.parametrize("setting", BENCHMARK_ONLY)
def test_a_setting_that_would_change_nothing_is_refused(
    attrib: Run, tmp_path: Path, command: str, setting: str
) -> None:
    code, out, error = attrib(command, tmp_path / "v.mp4", *ASK, "-O", tmp_path / "out", "--set", setting)
    assert (code, out) == (2, "")
    assert error.strip() == f"attrib: {BENCHMARK_ONLY[setting]}"
    assert not (tmp_path / "out").exists()


def test_the_python_api_refuses_them_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="overlays: applies to benchmarks"):
        package.explain(tmp_path / "v.mp4", "What moves?", ["a", "b"], settings={"overlays": 3})


def test_an_atlas_refuses_what_it_does_not_read(attrib: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("methods: {}\nmetrics: {}\n")
    given = ("atlas", tmp_path / "a.yaml", "-O", tmp_path / "out", "--set", "overlays=2")
    code, _, error = attrib(*given)
    assert code == 2
    assert "--set overlays=2: 'overlays' does not apply to an atlas" in error


@pytest.mark.parametrize("command", ["explain", "layers"])
def test_frames(attrib: Run, video: Path, tmp_path: Path, command: str) -> None:
    more = ("--method", "uniform") if command == "explain" else ()
    code, out, error = attrib(command, video, *ASK, *more, "-O", tmp_path / "out", "--frames", 3, "--json")
    assert code == 0, error
    shown = json.loads(out)
    assert len(shown["times" if command == "explain" else "frames"]) == 3


@pytest.mark.parametrize("command", ["explain", "layers"])
def test_frames_that_contradict_a_setting_are_refused(attrib: Run, tmp_path: Path, command: str) -> None:
    given = ("--frames", 4, "--set", "model.frames=8")
    code, _, error = attrib(command, tmp_path / "v.mp4", *ASK, "-O", tmp_path / "out", *given)
    assert code == 2
    assert error.strip() == "attrib: --frames 4: contradicts --set model.frames=8; give one of them"


def test_frames_of_a_benchmark(attrib: Run, tmp_path: Path) -> None:
    given = ("--set", "data.videos=1", "--set", f"data.root={tmp_path / 'world'}", "--set", "methods={uniform: }",
             "--set", "metrics={mass: }", "--set", "overlays=0", "-O", tmp_path / "run")  # fmt: skip
    code, _, error = attrib("bench", *given, "--frames", 3)
    assert code == 0, error
    assert "frames: 3" in (tmp_path / "run" / "config.yaml").read_text()
    code, _, error = attrib("bench", *given, "--frames", 3, "--set", "model.frames=4")
    assert code == 2
    assert "--frames 3: contradicts --set model.frames=4" in error
