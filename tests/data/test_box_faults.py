"""Boxes whose corners are not in order: one meaning in drawings, metrics and `attrib data check`, and a hint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attrib import video
from attrib.annotation_cells import visible_evidence
from attrib.data.box_faults import SIZED, SWAPPED, kind_of
from attrib.data.perception_test import PerceptionTest
from attrib.errors import InputError
from attrib.render.options import RenderOptions, boxes

Run = Callable[..., tuple[int, str, str]]
GOOD = [0.1, 0.2, 0.5, 0.6]
# First box of a track whose other boxes are GOOD, and the fault that is meant.
FAULTY = {
    "swapped corners": ([0.9, 0.8, 0.4, 0.3], SWAPPED),
    "swapped left and right": ([0.9, 0.2, 0.6, 0.4], SWAPPED),
    "swapped top and bottom": ([0.2, 0.9, 0.4, 0.5], SWAPPED),
    "sizes": ([0.6, 0.5, 0.2, 0.1], SIZED),
    "sizes, one smaller than its place": ([0.2, 0.7, 0.4, 0.2], SIZED),
}


def written(root: Path, corners: list[list[float]], **changes: Any) -> PerceptionTest:
    times = [k * 1_000_000 for k in range(len(corners))]
    tracks = [{"id": 5, "label": "cup", "bounding_boxes": corners, "timestamps": times}]
    asked = [{"id": 0, "question": "Where is it?", "options": ["in the cup", "nowhere"], "answer_id": 0}]
    found = {"v": {"metadata": {"frame_rate": 30.0}, "object_tracking": tracks, "mc_question": asked, **changes}}
    (root / "all_valid.json").write_text(json.dumps(found))
    (root / "videos").mkdir()
    frames = np.random.default_rng(0).integers(0, 255, (12, 64, 64, 3), np.uint8)
    video.write(root / "videos" / "v.mp4", frames, np.arange(12) / 4, 3.0)
    return PerceptionTest(str(root))


@pytest.mark.parametrize("name", FAULTY)
def test_such_a_box_is_left_out_everywhere(name: str, attrib: Run, tmp_path: Path) -> None:
    corners, kind = FAULTY[name]
    (sample,) = written(tmp_path, [corners, GOOD, GOOD])
    drawn = [len(boxes(RenderOptions.of(sample, "x"), time)) for time in (0.0, 1.0, 2.0)]
    covered = visible_evidence(sample, np.array([0.0, 1.0, 2.0]), 10, 10).sum(axis=(1, 2)) / 100
    assert drawn == [0, 1, 1]
    np.testing.assert_allclose(covered, [0, 0.16, 0.16])
    hint = "they look like x, y, width, height" if kind == SIZED else "their corners are the wrong way round"
    assert sample.warnings == (f"v: 1 of 3 boxes left out, expected x1, y1, x2, y2: {hint}",)
    code, out, _ = attrib("data", "check", tmp_path, "--json")
    faults = {found["kind"]: found for found in json.loads(out)[0]["findings"] if found["fault"]}
    assert (code, list(faults)) == (1, [kind])
    shown = f"[{', '.join(f'{value:g}' for value in corners)}]"
    assert (faults[kind]["count"], faults[kind]["examples"]) == (1, [f"v track 5: {shown}"])


def test_boxes_that_fit_as_sizes_are_called_so_unless_one_does_not() -> None:
    assert kind_of(np.array([GOOD, [0.3, 0.3, 0.3, 0.4]])) == ""
    assert kind_of(np.array([[0.6, 0.5, 0.2, 0.1], [0.1, 0.1, 0.3, 0.3]])) == SIZED
    assert kind_of(np.array([[0.6, 0.5, 0.2, 0.1], [0.5, 0.5, 0.7, 0.9]])) == SWAPPED  # 0.5 + 0.7 leaves the picture
    assert kind_of(np.zeros((0, 4))) == ""
    assert kind_of(np.array([[0.5 + 1e-9, 0.2, 0.5, 0.4]])) == ""  # rounding


def test_a_run_says_why_it_has_no_value_and_explain_says_what_it_left_out(attrib: Run, tmp_path: Path) -> None:
    written(tmp_path, [[0.6, 0.5, 0.2, 0.1]] * 3)
    code, out, _ = attrib("data", "check", tmp_path)
    assert code == 1 and "questions whose evidence has no box with area" in " ".join(out.split())
    code, out, err = attrib("explain", "--data", tmp_path, "--video", "v", "--method", "centre", "-O", tmp_path / "out")
    assert code == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    placed, *lines = err.splitlines()
    assert placed.startswith("note: cpu")
    assert lines[0].startswith("warning: v: 3 of 3 boxes left out") and "they look like x, y, width, height" in lines[0]
    assert summary["warnings"] == [line.removeprefix("warning: ") for line in lines if line.startswith("warning: ")]
    assert lines[-1] == "note: the built-in model does not know: Where, it, in, nowhere"
    (tmp_path / "c.yaml").write_text(
        f"data: {{name: perception_test, root: {tmp_path}}}\nmethods: {{centre: }}\nmetrics: {{mass: , pointing: }}\n"
        "resamples: 100\noverlays: 0\n"
    )
    code, _, err = attrib("bench", tmp_path / "c.yaml", "-O", tmp_path / "run")
    assert code == 0
    assert "v: 3 of 3 boxes left out" in err
    assert "warning: every value is undefined: no evidence box lies in the clip's frames\n" in err
    assert pd.read_parquet(tmp_path / "run" / "results.parquet")["value"].isna().all()


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ([0, 0, 640, 480], "expected a share of the picture in [0, 1]; it looks like pixels, got 640"),
        ([10.0, 20.0, 30.0, 40.0], "it looks like pixels, got 10.0"),
        ([0.1, 0.1, None, 0.2], "input should be a valid number, got None"),
        ([0.1, 0.1, "nan", 0.2], "input should be a finite number, got 'nan'"),
        ([0.1, 0.1, float("nan"), 0.2], "not valid JSON"),
    ],
)
def test_numbers_that_are_no_shares_are_refused(attrib: Run, tmp_path: Path, corners: list[Any], message: str) -> None:
    data = written(tmp_path, [corners])
    with pytest.raises(InputError) as caught:
        list(data)
    assert message in str(caught.value)
    code, out, _ = attrib("data", "check", tmp_path)
    assert code == 1 and message in " ".join(out.split())


def test_boxes_without_area_are_neither_drawn_nor_scored(tmp_path: Path) -> None:
    (sample,) = written(tmp_path, [[0.3, 0.3, 0.3, 0.6], [1.0, 0.2, 1.4, 0.4], GOOD])
    assert [len(boxes(RenderOptions.of(sample, "x"), time)) for time in (0.0, 1.0, 2.0)] == [0, 0, 1]
    covered = visible_evidence(sample, np.array([0.0, 1.0, 2.0]), 10, 10).sum(axis=(1, 2))
    np.testing.assert_allclose(covered, [0, 0, 16])
    assert sample.warnings == ()
