"""A signal stops the commands that draw in one line, with the shell's exit code for it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attrib.cli import app

ASKED = ("x.mp4", "-q", "Why?")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("command", "arguments", "work"),
    [
        ("explain", ASKED, "attrib.api.explain"),
        ("layers", ASKED, "attrib.explaining.binding.load"),
        ("figures", ("run",), "attrib.benchmarks.export.figures.write.write_figures"),
        ("techreport", ("run",), "attrib.benchmarks.export.techreport.write.write_report"),
    ],
)
def test_it_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, arguments: tuple[str, ...], work: str, number: int
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.mp4").write_bytes(b"stopped before it is read")
    Path("run").mkdir()
    Path("run/config.yaml").write_text("seed: 0\n")
    monkeypatch.setattr("attrib.benchmarks.jobs.finished_run.read", lambda run: None)
    monkeypatch.setattr(work, lambda *_, **__: signal.raise_signal(number))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        found = CliRunner().invoke(app, [command, *arguments, "-O", str(tmp_path / "out")])
    finally:
        signal.signal(signal.SIGINT, before)
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[signal.Signals(number)]
    assert found.exit_code == 128 + number, found.output
    assert found.output.startswith(f"{word}; ") and found.output.count("\n") == 1
