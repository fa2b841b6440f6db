from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attrib import video
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
    assert first.cut == pytest.approx(59.5 / 29.97)
    assert second.cut is None
    for rate in (29.6, 29.97, 30.0, 30.005):  # the first frame that is not shown is cut, the last one shown is not
        video = {**videos["a"], "metadata": {**videos["a"]["metadata"], "frame_rate": rate}}
        cut = next(iter(written(tmp_path, {"a": video}, cut_frame_mapping_valid={"a": 60}))).cut
        assert cut is not None and 59 / rate + 0.016 < cut < 60 / rate - 0.016
    assert next(iter(written(tmp_path, videos, cut_frame_mapping_valid={"a": 0}))).cut == 0  # nothing is shown


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
    with pytest.raises(InputError, match="expected a plain file name"):
        list(written(tmp_path, {"a": annotation()}, counterfactuals_valid=listed))


@pytest.mark.parametrize(
    "item",
    [{"kind": "gone"}, {"kind": "part"}, {"kind": "part", "track": 1, "start": 2, "end": 1}, {"video": 3}, "x"],
)
def test_broken_counterfactuals_name_their_video(tmp_path: Path, item: Any) -> None:
    given = {"video": "x.mp4", **item} if isinstance(item, dict) else item
    with pytest.raises(InputError, match=r"a\.7\.0|x\.mp4"):
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
    broken = annotation(object_tracking=[{"id": 1, "label": "cup"}])
    with pytest.raises(InputError, match=r"video_9\.object_tracking\.0\.timestamps: is required"):
        list(written(tmp_path, {"video_9": broken}))


def track(**changes: Any) -> dict[str, Any]:
    return {**annotation()["object_tracking"][0], **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"object_tracking": [track(timestamps=[0])]}, "got 2 boxes, 1 timestamps and 2 is_masked"),
        ({"object_tracking": [track(is_masked=[0])]}, "got 2 boxes, 2 timestamps and 1 is_masked"),
        ({"object_tracking": [track(bounding_boxes=[[0, 0, 1], [0, 0, 1, 1]])]}, "bounding_boxes.0.3: is required"),
        (
            {"object_tracking": [track(bounding_boxes=[[0, 0, 640, 480]] * 2)]},
            "expected a share of the picture in [0, 1]; it looks like pixels, got 640",
        ),
        ({"object_tracking": [track(id=-1)]}, "object_tracking.0.id: input should be greater than or equal to 0"),
        ({"object_tracking": [track(id=2.5)]}, "object_tracking.0.id: input should be a valid integer"),
        ({"object_tracking": [track(), track()]}, "object_tracking: id 2 is given twice"),
        ({"mc_question": annotation()["mc_question"] * 2}, "mc_question: id 7 is given twice"),
        ({"mc_question": [{**annotation()["mc_question"][0], "answer_id": 3}]}, "answer 3 is not one of"),
        ({"mc_question": [{**annotation()["mc_question"][0], "options": ["a"]}]}, "at least 2 items"),
        ({"action_localisation": [{"label": "x", "timestamps": [2, 1]}]}, "s is empty"),
        ({"action_localisation": [{"label": "x", "timestamps": [2]}]}, "timestamps.1: is required"),
        ({"metadata": {"frame_rate": 0}}, "frame_rate: input should be greater than 0, got 0"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        list(written(tmp_path, {"video_9": annotation(**changes)}))
    assert f"all_valid.json: video_9{'.' if 'answer' not in message and 'empty' not in message else ':'}" in str(
        caught.value
    )
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [], "a": []}', "key 'a' is given twice"),
        ('{"a": NaN}', "not valid JSON: lexical error"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
        ('{"a": []', "premature EOF"),
    ],
)
def test_ambiguous_and_damaged_json_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "all_valid.json").write_text(text)
    with pytest.raises(InputError, match=message):
        list(PerceptionTest(str(tmp_path)))


def test_boxes_follow_their_times_whatever_the_order_and_off_the_grid(tmp_path: Path) -> None:
    boxes = [[0.1 * k, 0, 0.1 * k + 0.1, 0.5] for k in range(4)]
    order = [2, 0, 3, 1]
    times = [0, 1_000_000, 2_366_667, 3_000_000]  # the third at frame 71 of 30 per second
    given = track(bounding_boxes=[boxes[k] for k in order] + [[0, 0, 1, 1]],
                  timestamps=[times[k] for k in order] + [0], is_masked=[k == 2 for k in order] + [1])  # fmt: skip
    (found,) = only(written(tmp_path, {"a": annotation(object_tracking=[given])})).tracks
    np.testing.assert_allclose(found.times, [0, 1, 2.366667, 3])
    np.testing.assert_allclose(found.boxes, boxes)
    assert found.hidden.tolist() == [False, False, True, False]
    np.testing.assert_allclose(found.at(1.6833335), [0.15, 0, 0.25, 0.5])  # half way between frames 30 and 71


def test_points_are_stored_y_first_at_frames_of_the_original(tmp_path: Path) -> None:
    point = {"id": 3, "label": "corner", "parent_objects": [-1, 2], "frame_ids": [60, 0, 30, 30],
             "points": [[0.6, 0.1, 0.3, 0.9], [0.7, 0.2, 0.4, 0.9]]}  # fmt: skip
    never = {"id": 4, "frame_ids": [], "points": []}
    video = annotation(point_tracking=[point, never, {**never, "id": 5, "points": None}])
    first, *others = only(written(tmp_path, {"a": video})).points
    np.testing.assert_allclose(first.times, [0, 30 / 29.97, 60 / 29.97])
    np.testing.assert_allclose(first.xy, [[0.2, 0.1], [0.4, 0.3], [0.7, 0.6]])  # x, y; the first of frame 30
    assert (first.id, first.label, first.parents) == (3, "corner", (2,))
    assert [(other.id, other.xy.shape) for other in others] == [(4, (0, 2)), (5, (0, 2))]
    assert only(written(tmp_path, {"a": annotation(point_tracking=None)})).points == ()


def test_what_is_never_used_cannot_disturb(tmp_path: Path) -> None:
    """Frame numbers, the one-hot first box and the number of frames may say what they like: times decide."""
    odd = track(frame_ids=[5, 6], initial_tracking_box=[0, 1])
    video = annotation(object_tracking=[odd], metadata={"frame_rate": 29.97, "num_frames": 3, "is_cup_game": 0})
    plain, other = (only(written(tmp_path, {"a": found})) for found in (annotation(), video))
    np.testing.assert_array_equal(plain.tracks[0].times, other.tracks[0].times)
    np.testing.assert_array_equal(plain.tracks[0].boxes, other.tracks[0].boxes)


def test_between_boxes_two_seconds_apart_nothing_is_known(tmp_path: Path) -> None:
    far = track(timestamps=[0, 2_100_000])
    (found,) = only(written(tmp_path, {"a": annotation(object_tracking=[far])})).tracks
    assert found.at(1.0) is None
    assert found.at(2.1) is not None
    (near,) = only(written(tmp_path, {"a": annotation(object_tracking=[track(timestamps=[0, 2_000_000])])})).tracks
    np.testing.assert_allclose(near.at(1.0), [0.3, 0.2, 0.5, 0.4])


@pytest.mark.parametrize("answer", [{}, {"answer_id": None}, {"answer_id": -1}], ids=["absent", "null", "-1"])
def test_test_videos_have_no_answer(tmp_path: Path, answer: dict[str, Any]) -> None:
    question = {"id": 7, "question": "Which cup?", "options": ["the cup", "no"], **answer}
    found = only(written(tmp_path, {"a": annotation(mc_question=[question])}))
    assert found.question.answer is None
    assert (found.rule, found.evidence) == ("label in question", (Evidence(2),))


def test_null_stands_for_what_is_not_annotated(tmp_path: Path) -> None:
    question = {"id": 1, "question": "Why?", "options": ["a", "b"], "answer_id": None}
    lists = ("object_tracking", "action_localisation", "sound_localisation", "grounded_question", "metadata")
    sample = only(written(tmp_path, {"a": {**dict.fromkeys(lists), "mc_question": [question]}}))
    assert (sample.tracks, sample.segments, sample.question.answer) == ((), (), None)
    sample = only(written(tmp_path, {"a": annotation(object_tracking=[track(is_masked=[], is_occluder=None)])}))
    assert (sample.tracks[0].hidden.tolist(), sample.tracks[0].is_occluder) == ([False, False], False)


def test_parents_that_are_not_annotated_are_left_out_and_moments_are_no_segments(tmp_path: Path) -> None:
    actions = [{"label": "a", "timestamps": [0, 5_000_000], "parent_objects": [-1, 2, 0]},
               {"label": "b", "timestamps": [7, 7], "parent_objects": None}]  # fmt: skip
    sample = only(written(tmp_path, {"a": annotation(action_localisation=actions, sound_localisation=[])}))
    assert [(found.label, found.parents, found.end) for found in sample.segments] == [("a", (2, 0), 5.0)]


def test_evidence_ends_at_the_cut(tmp_path: Path) -> None:
    parts = [{"track": 2, "start": 0, "end": 9, "role": "necessary"}, {"track": 2, "start": 1.0, "end": 2.0,
              "role": "necessary"}, {"track": 2, "start": 2.5, "end": 3, "role": "context"}]  # fmt: skip
    video = annotation(metadata={"frame_rate": 30})
    cut = {"evidence_valid": {"a": {"7": parts}}, "cut_frame_mapping_valid": {"a": 60}}
    assert only(written(tmp_path, {"a": video}, **cut)).evidence == (
        Evidence(2, 0, 59.5 / 30),
        Evidence(2, 1.0, 59.5 / 30),
    )
    cut["cut_frame_mapping_valid"] = {"a": 30}
    assert only(written(tmp_path, {"a": video}, **cut)).evidence == (Evidence(2, 0, 29.5 / 30),)


def test_texts_lose_stray_spaces_and_what_acts_on_a_terminal(tmp_path: Path) -> None:
    question = {"id": 7, "question": " W\x1b[31mhy\n? ", "options": ["A", "B\u202e ", "[red]"], "answer_id": 1}
    sample = only(written(tmp_path, {"a": annotation(mc_question=[question], object_tracking=[track(label="\x07c")])}))
    assert (sample.question.text, sample.question.options) == ("W [31mhy ?", ("A", "B", "[red]"))
    assert sample.tracks[0].label == "c"


def test_a_missing_video_is_no_fault_of_the_annotations(tmp_path: Path) -> None:
    assert [sample.video.exists() for sample in written(tmp_path, {"a": annotation(), "b": annotation()})] == [
        False
    ] * 2


def test_the_first_videos_only(tmp_path: Path) -> None:
    data = written(tmp_path, {"a": annotation(), "b": annotation(), "../c": annotation()})
    assert [sample.id for sample in PerceptionTest(data.root, limit=2)] == ["a_7", "b_7"]
    with pytest.raises(InputError, match="limit: expected at least one video, got 0"):
        PerceptionTest(data.root, limit=0)


def test_the_explorers_plain_lists(shared_data: Path, tmp_path: Path) -> None:
    plain = json.loads((shared_data / "perception_test" / "explorer_data.json").read_text())
    (tmp_path / "mc_question_valid.json").write_text(json.dumps(plain))
    found = list(PerceptionTest(str(tmp_path)))
    assert (len(found), len({sample.task for sample in found})) == (1126, 130)
    assert len({sample.video_id for sample in found}) == 237 - 5  # five have an empty list
    assert len({sample.id for sample in found}) == 1126
    given = [question for questions in plain.values() for question in questions]
    assert [s.question.options for s in found] == [tuple(o.strip() for o in q["options"]) for q in given]
    assert [s.question.answer for s in found] == [q["answer_id"] for q in given]
    changed = [q for q in given if any(o != o.strip() for o in q["options"])]
    assert len(changed) == 13  # stray spaces
    letters = [sample for sample in found if {"a", "b", "c"} & set(sample.question.options)]
    assert len(letters) == 18  # options that look like the answer's own letter stay what they are


def test_the_real_cup_game(shared_data: Path) -> None:
    samples = list(PerceptionTest(str(shared_data / "perception_test" / "valid_cup_game")))
    assert {sample.video_id for sample in samples} == {"video_7110"}
    assert [track.label for track in samples[0].tracks] == ["cup"] * 3
    assert samples[0].tracks[0].times[1] == pytest.approx(30 / 30.005, abs=0.02)
    assert samples[0].cut == pytest.approx(329.5 / 30.005)
    assert samples[0].video.is_file()
    clip = video.read(samples[0].video, 8)
    first = samples[0].tracks[0]
    assert clip.end > 20  # boxes end at the cut, 11 s
    known = [first.at(time) is not None for time in clip.times]
    assert known == [bool(time <= first.times[-1] + 0.05) for time in clip.times]
    np.testing.assert_allclose(first.at(30 / 30.005), [0.3848, 0.3761, 0.4829, 0.5126])
    middle = first.at(45 / 30.005)  # between the second box and the third
    np.testing.assert_allclose(middle, (first.boxes[1] + first.boxes[2]) / 2, atol=1e-6)
