"""A small run with the built-in model that is killed at random moments loses nothing and does nothing twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from attrib.demo.generate import generate
from tools import kill_and_resume
from tools.kill_and_resume import compared, moments, run_with_kills, start

pytestmark = pytest.mark.slow

KILLS = 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory in which the runs share one small world."""
    folder = tmp_path_factory.mktemp("killed")
    generate(folder / "world", videos=2, seed=3, split="valid", counterfactuals=True)
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_and_resume, "METHODS", ("random", "oracle", "raw_attention"))
    monkeypatch.setattr(kill_and_resume, "METRICS", ("counterfactual_deletion", "mass", "segment_auc"))


@pytest.mark.usefixtures("quick")
def test_killed_runs_and_killed_workers_give_the_results_of_one_that_was_left_alone(folder: Path) -> None:
    verdicts = kill_and_resume.verdicts(folder, KILLS, videos=2, seed=1)
    assert [verdict.twice for verdict in verdicts] == [0, 0, 0]
    assert [verdict.differing for verdict in verdicts] == [0, 0, 0]
    assert {verdict.rows for verdict in verdicts} == {2 * 3 * 3}
    assert verdicts[0].kills == KILLS
    parts = 2 * (1 + 1 + 3 + 3 * 2)  # answer, gate, maps, two groups of scores for each; a kill may cost a log line
    assert {verdict.records for verdict in verdicts} <= set(range(parts - KILLS, parts + 1))
    assert not list(folder.rglob("*.part*"))


def test_what_is_lost_or_done_twice_would_be_seen(tmp_path: Path) -> None:
    table = pd.DataFrame({"sample": ["a", "b"], "value": [0.5, None], "seconds": [1.0, 2.0], "peak_memory": [1, 2]})
    line = json.dumps({"item": "answers/a", "key": "k", "what": []})
    other = json.dumps({"item": "answers/a", "key": "k", "what": ["mass"]})
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    table.to_parquet(tmp_path / "one" / "results.parquet")
    for changed, log, expected in (
        (table.assign(seconds=3.0), f"{line}\n{other}\n", (0, 0)),
        (table.assign(value=[0.5, 0.25]), f"{line}\n{line}\n{line}\n", (2, 1)),
        (table.assign(value=[0.5 + 1e-12, None]), f"{line}\n", (0, 1)),
        (table.iloc[:1], "", (0, 1)),
        (table.iloc[::-1], "", (0, 2)),
    ):
        changed.to_parquet(tmp_path / "two" / "results.parquet")
        (tmp_path / "two" / "log.jsonl").write_text(log)
        verdict = compared("", 0, tmp_path / "two", tmp_path / "one")
        assert (verdict.twice, verdict.differing) == expected
        assert verdict.good == (expected == (0, 0))


def test_moments_are_spread_over_the_run_and_seeded() -> None:
    found = moments(20, 210, 0)
    assert found == moments(20, 210, 0) != moments(20, 210, 1)
    assert {type(parts) for parts, _ in found} == {int}
    assert min(parts for parts, _ in found) >= 0 and 10 < max(parts for parts, _ in found) <= 20


@pytest.mark.usefixtures("quick")
def test_a_part_whose_log_line_was_lost_is_not_computed_again(folder: Path) -> None:
    """A kill between keeping a part and logging it; and one between a map and its record."""
    run, wanted = folder / "logless", kill_and_resume.settings(folder, 2, 1)
    run_with_kills(wanted, run, [])
    (run / "log.jsonl").unlink()
    shutil.rmtree(run / "items" / "volumes")
    before = pd.read_parquet(run / "results.parquet")
    process = start(wanted, run)
    process.join()
    assert process.exitcode == 0
    assert not (run / "log.jsonl").exists()
    pd.testing.assert_frame_equal(pd.read_parquet(run / "results.parquet"), before)
