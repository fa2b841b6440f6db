from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attrib import video
from attrib.app import request
from attrib.app.request import Request, check_video, explainable
from attrib.errors import InputError

GIVEN: dict[str, object] = {
    "video": "a.mp4", "question": " What? ", "options": " red \n\nblue\n", "methods": ["centre"], "target": "option:1",
}  # fmt: skip


def test_a_request_from_a_pages_fields() -> None:
    found = Request.of(**GIVEN)  # type: ignore[arg-type]
    assert found == Request(Path("a.mp4"), "What?", ("red", "blue"), ("centre",), "option:1")


def test_without_options_the_answer_is_free_whatever_target_was_left() -> None:
    found = Request.of(**GIVEN | {"options": " \n"})  # type: ignore[arg-type]
    assert (found.options, found.target) == ((), "predicted")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("video", None, "video: choose an example or upload one"),
        ("question", "  ", "question: the text is empty"),
        ("question", None, "question: the text is empty"),
        ("question", "x" * 301, "question: expected at most 300 characters, got 301"),
        ("question", "a\x1b[2Jb", "question: 'a\\\\x1b\\[2Jb' contains control characters"),
        ("options", "x" * 301 + "\nb", "option: expected at most 300 characters, got 301"),
        ("options", "a\nb\u202ec", "option: 'b\\\\u202ec' contains control characters"),
        ("options", "\n".join("abcdefghi"), "options: expected at most 8, got 9"),
        ("methods", [], "methods: expected 1 to 8, got 0"),
        ("methods", None, "methods: expected 1 to 8, got 0"),
        ("methods", ["centre"] * 9, "methods: expected 1 to 8, got 9"),
        ("methods", ["center"], "unknown method 'center'; did you mean 'centre'"),
        ("methods", ["oracle"], "unknown method 'oracle'"),
        ("frames", 0, "frames: expected a whole number from 1 to 128, got 0"),
        ("frames", 2.5, "frames: expected a whole number from 1 to 128, got 2.5"),
        ("frames", 129, "frames: expected a whole number from 1 to 128, got 129"),
    ],
)  # fmt: skip
def test_what_is_missing_or_too_much_is_refused_in_one_line(field: str, value: object, words: str) -> None:
    with pytest.raises(InputError, match=f"^{words}"):
        Request.of(**GIVEN | {field: value})  # type: ignore[arg-type]


def test_methods_need_no_annotation_and_controls_come_last() -> None:
    found = explainable()
    assert "relevance" in found and "oracle" not in found and "object_occlusion" not in found
    assert found.index("centre") > found.index("relevance") < found.index("uniform")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    (tmp_path / "in").mkdir()
    for place, end in (("in/short.mp4", 60.0), ("in/long.mp4", 60.5), ("outside.mp4", 1.0)):
        video.write(tmp_path / place, frames, [0.0, 0.5], end)
    return tmp_path / "in"


def test_a_video_within_the_limits_passes(folder: Path) -> None:
    check_video(folder / "short.mp4", folder)


def test_a_video_that_is_too_long_or_too_large_or_none_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"^video: expected at most 60 s, got 60\.5 s$"):
        check_video(folder / "long.mp4", folder)
    with (folder / "large.mp4").open("wb") as file:
        file.truncate(request.MEGABYTES * 1_000_000 + 100_000)
    with pytest.raises(InputError, match=r"^video: expected at most 50 MB, got 50\.1 MB$"):
        check_video(folder / "large.mp4", folder)
    (folder / "text.mp4").write_text("no video")
    with pytest.raises(InputError, match=r"text\.mp4"):
        check_video(folder / "text.mp4", folder)


def test_only_files_of_the_pages_folder_are_read(folder: Path) -> None:
    (folder / "link.mp4").symlink_to(folder.parent / "outside.mp4")
    for path in (folder.parent / "outside.mp4", folder / "../outside.mp4", folder / "link.mp4", folder / "none.mp4",
                 folder):  # fmt: skip
        with pytest.raises(InputError, match=r"^video: expected an example or an upload of this page$"):
            check_video(path, folder)
