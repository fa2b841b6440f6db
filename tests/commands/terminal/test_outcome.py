"""The output of `attrib bench`, counted in lines and columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrib import config
from attrib.benchmarks.checks.compute import Checks
from attrib.benchmarks.jobs.store import Failure
from attrib.benchmarks.runner import Outcome
from attrib.benchmarks.tables import write
from attrib.commands.terminal import outcome
from attrib.settings.benchmark import bench_settings

from board_cases import results

Run = Callable[..., tuple[int, str, str]]
SETTINGS = config.parse(bench_settings(None, ()))
PERTURBING = ("srg", "deletion", "insertion")
METHODS = [entry.label for entry in config.method_entries(SETTINGS)]


def scores(best: str = "relevance", videos: int = 18) -> pd.DataFrame:
    """Scores of videos for every method, metric and imputer of the built-in benchmark; `best` is far ahead."""
    random, rows = np.random.default_rng(0), []
    for video in range(videos):
        for entry in config.metric_entries(SETTINGS):
            imputers = SETTINGS.imputers if entry.label in PERTURBING else [None]
            sign = -1 if entry.item.direction == "low" else 1
            for method in METHODS:
                for imputer in imputers:
                    value = random.normal(sign * 50 * (method == best), 8)
                    rows.append((f"s{video}", f"v{video}", "task", method, entry.label, imputer, value))
    return results(rows).assign(gated=pd.array([None] * len(rows), dtype="boolean"))


def finished(best: str = "relevance", checks: Checks | None = None, failures: int = 0, videos: int = 18) -> Outcome:
    table = scores(best, videos)
    tables = write.summarise(
        table, None, config.metric_entries(SETTINGS), SETTINGS.model_copy(update={"resamples": 2000})
    )
    failed = (Failure("s1", "v1", "legrad", "srg", "no memory"),) * failures
    return Outcome(Path("runs/demo"), table, tables, failed, (), 0, checks or Checks())


def shown(capsys: pytest.CaptureFixture[str], found: Outcome, verbose: bool = False) -> list[str]:
    outcome.show(found, verbose)
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out.splitlines()


def test_a_run_of_the_built_in_benchmark_is_summed_up_in_60_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, finished())
    assert len(lines) <= 60 and max(map(len, lines)) <= 100
    assert lines[0] == "Leaderboard of the primary metrics, all 18 questions (18 answered correctly)"
    assert lines[-3:] == [
        "beats every control: relevance (5 of 5)",
        "failed: no item",
        "report: attrib report runs/demo; tables: runs/demo/*.csv (--verbose prints them)",
    ]
    text = "\n".join(lines)
    assert text.count("srg") == 2 and "deletion" not in text, "the primary metrics alone"
    for method in METHODS:
        assert any(line.startswith(method[:12]) for line in lines), method
    full = "\n".join(shown(capsys, finished(), verbose=True))
    assert "deletion" in full and full.count("\n") > 60


def test_what_beats_no_control_and_what_failed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        ("legrad", "vision", "fail"),
        ("legrad", "both", "fail"),
        ("centre", "both", "fail"),
        ("tam", "both", "pass"),
    ]
    verdicts = pd.DataFrame(rows, columns=["method", "part", "verdict"])
    lines = shown(capsys, finished("oracle", Checks(verdicts=verdicts), failures=2))
    assert lines[-3:-1] == [
        "beats every control: no method (Holm over the primary metrics, p < 0.05)",
        "failed: 2 items, listed below; sanity check: legrad (vision, both)",
    ], "an upper bound is no method, and controls ignore the model by design"


@pytest.mark.parametrize("videos", [1, 5, 6])
def test_so_few_videos_that_no_test_could_show_a_difference_are_said_to_be(
    videos: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Flips of five signs give p = 2 / 2 ** 5 = .0625 at the least."""
    line = shown(capsys, finished(videos=videos))[-3]
    count = "1 video" if videos == 1 else f"{videos} videos"
    told = f"beats every control: {count} cannot tell; the test needs 6 or more"
    assert (line == told) == (videos < 6)
    assert len(line) <= 100


def test_a_line_names_as_many_as_it_has_room_for() -> None:
    names = [f"method_{place} (1 of 5)" for place in range(9)]
    line = outcome._listed("beats every control", names)
    assert line == "beats every control: method_0 (1 of 5), method_1 (1 of 5), method_2 (1 of 5) and 6 more"
    assert outcome._listed("failed: no item", []) == "failed: no item"


@pytest.mark.slow
def test_the_built_in_benchmark_itself_prints_60_lines_and_progress_elsewhere(attrib: Run, tmp_path: Path) -> None:
    small = [f"--set={text}" for text in ("data.videos=2", "overlays=0", "null_pairs=0", "resamples=100",
                                          "sanity.videos=1", "floors.videos=1", "workers=1")]  # fmt: skip
    code, out, _ = attrib("bench", "-O", tmp_path / "run", *small)
    lines = out.splitlines()
    assert code == 0
    assert len(lines) <= 60 and max(len(line) for line in lines if str(tmp_path) not in line) <= 100
    assert out.startswith("Leaderboard of the primary metrics, all 2 questions")
