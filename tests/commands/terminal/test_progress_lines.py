"""Progress where there is no terminal: lines with the time left, by a clock of the test's own."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from attrib.commands.terminal import progress_lines
from attrib.commands.terminal.console import progress
from attrib.commands.terminal.progress_lines import Pace, duration, lines
from attrib.demo.generate import generate


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_time_left_is_measured_over_what_was_computed_here() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.line() == "starting"
    pace.step("reading the data set", 0, 0)
    assert pace.line() == "reading the data set"
    pace.step("v1  grad_cam", 10, 40)
    clock.now = 30.0
    assert pace.line() == "10 of 40, time left unknown: v1  grad_cam"
    pace.step("v2  grad_cam", 13, 40)
    clock.now = 60.0
    # 3 in 60 s, 27 left: 540 s
    assert pace.line() == "13 of 40, about 9 min left: v2  grad_cam"
    pace.step("nulls  v1", 1, 8)  # other work, of its own speed
    assert pace.line() == "1 of 8, time left unknown: nulls  v1"
    clock.now = 70.0
    pace.step("nulls  v3", 6, 8)
    assert pace.line() == "6 of 8, about 4 s left: nulls  v3"


def test_the_speed_is_that_of_the_last_lines() -> None:
    """A resumed run begins with cached items, which take no time and say nothing of the others."""
    clock = Clock()
    pace = Pace(clock)
    pace.step("cached", 0, 1000)
    pace.step("cached", 900, 1000)
    for count in range(1, 20):
        clock.now += 30
        pace.step("computed", 900 + count, 1000)
        line = pace.line()
    assert line == "919 of 1000, about 41 min left: computed"  # 81 items of 30 s


@pytest.mark.parametrize(("seconds", "text"), [(None, "unknown"), (3.2, "about 4 s"), (100, "about 2 min")])
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_line_comes_also_while_one_item_takes_long_and_none_after_the_end() -> None:
    written: list[str] = []
    twice = threading.Event()

    def write(line: str) -> None:
        written.append(line)
        if len(written) == 2:
            twice.set()

    with lines(write, period=0.01) as step:
        step("slow", 1, 2)
        assert twice.wait(10), "one item, two lines"
    ended = len(written)
    time.sleep(0.05)
    assert len(written) == ended
    assert set(written) <= {"starting", "1 of 2, time left unknown: slow"}


@pytest.mark.parametrize(("quiet", "name", "start"), [(False, "", "1 of 2"), (False, "shard 1/2", "shard 1/2: 1 of 2"),
                                                      (True, "shard 1/2", None)])  # fmt: skip
def test_commands_write_lines_to_standard_error_without_a_terminal(
    quiet: bool, name: str, start: str | None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_lines, "PERIOD", 0.02)
    with progress(quiet, name) as step:
        step("[bold]item[/bold]", 1, 2)
        time.sleep(0.2)
    out, err = capfd.readouterr()
    assert not out
    if start is None:
        assert not err
    else:
        assert set(err.splitlines()) == {f"{start}, time left unknown: [bold]item[/bold]"}


def test_a_benchmark_without_a_terminal_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The workers are forked while the lines come from a thread."""
    from typer.testing import CliRunner

    from attrib.cli import app

    monkeypatch.setattr(progress_lines, "PERIOD", 0.005)
    world = generate(tmp_path / "world", videos=2, seed=5)
    (tmp_path / "c.yaml").write_text(
        f'data: {{name: perception_test, root: "{world}"}}\n'
        "methods: {random: , oracle: }\nmetrics: {mass: }\noverlays: 0\nresamples: 100\nworkers: 2\n"
    )
    found = CliRunner().invoke(app, ["bench", str(tmp_path / "c.yaml"), "-O", str(tmp_path / "run")])
    assert found.exit_code == 0, found.output
    assert "0 of 4, time left unknown: first samples" in found.output + capfd.readouterr().err
