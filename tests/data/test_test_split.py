"""The layout of the official test split: no labels, no answers, of each track only its first box."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attrib import video
from attrib.data.perception_test import PerceptionTest
from attrib.render.options import RenderOptions, bands, boxes
from attrib.types import Evidence, Track

Run = Callable[..., tuple[int, str, str]]
UNKNOWN = ("left, right, none", "Why, a, b, c")
RATES = {"video_1": 30.0, "video_2": 29.97, "video_3": 30.005, "video_4": 30.0}


def unlike(lines: list[str]) -> list[str]:
    """Messages of other things than unknown words or an unsure answer, which noise may get from the built-in model."""
    known = {f"{kind}: the built-in model does not know: {words}" for kind in ("note", "warning") for words in UNKNOWN}
    return [line for line in lines if line not in known and "no choice among the options" not in line]


def metadata(name: str) -> dict[str, Any]:
    return {"split": "test", "video_id": name, "frame_rate": RATES[name], "num_frames": 60, "resolution": [64, 96],
            "audio_samples": 96_000, "audio_sample_rate": 48_000, "is_cup_game": 0, "is_camera_moving": 0}  # fmt: skip


def first_box(number: int, corners: list[float], frame: int = 0) -> dict[str, Any]:
    return {"id": number, "bounding_boxes": [corners], "frame_ids": [frame], "timestamps": [round(frame / 30 * 1e6)]}


def question(number: int, text: str, *options: str) -> dict[str, Any]:
    return {"id": number, "question": text, "options": list(options), "area": "physics", "reasoning": "descriptive",
            "tag": ["motion"]}  # fmt: skip


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Four videos with the official oddities: absent, empty and null lists, -1 as a parent, letters as options."""
    point = {"id": 0, "parent_objects": [-1], "frame_ids": [0], "points": [[0.5], [0.25]], "timestamps": [0]}
    annotated = {
        "video_1": {"object_tracking": [first_box(0, [0.1, 0.1, 0.3, 0.3]), first_box(1, [0.5, 0.4, 0.9, 0.8])],
                    "point_tracking": [point], "action_localisation": [], "sound_localisation": [],
                    "mc_question": [question(0, "Which?", "left", " right", "none "),
                                    question(7, "Which?", "A", "B", "C")],
                    "grounded_question": [{"id": 0, "question": "Track it.", "area": "memory"}]},
        "video_2": {"object_tracking": [], "point_tracking": [], "mc_question": [question(1, "Why?", "a", "b", "c")]},
        "video_3": {"object_tracking": [first_box(4, [0.0, 0.0, 1.0, 1.0], frame=71)], "grounded_question": None,
                    "mc_question": [{**question(2, "How many?", "1", "2", "3"), "answer_id": -1}]},
        "video_4": {"object_tracking": [{**first_box(3, []), "label": None, "bounding_boxes": [], "timestamps": []}],
                    "mc_question": []},
    }  # fmt: skip
    found = {name: {"metadata": metadata(name), **lists} for name, lists in annotated.items()}
    (tmp_path / "all_test.json").write_text(json.dumps(found))
    (tmp_path / "cut_frame_mapping_test.json").write_text(json.dumps({"video_1": -1, "video_3": 45}))
    (tmp_path / "videos").mkdir()
    frames = np.random.default_rng(0).integers(0, 255, (60, 64, 96, 3), np.uint8)
    for name in annotated:
        video.write(tmp_path / "videos" / f"{name}.mp4", frames, np.arange(60) / RATES[name], 60 / RATES[name])
    return tmp_path


def test_the_check_finds_no_fault(attrib: Run, split: Path) -> None:
    code, out, err = attrib("data", "check", split, "--json")
    (found,) = json.loads(out)
    assert (code, err) == (0, "")
    assert (found["split"], found["counts"]["videos"], found["counts"]["questions"]) == ("test", 4, 4)
    assert (found["counts"]["boxes"], found["counts"]["points"], found["counts"]["cuts"]) == (3, 1, 1)
    assert not [item for item in found["findings"] if item["fault"]]


@pytest.mark.parametrize(("name", "number"), [("video_1", 0), ("video_1", 7), ("video_2", 1), ("video_3", 2)])
def test_every_question_is_explained(attrib: Run, split: Path, name: str, number: int) -> None:
    code, out, err = attrib("explain", "--data", split, "--split", "test", "--video", name, "--question-id", number,
                            "--method", "centre", "-O", split / "out", "--set", "model.frames=4")  # fmt: skip
    assert code == 0 and unlike(err.splitlines()[1:]) == []  # after the note on where the model runs
    assert "the right answer is not known\nno evidence is known" in out
    summary = json.loads((split / "out" / "summary.json").read_text())
    assert summary["correct_answer"] is None
    assert {track["label"] for track in summary["tracks"]} <= {""}
    assert {path.name for path in (split / "out").iterdir()} == {f"centre.{kind}" for kind in ("mp4", "npz", "png")} | {
        "summary.json"
    }


def test_a_benchmark_and_the_list_of_tasks_read_it(attrib: Run, split: Path) -> None:
    (split / "c.yaml").write_text(
        f"data: {{name: perception_test, root: {split}, split: test}}\nmethods: {{centre: , edges: }}\n"
        "metrics: {mass: , deletion: }\nimputers: [mean]\nresamples: 100\noverlays: 1\nmodel: {frames: 4}\n"
    )
    code, out, err = attrib("bench", split / "c.yaml", "-O", split / "run")
    assert code == 0 and unlike(err.splitlines()) == []
    assert "Leaderboard of all metrics, all 4 questions" in out
    assert (
        "3 tasks, 4 videos (1 of them without a question), 4 questions"
        in attrib("data", "tasks", split, "--split", "test")[1]
    )


def test_a_track_without_a_label_is_one_without_a_name(split: Path) -> None:
    sample = next(iter(PerceptionTest(str(split), "test")))
    assert [(track.id, track.label, track.name) for track in sample.tracks] == [(0, "", "0"), (1, "", "1")]
    assert (sample.points[0].label, sample.points[0].parents, sample.rule) == ("", (), "none")
    drawing = RenderOptions(tracks=sample.tracks, evidence=(Evidence(1, 0.0, 1.0),))
    assert [box.label for box in boxes(drawing, 0.0)] == ["0", "1"]
    assert [band.label for lane in bands(drawing, 2.0) for band in lane] == ["evidence: 1"]
    named = Track(2, "cup", np.zeros(1), np.array([[0, 0, 1, 1.0]]), np.zeros(1, bool))
    assert named.name == "2 : cup"
