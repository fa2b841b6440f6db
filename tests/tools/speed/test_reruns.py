from __future__ import annotations

from pathlib import Path

from attrib.benchmarks.jobs.directory import RunDirectory
from tools.speed.reruns import measure


def test_a_drawn_run_is_complete_and_its_rerun_needs_its_index_only(tmp_path: Path) -> None:
    """`measure` itself asserts that nothing is computed, with the index and without."""
    found = measure(tmp_path, videos=1, methods=6, resamples=100)
    records = list((tmp_path / "run" / "items").rglob("*.json"))
    assert found["records"] == len(records)
    assert found["samples"] * 6 * 2 < len(records), "two maps, scores and curves of each method"
    indices = [path.relative_to(tmp_path / "run" / "index") for path in (tmp_path / "run" / "index").rglob("*.json")]
    assert {path.parts[0] for path in indices} == {"volumes", "rivals", "scores", "curves"}
    assert not list(RunDirectory.at(tmp_path / "run").store.logged())
    assert (tmp_path / "run" / "report.html").exists()
