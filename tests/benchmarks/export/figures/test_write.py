from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from attrib.benchmarks.export.examples import choice, examples, short
from attrib.benchmarks.export.figures import captions, examples_figure, write
from attrib.benchmarks.export.figures.captions import Missing
from attrib.benchmarks.export.figures.write import write_figures
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.jobs.finished_run import FinishedRun, read
from attrib.errors import InputError
from attrib.types import Question


@pytest.fixture(scope="module")
def folder(real: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The figures of a real run, into a folder that holds one of an earlier run."""
    found = tmp_path_factory.mktemp("figures")
    (found / "layers.pdf").write_bytes(b"old")
    write_figures(real, found)
    return found


def test_a_wrong_answer_stands_beside_the_right_one() -> None:
    question = Question("Which?", ("red", "green"), answer=1)
    assert examples_figure.heading(question, "A", "why") == "Which?\nAnswer “red” (wrong; right: “green”)\nwhy"
    assert examples_figure.heading(question, "B", "why") == "Which?\nAnswer “green” (right)\nwhy"


def test_a_long_question_without_spaces_is_cut_between_its_letters() -> None:
    question = Question("哪个杯子里藏着球" * 10, ("左边的杯子" * 10, "右边"), answer=0)
    first, second, _ = examples_figure.heading(question, "A", "why", 66).split("\n")
    assert first == ("哪个杯子里藏着球" * 10)[:32] + " …"
    assert second == "Answer “" + ("左边的杯子" * 10)[:11] + " …” (right)"


def test_each_figure_has_its_size_in_both_formats(folder: Path) -> None:
    told = json.loads((folder / "figures.json").read_text())
    names = [item["name"] for item in told["shown"]]
    assert names == ["leaderboard", "faithfulness_alignment", "curves", "critical_difference", "examples"]
    for item in told["shown"]:
        inches = np.array([item["width"], item["height"]])
        assert item["width"] in (6.9, 3.6), "two columns, or a single panel of ranks"
        assert item["height"] <= 9
        image = cv2.imread(str(folder / f"{item['name']}.png"))
        assert np.abs(np.array(image.shape[1::-1]) - 300 * inches).max() <= 1
        pdf = (folder / f"{item['name']}.pdf").read_bytes()
        box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf)
        assert box is not None and pdf.startswith(b"%PDF")
        assert [float(box[1]), float(box[2])] == pytest.approx(72 * inches, abs=0.05)
        assert b"/Type42" in pdf or b"/CIDFontType2" in pdf, "TrueType, embedded"
        assert b"/Type3" not in pdf


def test_what_is_left_out_is_told_and_no_old_file_stays(folder: Path) -> None:
    told = json.loads((folder / "figures.json").read_text())
    assert {item["name"] for item in told["left_out"]} == {"generality", "layers", "trace"}
    assert not (folder / "layers.pdf").exists()
    text = (folder / "captions.md").read_text()
    assert "- trace: the run has no trace/trace.pdf" in text
    assert "- layers: the run has no layers/atlas.pdf" in text and "![leaderboard](leaderboard.png)" in text


def test_the_numbers_lie_beside_each_figure(real: FinishedRun, folder: Path) -> None:
    table = pd.read_csv(folder / "leaderboard.csv").set_index(["column", "method"])
    board = real.table("leaderboard")
    assert board is not None
    one = board[(board["subset"] == "all") & (board["metric"] == "object_auc")].set_index("method")
    assert table.loc["object_auc"]["mean"].to_dict() == one["mean"].to_dict()
    assert set(pd.read_csv(folder / "critical_difference.csv")["method"]) == {"relevance", "raw_attention", "motion"}


def test_examples_show_the_runs_own_maps_on_the_right_frames(real: FinishedRun) -> None:
    numbers = Numbers(real)
    found = examples_figure.strip(numbers)
    by = choice(numbers)
    assert isinstance(found, examples_figure.Strip) and by is not None
    assert len(found.blocks) == 2 and not found.warnings
    rows = real.results[(real.results["metric"] == "object_auc") & (real.results["method"] == by.method)]
    for block, example in zip(found.blocks, examples(numbers, ("median", "exception")), strict=True):
        sample = real.samples[example.sample]
        value = rows.loc[rows["sample"] == sample.id, "value"].iloc[0]
        assert block.text.splitlines()[0] == sample.question.text
        assert block.text.endswith(f"median of 1: object_auc of {by.method} {short(value)}")
        volume = real.volume(sample, by.method)
        assert volume is not None
        assert block.times == pytest.approx(volume.times[[0, 2, 4, 5, 7]].tolist())
        own = examples_figure.block("", examples_figure.clip_of(numbers, sample, 8), {by.method: volume}, sample)
        for place in range(5):
            assert np.array_equal(own.rows[by.method][place], block.rows[by.method][place])
        brightest = int(np.argmax([np.abs(one.astype(int) - two.astype(int)).sum() for one, two in zip(
            block.rows[by.method], block.rows["motion"], strict=True)]))  # fmt: skip
        assert not np.array_equal(block.rows[by.method][brightest], block.rows["motion"][brightest])


def test_maps_of_other_frames_are_refused(real: FinishedRun) -> None:
    sample = next(iter(real.samples.values()))
    volume = real.volume(sample, "motion")
    assert volume is not None
    with pytest.raises(InputError, match="other frames"):
        examples_figure.block("", examples_figure.clip_of(Numbers(real), sample, 4), {"motion": volume}, sample)


def test_a_missing_video_is_told_and_the_other_figures_are_written(real: FinishedRun, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(real.directory, tmp_path / "run"))
    world = Path(str(real.settings.data["root"]))
    moved = Path(shutil.copytree(world, tmp_path / "world"))
    for path in (moved / "videos").iterdir():
        path.unlink()
    text = (copy / "config.yaml").read_text().replace(str(world), str(moved))
    (copy / "config.yaml").write_text(text.replace("name: demo\n  root", "name: perception_test\n  root"))
    settings = (
        (copy / "config.yaml")
        .read_text()
        .replace("  name: demo\n  videos: 2\n  seed: 3\n", "  name: perception_test\n")
    )
    (copy / "config.yaml").write_text(settings.replace("  counterfactuals: false\n", ""))
    found = write.example_frames(Numbers(read(copy)))
    assert isinstance(found, Missing) and "video_" in found.reason


def test_the_atlas_of_layers_and_the_trace_are_taken_as_they_are(
    made: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(made.directory, tmp_path / "run"))
    (copy / "layers").mkdir()
    (copy / "layers" / "atlas.pdf").write_bytes(b"%PDF atlas")
    (copy / "trace").mkdir()
    for ending in ("pdf", "png"):
        (copy / "trace" / f"trace.{ending}").write_bytes(ending.encode())
    (copy / "trace" / "trace.json").write_text('{"finding": {"sentence": "It travels."}}')
    monkeypatch.setattr(captions, "number_figures", lambda numbers: iter(()))  # these are drawn above
    monkeypatch.setattr(write, "critical_differences", lambda numbers: Missing("critical_difference", "drawn above"))
    written, _ = write_figures(read(copy), tmp_path / "out")
    assert [item.files for item in written if item.name == "layers"] == [("layers.pdf",)]
    assert (tmp_path / "out" / "layers.pdf").read_bytes() == b"%PDF atlas"
    (one,) = [item for item in written if item.name == "trace"]
    assert one.files == ("trace.pdf", "trace.png") and one.caption.startswith("It travels. Share of the answer")
