"""Options that would change nothing are refused, not ignored."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from attrib import api
from attrib.cli import app
from attrib.errors import ConfigError, InputError


def refused(*arguments: str) -> str:
    error = CliRunner().invoke(app, arguments).exception
    assert isinstance(error, InputError), error
    return str(error)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x.mp4", "-q", "Why?", "--top", "3"), "--top: does not apply to a video file"),
        (("x.mp4", "-q", "Why?", "--split", "train"), "--split: does not apply to a video file"),
        (("--data", "d", "--video", "v", "-q", "Why?"), "--question: does not apply to --data"),
        (("x.yaml", "--model", "demo"), "--model: does not apply to an atlas"),
        (("--run", "r", "--all"), "--all: does not apply to an atlas"),
    ],
)
def test_layers_takes_the_options_of_what_it_draws(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    assert refused("layers", *arguments, "-O", str(tmp_path / "out")) == words
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    words = "model.name: expected 'demo', which is asked for (--model), got 'other'"
    given = ("x.mp4", "-q", "Why?", "-O", str(tmp_path), "--set", "model.name=other")
    assert refused("explain", *given) == refused("layers", *given) == words
    with pytest.raises(ConfigError, match="which is asked for"):
        api.settings_for("demo", {"model": {"name": "other"}})
    assert api.settings_for("other", {"model": {"name": "other"}}).model.name == "other"


@pytest.mark.parametrize("command", ["explain", "bench", "layers", "report", "figures", "techreport", "notebook"])
def test_what_is_written_is_named_alike_everywhere(command: str) -> None:
    told = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    assert "--output" in told and " -O " in told and " -o " not in told
