from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attrib.data.perception_test import PerceptionTest
from attrib.errors import InputError
from attrib.types import Counterfactual, Evidence, Sample


def annotation(**changes: Any) -> dict[str, Any]:
    track = {
        "id": 2, "label": "cup", "is_occluder": 1, "bounding_boxes": [[0.1, 0.2, 0.3, 0.4], [0.5, 0.2, 0.7, 0.4]],
        "timestamps": [0, 1_000_000], "frame_ids": [0, 30], "is_masked": [0, 1], "initial_tracking_box": [1, 0],
    }  # fmt: skip
    sound = {
        "id": 0, "label": "Clapping", "label_id": 3, "parent_objects": [-1], "is_visible": 0,
        "timestamps": [100_000, 200_000], "frame_ids": [3, 6],
    }  # fmt: skip
    action = {**sound, "label": "Moving something", "parent_objects": [2], "timestamps": [500_000, 1_500_000]}
    question = {"id": 7, "question": "Where is it?", "options": [" A ", "left", "right"], "answer_id": 1}
    return {
        "metadata": {"frame_rate": 29.97}, "object_tracking": [track], "action_localisation": [action],
        "sound_localisation": [sound], "mc_question": [question], "grounded_question": [], **changes,
    }  # fmt: skip


def written(root: Path, videos: dict[str, Any], **others: Any) -> PerceptionTest:
    for name, content in {"all_valid": videos, **others}.items():
        (root / f"{name}.json").write_text(json.dumps(content))
    return PerceptionTest(str(root))


def only(data: PerceptionTest) -> Sample:
    (sample,) = data
    return sample


def test_times_are_seconds_and_boxes_are_read(tmp_path: Path) -> None:
    sample = only(written(tmp_path, {"video_1": annotation()}))
    (track,) = sample.tracks
    np.testing.assert_allclose(track.times, [0, 1])
    np.testing.assert_allclose(track.at(0.25), [0.2, 0.2, 0.4, 0.4])
    assert track.hidden.tolist() == [False, True]
    assert track.is_occluder
    action, sound = sample.segments
    assert (action.kind, action.start, action.end, action.parents) == ("action", 0.5, 1.5, (2,))
    assert (sound.kind, sound.parents, sound.is_visible) == ("sound", (), False)
    assert sample.id == "video_1_7"
    assert sample.video == tmp_path / "videos" / "video_1.mp4"
    assert sample.question.options == ("A", "left", "right")
    assert sample.task == "Where is it?"
    assert sample.cut is None


def test_cut_is_a_time_and_minus_one_is_none(tmp_path: Path) -> None:
    videos = {"a": annotation(), "b": annotation()}
    first, second = written(tmp_path, videos, cut_frame_mapping_valid={"a": 60, "b": -1})
    assert first.cut == pytest.approx(60 / 29.97)
    assert second.cut is None


def test_evidence_by_construction_or_by_the_grounded_question(tmp_path: Path) -> None:
    grounded = [{"id": 7, "question": "Where is it?", "answers": [2]}]
    video = annotation(grounded_question=grounded)
    assert only(written(tmp_path, {"a": video})).evidence == (Evidence(2),)
    exact = {"a": {"7": [{"track": 2, "start": 0.5, "end": 1.0, "role": "necessary"}]}}
    assert only(written(tmp_path, {"a": video}, evidence_valid=exact)).evidence == (Evidence(2, 0.5, 1.0),)


def test_counterfactuals_belong_to_a_question(tmp_path: Path) -> None:
    listed = [
        {"kind": "part", "track": 2, "start": 0.0, "end": 1.5, "video": "a_7_2_0.mp4"},
        {"kind": "removed", "video": "a_7_removed.mp4"},
        {"kind": "only", "video": "a_7_only.mp4"},
    ]
    videos = {"a": annotation(), "b": annotation()}
    first, second = written(tmp_path, videos, counterfactuals_valid={"a": {"7": listed, "8": []}})
    folder = tmp_path / "counterfactuals"
    assert first.counterfactuals == (
        Counterfactual(folder / "a_7_2_0.mp4", "part", 2, 0.0, 1.5),
        Counterfactual(folder / "a_7_removed.mp4", "removed"),
        Counterfactual(folder / "a_7_only.mp4", "only"),
    )
    assert second.counterfactuals == ()


@pytest.mark.parametrize("name", ["../evil.mp4", "/etc/x.mp4", "a/b.mp4", ".hidden.mp4", ""])
def test_counterfactual_names_that_leave_the_directory_are_refused(tmp_path: Path, name: str) -> None:
    listed = {"a": {"7": [{"kind": "only", "video": name}]}}
    with pytest.raises(InputError, match="not a plain file name"):
        list(written(tmp_path, {"a": annotation()}, counterfactuals_valid=listed))


@pytest.mark.parametrize(
    "item",
    [{"kind": "gone"}, {"kind": "part"}, {"kind": "part", "track": 1, "start": 2, "end": 1}, {"video": 3}, "x"],
)
def test_broken_counterfactuals_name_their_video(tmp_path: Path, item: Any) -> None:
    given = {"video": "x.mp4", **item} if isinstance(item, dict) else item
    with pytest.raises(InputError, match=r"'a'|x\.mp4"):
        list(written(tmp_path, {"a": annotation()}, counterfactuals_valid={"a": {"7": [given]}}))


def test_empty_and_absent_lists(tmp_path: Path) -> None:
    bare = {"mc_question": annotation()["mc_question"], "object_tracking": []}
    sample = only(written(tmp_path, {"a": bare, "b": {"mc_question": []}, "c": {}}))
    assert (sample.tracks, sample.segments, sample.evidence) == ((), (), ())


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "a\x00b"])
def test_ids_that_leave_the_directory_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="not a plain file name"):
        list(written(tmp_path, {name: annotation()}))


@pytest.mark.parametrize("text", ["[1]", "{", ""])
def test_other_files_are_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "all_valid.json").write_text(text)
    with pytest.raises(InputError) as caught:
        list(PerceptionTest(str(tmp_path)))
    assert "\n" not in str(caught.value)


def test_broken_annotations_name_their_video(tmp_path: Path) -> None:
    broken = annotation(object_tracking=[{"id": 1}])
    with pytest.raises(InputError, match=r"'video_9'.*timestamps"):
        list(written(tmp_path, {"video_9": broken}))


def test_the_real_cup_game(shared_data: Path) -> None:
    samples = list(PerceptionTest(str(shared_data / "perception_test" / "valid_cup_game")))
    assert {sample.video_id for sample in samples} == {"video_7110"}
    assert [track.label for track in samples[0].tracks] == ["cup"] * 3
    assert samples[0].tracks[0].times[1] == pytest.approx(30 / 30.005, abs=0.02)
    assert samples[0].cut == pytest.approx(330 / 30.005, abs=0.02)
    assert samples[0].video.is_file()
