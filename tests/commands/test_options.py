"""Options that would change nothing are refused, not ignored."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from attrib.cli import app
from attrib.errors import ConfigError, InputError
from attrib.explaining.request import explain_settings


def refused(*arguments: str) -> str:
    error = CliRunner().invoke(app, arguments).exception
    assert isinstance(error, InputError), error
    return str(error)


def test_a_model_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    words = "model.name: expected 'demo' (given by --model), got 'other'"
    given = ("x.mp4", "-q", "Why?", "-O", str(tmp_path), "--set", "model.name=other")
    assert refused("explain", *given) == refused("layers", *given) == words
    with pytest.raises(ConfigError, match="given by --model"):
        explain_settings("demo", {"model": {"name": "other"}})
    assert explain_settings("my/other", {"model": {"name": "my/other"}}).model.name == "my/other"


@pytest.mark.parametrize(
    "command", ["explain", "bench", "layers", "atlas", "report", "figures", "techreport", "notebook"]
)
def test_what_is_written_is_named_alike_everywhere(command: str) -> None:
    told = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    assert "--output" in told and " -O " in told and " -o " not in told
