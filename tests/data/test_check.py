"""Every kind of oddity is made once, found once, and said to be a fault if it is one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attrib import video
from attrib.data.check import SplitCheck, check
from attrib.data.layout import SplitFiles
from attrib.data.oddities import FAULTS, HANDLED
from attrib.errors import InputError

import official

SECOND = 1_000_000
RATE = 30


def sound() -> dict[str, Any]:
    """An annotation with nothing odd: two tracks on the grid of whole seconds, 4 s long."""
    frames = [0, 30, 60, 90]
    track = {
        "id": 0, "label": "cup", "bounding_boxes": [[0.1, 0.1, 0.3, 0.4]] * 4, "is_masked": [0] * 4,
        "initial_tracking_box": [1, 0, 0, 0], "frame_ids": frames, "timestamps": [k * SECOND for k in range(4)],
    }  # fmt: skip
    segment = {"id": 0, "label": "x", "parent_objects": [0], "timestamps": [SECOND, 2 * SECOND], "frame_ids": [30, 60]}
    found = {
        "metadata": {"frame_rate": RATE, "num_frames": 4 * RATE, "video_id": "v", "is_cup_game": 1},
        "object_tracking": [track, {**track, "id": 1}],
        "point_tracking": [{"id": 0, "parent_objects": [1], "frame_ids": [0, 1], "points": [[0.1, 0.2], [0.3, 0.4]]}],
        "action_localisation": [segment], "sound_localisation": [{**segment, "is_visible": 1}],
        "mc_question": [{"id": 0, "question": "Why?", "options": ["yes", "no", "so"], "answer_id": 1}],
        "grounded_question": [{"id": 0, "question": "Track it.", "answers": [0]}],
    }  # fmt: skip
    return dict(json.loads(json.dumps(found)))  # nothing is shared, so that a change is one change


Change = Callable[[dict[str, Any], Path], None]


def within(*path: Any, value: Any) -> Change:
    """A change of one value of the annotation."""

    def change(found: dict[str, Any], root: Path) -> None:
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = value

    return change


def beside(name: str, content: Any) -> Change:
    def change(_: dict[str, Any], root: Path) -> None:
        (root / f"{name}_valid.json").write_text(json.dumps(content))

    return change


def videos(action: Callable[[Path], Any]) -> Change:
    def change(_: dict[str, Any], root: Path) -> None:
        action(root / "videos" / "v.mp4")

    return change


def both(*changes: Change) -> Change:
    def change(found: dict[str, Any], root: Path) -> None:
        for each in changes:
            each(found, root)

    return change


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3000])


TRACK = ("object_tracking", 1)
MC = ("mc_question", 0)
# By kind: a change and how many of that kind it makes; other kinds may come with it.
CASES: dict[str, tuple[Change, int]] = {
    "malformed annotations": (within(*TRACK, "id", value=0), 1),
    "times that look like milliseconds": (lambda found, root: scaled(found, 1e-3), 1),
    "times that contradict the frame numbers": (lambda found, root: scaled(found, 2), 1),
    "missing video files": (videos(Path.unlink), 1),
    "videos that cannot be opened": (videos(lambda path: path.write_text("no video")), 1),
    "truncated or damaged videos": (videos(cut_short), 1),
    "videos without an annotation": (videos(lambda path: shutil.copy(path, path.with_name("w.mp4"))), 1),
    "videos without a question": (within("mc_question", value=[]), 1),
    "videos whose length differs from the annotation": (within("metadata", "num_frames", value=40 * RATE), 1),
    "frame counts that differ from the video file": (within("metadata", "num_frames", value=4 * RATE + 1), 1),
    "metadata without a frame rate": (lambda found, root: found["metadata"].pop("frame_rate") and None, 1),
    "metadata with the id of another video": (within("metadata", "video_id", value="u"), 1),
    "questions without an answer": (within(*MC, "answer_id", value=-1), 1),
    "questions with stray spaces in an option": (within(*MC, "options", value=["yes ", " no", "so"]), 1),
    "questions with an option that equals an option letter": (within(*MC, "options", value=["a", "C", "d"]), 1),
    "questions with an option without text": (within(*MC, "options", value=["x1", "\u200b", "x2"]), 1),
    "questions with identical options": (within(*MC, "options", value=["x 1", "x\u00a0 1", "x2"]), 1),
    "grounded answers that name no track": (within("grounded_question", 0, "answers", value=[0, 7, 8]), 2),
    "tracks without boxes": (
        lambda found, root: found["object_tracking"][1].update(bounding_boxes=[], timestamps=[], is_masked=[]), 1,
    ),
    "boxes that reach outside the picture": (within(*TRACK, "bounding_boxes", 2, value=[-0.1, 0.2, 0.3, 0.4]), 1),
    "boxes without area": (within(*TRACK, "bounding_boxes", 2, value=[0.5, 0.2, 0.5, 0.4]), 1),
    "boxes with corners the wrong way round": (within(*TRACK, "bounding_boxes", 2, value=[0.9, 0.2, 0.6, 0.4]), 1),
    "boxes that look like x, y, width, height": (within(*TRACK, "bounding_boxes", 2, value=[0.5, 0.2, 0.3, 0.4]), 1),
    "questions whose evidence has no box with area": (
        both(within("object_tracking", 0, "bounding_boxes", value=[[0.1, 0.1, 0.1, 0.4]] * 4),
             within("grounded_question", 0, "question", value="Why?")), 1,
    ),
    "boxes that cover nearly the whole picture": (within(*TRACK, "bounding_boxes", 2, value=[0, 0, 1, 0.95]), 1),
    "boxes off the 30-frame grid": (within(*TRACK, "frame_ids", value=[0, 30, 71, 90]), 1),
    "times that are not in order": (within(*TRACK, "timestamps", value=[0, 2 * SECOND, SECOND, 3 * SECOND]), 1),
    "several boxes of a track at one time": (within(*TRACK, "timestamps", value=[0, SECOND, SECOND, 3 * SECOND]), 1),
    "initial boxes that are not the first of their track": (
        within(*TRACK, "initial_tracking_box", value=[0, 1, 0, 0]), 1,
    ),
    "points outside the picture": (within("point_tracking", 0, "points", value=[[1.1, 0.2], [0.3, -0.4]]), 2),
    "points that are never visible": (
        lambda found, root: found["point_tracking"][0].update(points=[], frame_ids=[]), 1,
    ),
    "parent objects that are not annotated": (within("action_localisation", 0, "parent_objects", value=[-1, 0]), 1),
    "parent objects that name no track": (within("point_tracking", 0, "parent_objects", value=[5, 1, 6]), 2),
    "actions or sounds without length": (within("sound_localisation", 0, "timestamps", value=[SECOND, SECOND]), 1),
    "actions or sounds that end after the video": (
        within("sound_localisation", 0, "timestamps", value=[SECOND, 5 * SECOND]), 1,
    ),
    "cuts in videos other than cup games": (
        both(within("metadata", "is_cup_game", value=0), beside("cut_frame_mapping", {"v": 110})), 1,
    ),
    "cuts after the end of the video": (beside("cut_frame_mapping", {"v": 150}), 1),
    "cuts of unknown videos": (beside("cut_frame_mapping", {"u": 5}), 1),
    "boxes after the cut": (beside("cut_frame_mapping", {"v": 60}), 4),  # at 2 s and 3 s, of two tracks
    "evidence after the cut": (
        both(beside("cut_frame_mapping", {"v": 110}), beside("evidence", {"v": {"0": [
            {"track": 0, "start": 0, "end": 1, "role": "necessary"},
            {"track": 0, "start": 3.8, "end": 3.9, "role": "necessary"},
        ]}})), 1,
    ),
}  # fmt: skip
# What cannot but come with a change.
ALONG = {
    "videos whose length differs from the annotation": {"frame counts that differ from the video file"},
    "questions whose evidence has no box with area": {"boxes without area"},
}


def scaled(found: dict[str, Any], factor: float) -> None:
    for item in (*found["object_tracking"], *found["action_localisation"], *found["sound_localisation"]):
        item["timestamps"] = [time * factor for time in item["timestamps"]]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "v.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (4 * RATE, 32, 32, 3), np.uint8)
    video.write(path, noise, np.arange(4 * RATE) / RATE, 4.0)
    return path


def checked(root: Path, film: Path, change: Change | None = None, decode: bool = False) -> SplitCheck:
    (root / "videos").mkdir()
    shutil.copy(film, root / "videos" / "v.mp4")
    found = sound()
    if change:
        change(found, root)
    (root / "all_valid.json").write_text(json.dumps({"v": found}))
    (done,) = check(SplitFiles.every(str(root)), decode)
    return done


def test_nothing_is_odd_where_nothing_is(tmp_path: Path, film: Path) -> None:
    done = checked(tmp_path, film, decode=True)
    assert done.findings == []
    expected = {"videos": 1, "questions": 1, "grounded questions": 1, "tracks": 2, "boxes": 8, "point tracks": 1,
                "points": 2, "actions": 1, "sounds": 1, "cuts": 0}  # fmt: skip
    assert {name: done.counts[name] for name in expected} == expected


def test_every_kind_has_a_case() -> None:
    assert set(CASES) == {*FAULTS, *HANDLED}
    assert not set(FAULTS) & set(HANDLED)


@pytest.mark.parametrize("kind", CASES)
def test_each_kind_is_found_alone(kind: str, tmp_path: Path, film: Path) -> None:
    change, count = CASES[kind]
    done = checked(tmp_path, film, change, decode=kind == "truncated or damaged videos")
    found = {finding.kind: finding for finding in done.findings}
    assert set(found) == {kind} | ALONG.get(kind, set())
    assert found[kind].count == count
    assert found[kind].is_fault == (kind in FAULTS)
    assert 1 <= len(found[kind].examples) <= 3
    assert all(place.startswith(("v", "w", "u")) for place in found[kind].examples)


def test_options_of_several_letters_are_no_option_letters(tmp_path: Path, film: Path) -> None:
    assert checked(tmp_path, film, within(*MC, "options", value=["AB", "bc", "d2"])).findings == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (within(*MC, "answer_id", value=3), "answer 3 is not one of the options"),
        (within("sound_localisation", 0, "timestamps", value=[2 * SECOND, SECOND]), "s is empty"),
        (within(*TRACK, "timestamps", value=[0]), "expected as many boxes as timestamps"),
        (within("point_tracking", 0, "points", value=[[1, 2, 3], [1, 2, 3], [1, 2, 3]]), "points"),
        (within("point_tracking", 0, "frame_ids", value=[1]), "expected as many points as frame_ids"),
        (within("metadata", "frame_rate", value=0), "frame_rate"),
        (beside("cut_frame_mapping", {"v": "x"}), "cut_frame_mapping_valid.json: v: input should be a valid integer"),
    ],
)
def test_what_the_reader_refuses_is_a_fault(change: Change, message: str, tmp_path: Path, film: Path) -> None:
    (finding,) = checked(tmp_path, film, change).findings
    assert (finding.kind, finding.count) == ("malformed annotations", 1)
    assert message in finding.examples[0]


def test_a_file_cut_short_is_a_fault_and_the_rest_is_counted(tmp_path: Path) -> None:
    path = official.write(tmp_path, 5, boxes=3, tracks=2, points=1) / "all_train.json"
    path.write_text(path.read_text()[:-200])
    (done,) = check(SplitFiles.every(str(tmp_path)))
    assert done.counts["videos"] == 4
    assert [finding.kind for finding in done.findings if finding.is_fault] == [
        "missing video files", "malformed annotations",
    ]  # fmt: skip


def test_what_acts_on_a_terminal_is_shown_as_text(tmp_path: Path) -> None:
    (tmp_path / "all_valid.json").write_text(
        json.dumps({"\x1b[31mred": [], "w" * 900: [], "v": {"mc_question": "\u202e"}})
    )
    (done,) = check(SplitFiles.every(str(tmp_path)))
    bad = done.by_kind["malformed annotations"]
    assert bad.count == 3
    assert bad.examples[0].startswith("\\x1b[31mred ")
    assert all(place.isprintable() and len(place) <= 240 for place in bad.examples)


def test_splits_are_checked_together(tmp_path: Path, film: Path) -> None:
    for split in ("train", "test"):
        official.write(tmp_path, 2, split, boxes=3, tracks=2, points=1)
    (tmp_path / "videos").mkdir()
    for name in ("video_0", "video_1", "video_7"):
        shutil.copy(film, tmp_path / "videos" / f"{name}.mp4")
    train, test = check(SplitFiles.every(str(tmp_path)))
    assert (train.layout.split, test.layout.split) == ("train", "test")
    assert train.by_kind["videos without an annotation"].examples == ["video_7.mp4"]
    assert "videos without an annotation" not in test.by_kind
    assert train.counts["boxes"] == 12  # 2 videos, 2 tracks, 3 boxes
    with pytest.raises(InputError, match="expected the directory of a data set"):
        SplitFiles.every(str(tmp_path / "nothing"))


def test_the_real_sets(shared_data: Path) -> None:
    (done,) = check(SplitFiles.every(str(shared_data / "perception_test" / "valid_cup_game")))
    assert not any(finding.is_fault for finding in done.findings)
    assert done.by_kind["boxes after the cut"].count == 3  # the last of each cup's 12
    assert done.counts["boxes"] == 36
    (done,) = check(SplitFiles.every(str(shared_data / "perception_test")))
    counted = {finding.kind: finding.count for finding in done.findings}
    assert counted == {
        "missing video files": 237, "videos without a question": 5,
        "questions with stray spaces in an option": 13,
        "questions with an option that equals an option letter": 18,  # "abc" is none
    }  # fmt: skip
