"""Runs over a data set with counterfactual videos: what is kept, the gate, and the second volume."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

import attrib
from attrib import cli, registry, video
from attrib.benchmarks.jobs.directory import ResultRows
from attrib.benchmarks.perturb import counterfactual
from attrib.benchmarks.tables import write
from attrib.benchmarks.tables.tally import tally
from attrib.commands import explain
from attrib.commands.terminal import leaderboard
from attrib.config import Config, build
from attrib.method import Control
from attrib.subject import Subject
from attrib.testing import BLUE, CELL, QUESTION, RED, ToyModel, toy_clip, toy_counterfactuals, toy_sample

CALLS: list[int] = []


@dataclass(frozen=True)
class Aimed(Control):
    """The red cell for the first option, the blue one for the second; counts its calls."""

    height: float = 1.0

    def values(self, subject: Subject) -> torch.Tensor:
        CALLS.append(subject.option)
        values = torch.zeros(4, 3, 4)
        values[RED if subject.option == 0 else BLUE] = self.height
        return values


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three videos: one that passes the gate, one whose `removed` video shows all, one without any."""
    root, clip = tmp_path / "world", toy_clip()
    for name in ("passes", "fails", "bare"):
        video.write(root / "videos" / f"{name}.mp4", clip.frames, clip.times, clip.end)
    green = clip.frames.copy()
    _, row, column = RED
    green[RED[0], row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = (51, 255, 51)
    listed: dict[str, Any] = {}
    for name in ("passes", "fails"):
        parts = toy_counterfactuals(tmp_path / name)
        video.write(tmp_path / name / "removed.mp4", green if name == "passes" else clip.frames, clip.times, clip.end)
        for item in parts:
            (root / "counterfactuals").mkdir(exist_ok=True)
            shutil.copy(item.video, root / "counterfactuals" / f"{name}_{item.video.name}")
        listed[name] = {"0": [
            {"kind": item.kind, "video": f"{name}_{item.video.name}"}
            | ({"track": item.track, "start": item.start, "end": item.end} if item.kind == "part" else {})
            for item in parts
        ]}  # fmt: skip
    (root / "counterfactuals_valid.json").write_text(json.dumps(listed))
    (root / "all_valid.json").write_text(json.dumps({name: annotation() for name in ("passes", "fails", "bare")}))
    return root


def annotation() -> dict[str, Any]:
    sample = toy_sample()
    tracks = [
        {"id": track.id, "label": track.label, "bounding_boxes": track.boxes.tolist(),
         "timestamps": (track.times * 1e6).tolist()}
        for track in sample.tracks
    ]  # fmt: skip
    question = {"id": 0, "question": QUESTION.text, "options": list(QUESTION.options), "answer_id": 0}
    grounded = {"id": 0, "question": QUESTION.text, "answers": [1]}
    return {"mc_question": [question], "object_tracking": tracks, "grounded_question": [grounded]}


@pytest.fixture(autouse=True)
def _plugins() -> Any:
    CALLS.clear()
    registry.register("methods", Aimed)
    registry._files["models"]["toy"] = lambda **_: ToyModel()
    yield
    registry._files["methods"].clear()
    registry._files["models"].clear()


BOTH = {"counterfactual_deletion": None, "target_sensitivity": None}


def settings(root: Path, **changes: Any) -> dict[str, Any]:
    return {
        "data": {"name": "perception_test", "root": str(root)}, "model": {"name": "toy", "frames": 4},
        "methods": {"aimed": None}, "metrics": BOTH, "overlays": 0, "resamples": 100, **changes,
    }  # fmt: skip


def test_gate_and_scores_of_each_item(root: Path, tmp_path: Path) -> None:
    outcome = attrib.bench(settings(root, methods={"aimed": None, "oracle": None}), tmp_path / "run")
    assert not outcome.failures
    table = outcome.results.set_index(["video", "method", "metric"])
    gated = outcome.results.groupby("video")["gated"].first()
    assert (bool(gated["passes"]), bool(gated["fails"])) == (True, False)
    assert pd.isna(gated["bare"])
    assert table.loc[("passes", "aimed", "target_sensitivity"), "value"] > 0
    assert table.loc[("passes", "oracle", "target_sensitivity"), "value"] == 0
    assert table.loc[("passes", "oracle", "counterfactual_deletion"), "value"] > 0
    assert "no counterfactual video" in table.loc[("bare", "aimed", "counterfactual_deletion"), "reason"]
    assert tally(outcome.results) == (3, 3, 2, 1, 3)
    board = outcome.leaderboard.set_index(["subset", "method", "metric"])
    assert board.loc[("gated", "oracle", "counterfactual_deletion"), "videos"] == 1
    assert board.loc[("all", "oracle", "counterfactual_deletion"), "videos"] == 2


def test_the_second_volume_is_made_once_and_only_where_it_is_wanted(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    attrib.bench(settings(root, metrics={"counterfactual_deletion": None}), folder)
    assert CALLS == [0, 0, 0]
    assert not (folder / "rivals").exists()
    first = attrib.bench(settings(root), folder)
    assert CALLS == [0, 0, 0, 1, 1, 1]
    again = attrib.bench(settings(root, metrics={**BOTH, "mass": None}), folder)
    assert len(CALLS) == 6
    kept = again.results[again.results["metric"] == "target_sensitivity"].reset_index(drop=True)
    expected = first.results[first.results["metric"] == "target_sensitivity"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, expected)
    for path in (folder / "rivals").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:50])
    attrib.bench(settings(root), folder)
    assert CALLS[6:] == [1, 1, 1]


def test_a_kept_volume_of_other_parameters_is_never_taken(root: Path, tmp_path: Path) -> None:
    """Neither the second volume after a run without it, nor one whose item was never written."""
    folder, deeper = tmp_path / "run", {"methods": {"aimed": {"height": 2.0}}}
    attrib.bench(settings(root), folder)
    attrib.bench(settings(root, **deeper, metrics={"counterfactual_deletion": None}), folder)
    assert CALLS[6:] == [0, 0, 0]
    attrib.bench(settings(root, **deeper), folder)
    assert CALLS[9:] == [1, 1, 1]
    for path in (folder / "items").rglob("*.json"):
        path.unlink()
    attrib.bench(settings(root), folder)
    assert len(CALLS) == 18


def test_counterfactual_videos_are_answered_once_for_all_methods(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = Subject.logprobs_of

    def counted(self: Subject, count: int, *rest: Any) -> torch.Tensor:
        asked.append(count)
        return real(self, count, *rest)

    monkeypatch.setattr(Subject, "logprobs_of", counted)
    attrib.bench(settings(root, methods={"aimed": None, "oracle": None, "uniform": None}), tmp_path / "run")
    assert sum(asked) == 2 * 6


def test_a_changed_counterfactual_scores_the_kept_volumes_again(root: Path, tmp_path: Path) -> None:
    before = attrib.bench(settings(root), tmp_path / "run")
    shutil.copy(root / "counterfactuals" / "passes_removed.mp4", root / "counterfactuals" / "fails_removed.mp4")
    after = attrib.bench(settings(root), tmp_path / "run")
    assert len(CALLS) == 6
    assert before.computed == 14  # 3 answers, 2 gates, 3 maps, 3 of the other option, 3 groups of scores
    assert after.computed == 2  # a gate and its sample's scores
    assert after.results.groupby("video")["gated"].first()["fails"]


def test_a_broken_counterfactual_fails_only_what_needs_it(root: Path, tmp_path: Path) -> None:
    (root / "counterfactuals" / "fails_only.mp4").write_bytes(b"no video")
    outcome = attrib.bench(settings(root), tmp_path / "run")
    (failure,) = outcome.failures
    assert failure.video == "fails"
    assert "fails_only.mp4" in failure.error
    assert tally(outcome.results) == (3, 3, 1, 1, 3)
    assert outcome.results.set_index(["video", "metric"]).loc[("fails", "counterfactual_deletion"), "value"] > 0


def test_the_answers_go_with_their_subject(root: Path, tmp_path: Path) -> None:
    attrib.bench(settings(root), tmp_path / "run")
    assert not [subject for subject in counterfactual._known if subject.clip.path and root in subject.clip.path.parents]


def results(metrics: list[tuple[str, str | None]]) -> pd.DataFrame:
    rows = [
        {"sample": f"{name}_0", "video": name, "task": "task", "method": method, "metric": metric, "imputer": imputer,
         "value": -value, "chance": 0.5, "reason": "", "answer": "A", "correct": True, "gated": gated}
        for name, gated, value in (("v1", True, 10.25), ("v2", False, 20.5), ("v3", None, 30.75))
        for method in ("integrated_gradients", "oracle")
        for metric, imputer in metrics
    ]  # fmt: skip
    table = ResultRows()
    table.add(rows)
    return table.table()


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal_and_show_every_metric_once(width: int) -> None:
    names = ["counterfactual_deletion", "target_sensitivity", "average_precision", "mass", "segment_energy"]
    metrics: list[tuple[str, str | None]] = [*((name, None) for name in names), ("srg", "blur"), ("srg", "mean")]
    entries = [build("metrics", name, {"imputer": imputer} if imputer else None) for name, imputer in metrics]
    settings = Config(methods={}, metrics={}, resamples=100)
    board = write.summarise(results(metrics), None, entries, settings).leaderboard
    for subset, count in (("all", 7), ("gated", 5)):
        tables = leaderboard.board_of(board, subset, (), width).tables
        assert sum(len(table.columns) - 1 for table in tables) == count
        for table in tables:
            assert Console(width=400).measure(table).maximum <= width
    assert np.isclose(board.set_index(["subset", "method", "metric"]).loc[("gated", "oracle", "mass"), "mean"], -10.25)


def test_the_command_prints_the_gate_and_the_gated_table(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "bench.yaml"
    config.write_text(json.dumps(settings(root)))
    for extra in (["--verbose"], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["attrib", "bench", str(config), "-O", str(tmp_path / "run"), *extra])
        with pytest.raises(SystemExit, match="0"):
            cli.main()
    out = capfd.readouterr().out
    words, _, report = out.partition("\n{")
    assert "all 3 questions (1 of 2 pass the gate)" in words
    assert words.index("all 3 questions") < words.index("the 1 that pass the gate")
    assert "answered correctly" not in words
    assert json.loads("{" + report)["questions"] == {"samples": 3, "correct": 3, "tested": 2, "passed": 1, "judged": 3}


def test_all_methods_are_those_that_need_no_annotation() -> None:
    assert {"aimed", "uniform", "relevance"} <= set(explain._chosen(["all"], {}, False) or ())
    assert "oracle" not in (explain._chosen(["all"], {}, False) or ())
    assert "oracle" in (explain._chosen(["all", "oracle"], {}, False) or ())
