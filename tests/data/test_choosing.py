"""Which questions of a data set are chosen, and what is said of a choice that is not there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from attrib import config
from attrib.data.perception_test import PerceptionTest
from attrib.errors import InputError

FIRST = {"id": 0, "question": "Where is it? ", "options": ["a", "b"], "area": "physics", "reasoning": "predictive",
         "tag": ["motion", "occlusion"], "answer_id": -1}  # fmt: skip
SECOND = {**FIRST, "id": 1, "question": "Why?", "area": "memory", "tag": None, "reasoning": None, "answer_id": 0}
VIDEOS = {"a": [FIRST, SECOND], "b": [], "c": [SECOND], "d": [{**FIRST, "id": 5, "question": "where is it?"}]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "explorer_data.json").write_text(json.dumps(VIDEOS))
    return tmp_path


def chosen(root: Path, **choice: Any) -> list[str]:
    return [sample.id for sample in PerceptionTest(str(root), **choice)]


@pytest.mark.parametrize(
    ("choice", "ids"),
    [
        ({}, ["a_0", "a_1", "c_1", "d_5"]),
        ({"task": " WHERE is it?"}, ["a_0", "d_5"]),
        ({"area": "Memory"}, ["a_1", "c_1"]),
        ({"reasoning": "predictive"}, ["a_0", "d_5"]),
        ({"tag": "occlusion"}, ["a_0", "d_5"]),
        ({"ids": ("c", "a")}, ["a_0", "a_1", "c_1"]),
        ({"ids": ("b",)}, []),
        ({"limit": 2}, ["a_0", "a_1", "c_1"]),  # of videos that have a question
        ({"area": "physics", "limit": 1}, ["a_0"]),
        ({"area": "physics", "tag": "motion", "ids": ("d",)}, ["d_5"]),
        ({"area": "memory", "tag": "motion"}, []),
    ],
)
def test_choices(root: Path, choice: dict[str, Any], ids: list[str]) -> None:
    assert chosen(root, **choice) == ids


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"task": "Where is he?"}, "unknown task 'Where is he?'; did you mean 'where is it?'?"),
        ({"area": "phisics"}, "unknown area 'phisics'; did you mean 'physics'?"),
        ({"reasoning": "x"}, "unknown reasoning 'x'; choose one of: predictive"),
        ({"tag": "motions"}, "unknown tag 'motions'; did you mean 'motion'?"),
        ({"ids": ("a", "e")}, "unknown video 'e'; choose one of: a, b, c, d"),
    ],
)
def test_what_is_not_there_is_told_with_the_nearest(root: Path, choice: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        chosen(root, **choice)


def test_questions_carry_area_reasoning_and_tags_and_test_videos_no_answer(root: Path) -> None:
    first, second, *_ = PerceptionTest(str(root))
    assert (first.area, first.reasoning, first.tags, first.question.answer) == (
        "physics", "predictive", ("motion", "occlusion"), None,
    )  # fmt: skip
    assert (second.area, second.reasoning, second.tags, second.question.answer) == ("memory", "", (), 0)
    assert first.rule == "none"


def test_a_file_is_as_good_as_its_directory(root: Path) -> None:
    (root / "cut_frame_mapping_train.json").write_text('{"a": 60}')
    (root / "explorer_data.json").rename(root / "all_train.json")
    with pytest.raises(InputError, match=r"found all_train\.json: choose that split"):
        chosen(root)
    samples = list(PerceptionTest(str(root / "all_train.json")))  # its name tells the split
    assert [sample.cut for sample in samples] == [59.5 / 30, 59.5 / 30, None, None]
    assert samples[0].video == root / "videos" / "a.mp4"


def test_only_as_much_is_read_as_is_wanted(root: Path) -> None:
    path = root / "explorer_data.json"
    path.write_text(path.read_text()[:-1] + ', "e": [')  # cut short after d
    assert chosen(root, ids=("a", "c")) == ["a_0", "a_1", "c_1"]
    assert chosen(root, limit=1) == ["a_0", "a_1"]
    with pytest.raises(InputError, match="not valid JSON"):
        chosen(root)


def test_one_question(root: Path) -> None:
    data = PerceptionTest(str(root), limit=1)
    assert data.sample("c").id == "c_1"
    assert data.sample("a", 1).id == "a_1"
    for arguments, message in (
        (("a",), r"a has 2 questions, choose one by its id: 0: Where is it\?; 1: Why\?"),
        (("a", 2), "unknown question of a '2'; choose one of: 0, 1"),
        (("b",), "b has no multiple-choice question"),
        (("z",), "unknown video 'z'"),
    ):
        with pytest.raises(InputError, match=message):
            data.sample(*arguments)


def test_a_configuration_chooses(root: Path) -> None:
    settings = {"name": "perception_test", "root": str(root), "ids": ["c", "d"], "area": "memory"}
    parsed = config.parse({"data": settings, "methods": {}, "metrics": {}})
    assert [sample.id for sample in config.dataset(parsed)] == ["c_1"]
