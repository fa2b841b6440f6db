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
NOT_HERE = "applies to benchmarks, not to one answer; choose one of: model, seed"
BENCHMARK_ONLY = {
    "target=option:1": "target: is an option of its own; use --target",
    "imputers=[mean]": f"imputers: {NOT_HERE}",
    "workers=2": f"workers: {NOT_HERE}",
    "overlays=0": f"overlays: {NOT_HERE}",
    "data.name=demo": "data: is an option of its own; use --data",
    "resamples=100": f"resamples: {NOT_HERE}",
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


@pytest.mark.parametrize(
    ("command", "setting", "message"),
    [
        ("explain", "target=option:1", "target: is an option of its own; use --target"),
        (
            "layers",
            "methods.uniform.x=1",
            "methods: applies to benchmarks, not to one answer; choose one of: model, seed",
        ),
        ("app", "target=option:1", f"target: {NOT_HERE}"),
    ],
)
def test_an_option_is_named_only_where_the_command_has_it(
    attrib: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, setting: str, message: str
) -> None:
    monkeypatch.setattr("attrib.commands.app.find_spec", lambda name: name)
    given = () if command == "app" else (tmp_path / "v.mp4", *ASK, "-O", tmp_path / "out")
    code, _, error = attrib(command, *given, "--set", setting)
    assert (code, error.strip()) == (2, f"attrib: {message}")


def test_a_target_needs_options(attrib: Run, video: Path, tmp_path: Path) -> None:
    given = (video, "-q", "What moves?", "-O", tmp_path / "out", "--target", "option:1")
    for command in ("explain", "layers"):
        code, _, error = attrib(command, *given)
        assert code == 2, command
        assert error.strip() == "attrib: target 'option:1': applies to options only; name them with --option"
    assert not (tmp_path / "out").exists()


def test_the_videos_of_a_run_cannot_be_changed(attrib: Run, tmp_path: Path) -> None:
    code, _, error = attrib("atlas", tmp_path, "--set", "data.videos=2")
    assert code == 2
    assert (
        error.strip()
        == "attrib: --set data.videos=2: the atlas of a run uses the run's own videos; pass a CONFIG instead"
    )


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
    for setting in ("model.frames=8", "model={frames: 8}", "model.frames=null"):
        given = ("--frames", 4, "--set", setting)
        code, _, error = attrib(command, tmp_path / "v.mp4", *ASK, "-O", tmp_path / "out", *given)
        assert code == 2
        got = "None" if "null" in setting else "8"
        assert error.strip() == f"attrib: --frames 4: contradicts model.frames={got} (--set); give one of them"


def test_frames_of_a_benchmark(attrib: Run, tmp_path: Path) -> None:
    given = ("--set", "data.videos=1", "--set", f"data.root={tmp_path / 'world'}", "--set", "methods={uniform: }",
             "--set", "metrics={mass: }", "--set", "overlays=0", "-O", tmp_path / "run")  # fmt: skip
    code, _, error = attrib("bench", *given, "--frames", 3)
    assert code == 0, error
    assert "frames: 3" in (tmp_path / "run" / "config.yaml").read_text()
    code, _, error = attrib("bench", *given, "--frames", 3, "--set", "model.frames=4")
    assert code == 2
    assert "--frames 3: contradicts model.frames=4 (--set)" in error
