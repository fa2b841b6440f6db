"""The Perception Test as lmms-eval keeps it, in the three places where it may lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from films import Film, make

from attrib.data.perception_test import PerceptionTest
from attrib.errors import InputError

Run = Callable[..., tuple[int, str, str]]
NAME = "mc_question_val/validation-00000-of-00001.parquet"
SNAPSHOT = "hub/datasets--lmms-lab--PerceptionTest_Val/snapshots/0123abcd"
ROWS = [
    {"video_name": "video_7", "question": "How many?", "question_id": "0", "options": ["1", "2", "3"],
     "answer_id": "2", "area": "Memory", "reasoning": "Descriptive", "tag": ["object counting"]},
    {"video_name": "video_9", "question": "How many?", "question_id": "1", "options": ["1", "2", "3"],
     "answer_id": "0", "area": "Memory", "reasoning": "Descriptive", "tag": ["object counting"]},
    {"video_name": "video_7", "question": "Which?", "question_id": "4", "options": ["red", "blue", "green"],
     "answer_id": "1", "area": "Physics", "reasoning": "Explanatory", "tag": ["motion", "state"]},
]  # fmt: skip


def written(root: Path, rows: list[dict[str, object]] = ROWS) -> Path:
    root.joinpath(NAME).parent.mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(root / NAME)
    return root


def film(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path, range(4), Film(rate=10))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$HF_HOME after lmms-eval has run: the set in the hub's cache, the videos unpacked beside it."""
    written(tmp_path / SNAPSHOT)
    for name in ("video_7.mp4", "video_9.MP4"):
        film(tmp_path / "perceptiontest_val" / "videos" / name)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("place", ["", SNAPSHOT, SNAPSHOT.partition("/snap")[0], f"{SNAPSHOT}/{NAME}"])
def test_it_is_read_as_it_lies_on_the_disk(home: Path, place: str) -> None:
    found = list(PerceptionTest(str(home / place)))
    assert [each.id for each in found] == ["video_7_0", "video_7_4", "video_9_1"]
    assert [each.video.name for each in found] == ["video_7.mp4", "video_7.mp4", "video_9.MP4"]
    assert all(each.video.is_file() for each in found)
    assert [each.question.answer for each in found] == [2, 1, 0]
    assert (found[1].task, found[1].area, found[1].tags) == ("Which?", "Physics", ("motion", "state"))
    assert not any(each.tracks or each.segments or each.evidence for each in found)


def test_a_copy_with_its_videos_needs_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "elsewhere"))
    root = written(tmp_path / "copy", [{**ROWS[0], "question_id": 0, "answer_id": 2, "tag": "counting"}])
    film(root / "videos" / "video_7.mp4")
    (sample,) = PerceptionTest(str(root))
    assert sample.video == root / "videos" / "video_7.mp4" and sample.tags == ("counting",)


def test_tasks_and_filters_read_it(attrib: Run, home: Path) -> None:
    code, out, err = attrib("data", "tasks", home)
    assert code == 0, err
    assert "2 tasks, 2 videos, 3 questions" in out
    assert [each.id for each in PerceptionTest(str(home), task="how many?", limit=1)] == ["video_7_0"]


def test_other_files_and_splits_are_one_line(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected all_test\.json"):
        list(PerceptionTest(str(home), "test"))
    bare = tmp_path / "bare.parquet"
    pd.DataFrame({"video_name": ["a"], "question": ["b"]}).to_parquet(bare)
    with pytest.raises(InputError, match="column 'question_id' is missing; found: video_name, question"):
        list(PerceptionTest(str(bare)))
    bare.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        list(PerceptionTest(str(bare)))
