"""`attrib data check`, `attrib data tasks` and `attrib explain --data` as a user meets them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrib import video
from attrib.commands.explain import _chosen
from attrib.demo.generate import generate
from attrib.types import SaliencyVolume

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("world"), videos=3, seed=5)


def refused(result: tuple[int, str, str], message: str) -> None:
    code, out, err = result
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_check_says_what_is_there(attrib: Run, world: Path, tmp_path: Path) -> None:
    code, out, err = attrib("data", "check", world)
    assert (code, err) == (0, "")
    assert "3 videos, 3 questions" in out
    copy = Path(shutil.copytree(world, tmp_path / "world"))
    gone, broken, _ = sorted((copy / "videos").glob("*.mp4"))
    gone.unlink()
    broken.write_text("no video")
    code, out, _ = attrib("data", "check", copy, "--json")
    (found,) = json.loads(out)
    assert code == 1
    assert found["counts"]["videos"] == 3
    faults = {item["kind"]: item["examples"] for item in found["findings"] if item["fault"]}
    assert faults["missing video files"] == [gone.stem]
    assert faults["videos that cannot be opened"][0].startswith(f"{broken.stem} cannot be read as a video")
    code, out, _ = attrib("data", "check", copy)
    assert code == 1
    assert "missing video files: a run records them" in " ".join(out.split())


def test_what_is_no_data_set_is_one_line(attrib: Run, world: Path, tmp_path: Path) -> None:
    for command in (("data", "check"), ("data", "tasks")):
        refused(attrib(*command, tmp_path / "nothing"), "expected the directory of a data set")
        refused(attrib(*command, tmp_path), "expected all_valid.json, mc_question_valid.json or explorer_data.json")
        refused(attrib(*command, world, "--split", "train"), "found all_valid.json: choose that split")
    (tmp_path / "all_valid.json").write_text("[1]")
    refused(attrib("data", "tasks", tmp_path), "expected a JSON object, got '[1]'")
    assert attrib("data", "check", tmp_path)[0] == 1
    refused(attrib("data", "tasks", world, "--run", tmp_path), "expected a finished run")


def test_tasks_of_the_explorers_file(attrib: Run, shared_data: Path) -> None:
    path = shared_data / "perception_test" / "explorer_data.json"
    code, out, _ = attrib("data", "tasks", path)
    assert code == 0
    assert "130 tasks, 237 videos (5 of them without a question), 1,126 questions" in out
    found = json.loads(attrib("data", "tasks", path.parent, "--json")[1])
    assert (len(found["tasks"]), found["videos"], found["videos_without_question"], found["questions"]) == (
        130, 237, 5, 1126,
    )  # fmt: skip
    given = json.loads(path.read_text())
    for task in (found["tasks"][0], found["tasks"][64], found["tasks"][-1]):
        asked = [name for name, items in given.items() for item in items if item["question"].strip() == task["task"]]
        assert (task["videos"], task["questions"]) == (len(set(asked)), len(asked))
    numbers = [task["videos"] for task in found["tasks"]]
    assert numbers == sorted(numbers, reverse=True)


def test_tasks_count_annotations_once_for_each_video(attrib: Run, tmp_path: Path) -> None:
    track = {"id": 0, "label": "cup", "timestamps": [0, 1], "bounding_boxes": [[0, 0, 1, 1]] * 2}
    asked = [{"id": k, "question": "[red]Why?", "options": ["a", "b"], "area": "physics"} for k in range(2)]
    other = {"id": 5, "question": "Where?", "options": ["a", "b"], "area": "memory"}
    point = {"id": 0, "frame_ids": [0, 1, 2], "points": [[0.1] * 3] * 2}
    one = {"object_tracking": [track], "point_tracking": [point], "mc_question": [*asked, other]}
    (tmp_path / "mc_question_test.json").write_text(json.dumps({"a": one, "b": {"mc_question": [asked[0]]}, "c": {}}))
    code, out, _ = attrib("data", "tasks", tmp_path, "--split", "test", "--json")
    first, second = json.loads(out)["tasks"]
    assert code == 0
    assert (first["task"], first["videos"], first["questions"], first["tracks"], first["boxes"], first["points"]) == (
        "[red]Why?", 2, 3, 1, 2, 3,
    )  # fmt: skip
    assert (second["task"], second["area"], second["tracks"]) == ("Where?", ["memory"], 1)
    assert "[red]Why?" in attrib("data", "tasks", tmp_path, "--split", "test")[1]  # markup stays text


def test_a_run_goes_on_without_missing_videos_and_tasks_tell_its_accuracy(
    attrib: Run, world: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(world, tmp_path / "world"))
    gone, broken, whole = sorted((copy / "videos").glob("*.mp4"))
    gone.unlink()
    broken.write_bytes(b"no video")
    (tmp_path / "c.yaml").write_text(
        f"data: {{name: perception_test, root: {copy}}}\nmethods: {{centre: }}\nmetrics: {{mass: , object_auc: }}\n"
        "resamples: 100\noverlays: 0\n"
    )
    code, _, err = attrib("bench", tmp_path / "c.yaml", "-O", tmp_path / "run")
    assert code == 1
    assert "2 failed:" in err and f"{gone}: no such file" in err and f"{broken}: cannot be read" in err
    results = pd.read_parquet(tmp_path / "run" / "results.parquet")
    assert set(results["video"]) == {gone.stem, broken.stem, whole.stem}
    assert results.loc[results["video"] == whole.stem, "value"].notna().all()
    assert (results["area"] != "").all() and set(results["rule"]) == {"exact"}
    found = json.loads(attrib("data", "tasks", copy, "--run", tmp_path / "run", "--json")[1])
    own = results.loc[results["video"] == whole.stem].iloc[0]
    (answered,) = [task for task in found["tasks"] if task["answered"]]
    assert (answered["task"], answered["accuracy"], answered["answered"]) == (own["task"], float(own["correct"]), 1)


def test_explain_takes_the_question_from_the_annotation(attrib: Run, shared_data: Path, tmp_path: Path) -> None:
    root, folder = shared_data / "perception_test" / "valid_cup_game", tmp_path / "out"
    code, out, err = attrib("explain", "--data", root, "--video", "video_7110", "--method", "oracle",
                            "--set", "model.frames=12", "-O", folder, "--json")  # fmt: skip
    assert code == 0, err
    summary = json.loads(out)
    assert summary["question"].endswith(
        "Where is the hidden object at the end of the game from the person's point of view?"
    )
    assert (summary["correct_answer"], len(summary["options"]), summary["sample"]) == ("A", 3, "video_7110_0")
    assert (summary["area"], summary["evidence_rule"]) == ("physics", "hiding object")
    assert [(item["track"], item["label"]) for item in summary["evidence"]] == [(2, "cup")]
    assert [track["is_evidence"] for track in summary["tracks"]] == [False, False, True]
    volume = SaliencyVolume.load(folder / "oracle.npz")
    x = np.linspace(0, 1, volume.values.shape[2])
    mean_x = [float((frame.sum(axis=0) * x).sum() / frame.sum()) for frame in volume.values if frame.any()]
    assert min(mean_x) > 0.6 and max(mean_x) < 0.81  # the rightmost cup of three
    assert volume.values[volume.times > 330 / 30.005].max() == 0  # nothing after the cut
    drawn = video.read(folder / "oracle.mp4", sampling="times", times=[7.0, 15.0])
    green = (np.abs(drawn.frames.astype(int) - (0, 200, 140)).max(axis=-1) < 60)[:, :140]  # above the panel
    assert green[0].sum() > 20 and green[1].sum() == 0
    rows, columns = np.nonzero(green[0])
    assert rows.mean() < 40 and columns.mean() > 110  # at 7 s that cup is lifted: to the top, on the right


def test_explain_says_what_it_took(attrib: Run, world: Path, tmp_path: Path) -> None:
    name = sorted((world / "videos").glob("*.mp4"))[0].stem
    code, out, err = attrib("explain", "--data", world, "--video", name, "--question-id", "0", "-O", tmp_path / "out",
                            "--method", "object_occlusion", "--set", "model.frames=2")  # fmt: skip
    assert code == 0, err  # a method that needs the annotation has it
    assert "right answer: " in out and "evidence by the rule 'exact': " in out


def test_all_methods_are_those_that_have_what_they_need() -> None:
    annotated, plain = (_chosen(["all"], {"centre": {"sigma": 1}}, known) or {} for known in (True, False))
    assert set(annotated) - set(plain) == {"object_occlusion", "oracle"}
    assert "dataset_prior" not in annotated  # that is of other videos
    assert plain["centre"] == {"sigma": 1} and "relevance" in plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "got no VIDEO"),
        (["v.mp4"], "got no --question"),
        (["-q", "Why?"], "got no VIDEO"),
        (["--data", "{world}"], "got no --video"),
        (["--video", "video_1"], "got no --data"),
        (["v.mp4", "--data", "{world}", "--video", "x"], "got VIDEO and --data"),
        (["--data", "{world}", "--video", "x", "-q", "Why?"], "got --question and --data"),
        (["--data", "{world}", "--video", "x", "--per-word"], "got --per-word and --data"),
        (["v.mp4", "-q", "Why?", "--split", "valid"], "got VIDEO and --split"),
        (["--data", "{world}", "--video", "vide_50002"], "unknown video 'vide_50002'; did you mean 'video_50002'?"),
        (["--data", "{world}", "--video", "video_50002", "--question-id", "4"], "unknown question of video_50002 '4'"),
        (["--data", "{world}", "--video", "video_50002", "--split", "test"], "found all_valid.json: choose that split"),
        (["--data", "{world}", "--video", "video_50002", "--target", "option:9"], "expected an option from 0 to 2"),
    ],
)
def test_mixed_forms_are_one_line(attrib: Run, world: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    given = [text.format(world=world) for text in arguments]
    refused(attrib("explain", "-O", tmp_path / "out", *given), message)
    assert not (tmp_path / "out").exists()
