"""A data set of one's own in one file: what is read, and what every mistake is answered with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from films import Film, make

from attrib import video
from attrib.data.table import Table
from attrib.errors import InputError

Run = Callable[..., tuple[int, str, str]]
BOXES = {"cup": [[0, 0.1, 0.2, 0.4, 0.6], [1.5, 0.2, 0.2, 0.5, 0.6]], "ball": [[0.5, 0.0, 0.0, 0.1, 1.0]]}
SPINS = {"spins": [[0.2, 0.7], [1.0, 1.5]]}
HEADER = "video,question,options,answer"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two films of two seconds in `clips`."""
    (tmp_path / "clips").mkdir()
    for name in ("cups", "balls"):
        make(tmp_path / "clips" / f"{name}.mp4", range(20), Film(rate=10))
    return tmp_path


def table(folder: Path, *lines: str, name: str = "mine.csv") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def quoted(value: object) -> str:
    return '"' + json.dumps(value).replace('"', '""') + '"'


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        list(Table(str(path)))
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), "FILE").replace(str(path.parent), "FOLDER")


def test_the_least_table_and_its_samples(folder: Path) -> None:
    path = table(
        folder, "video,question,options", "clips/cups.mp4,Where is it?,left|right|there is none",
        "clips/balls.mp4,Where is it?,left | right", 'clips/cups.mp4,"How many, say?","[""1"", ""2""]"',
    )  # fmt: skip
    found = list(Table(str(path)))
    assert [each.id for each in found] == ["cups_0", "balls_0", "cups_1"]
    assert [each.video for each in found] == [folder / "clips" / f"{name}.mp4" for name in ("cups", "balls", "cups")]
    assert found[0].question.options == ("left", "right", "there is none") and found[1].question.options[1] == "right"
    assert found[2].question.text == found[2].task == "How many, say?" and found[2].question.options == ("1", "2")
    assert all(each.question.answer is None and each.rule == "none" and not each.tracks for each in found)
    assert [each.id for each in Table(str(path), limit=1)] == ["cups_0"]


@pytest.mark.parametrize(
    ("answer", "options", "index"),
    [("right", "left|right", 1), ("B", "left|right", 1), (" Right ", "left|right", 1), ("A", "B|A|C", 1),
     ("2", "1|2", 1), ("", "left|right", None)],
)  # fmt: skip
def test_an_answer_is_an_option_s_text_before_its_letter(
    folder: Path, answer: str, options: str, index: int | None
) -> None:
    (sample,) = Table(str(table(folder, HEADER, f"clips/cups.mp4,Which?,{options},{answer}")))
    assert sample.question.answer == index


def test_csv_and_json_lines_say_the_same(folder: Path) -> None:
    row = {"video": "clips/cups.mp4", "question": "Which?", "options": ["left", "right"], "answer": "left",
           "task": "sides", "evidence": ["ball"], "boxes": BOXES, "intervals": SPINS}  # fmt: skip
    lines = table(folder, json.dumps(row), "", name="mine.jsonl")
    cells = ["clips/cups.mp4", "Which?", "left|right", "left", "sides", "ball", quoted(BOXES), quoted(SPINS)]
    marks = {"mine.csv": ",", "mine.tsv": "\t", "german.csv": ";"}
    written = [table(folder, mark.join(row), mark.join(cells), name=name) for name, mark in marks.items()]
    (folder / "excel.csv").write_text(written[0].read_text(), encoding="utf-8-sig")
    for path in (lines, *written, folder / "excel.csv"):
        (sample,) = Table(str(path))
        assert (sample.task, sample.question.answer, sample.rule) == ("sides", 0, "given in the table")
        cup, ball = sample.tracks
        assert (cup.id, cup.label, ball.id, ball.label) == (0, "cup", 1, "ball")
        np.testing.assert_allclose(cup.at(0.75), [0.15, 0.2, 0.45, 0.6])  # halfway between the two rows
        assert cup.at(1.9) is None and ball.at(1.0) is None, "unknown after the last row"
        assert sample.evidence_tracks == {1}
        spans = [(segment.kind, segment.label, segment.start, segment.end) for segment in sample.segments]
        assert spans == [("action", "spins", 0.2, 0.7), ("action", "spins", 1.0, 1.5)]
        assert {segment.parents for segment in sample.segments} == {(1,)}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["video,question", "a,b"], "FILE: column 'options' is missing; found: 'video', 'question'"),
        (["video,question,option", "a,b,c"], "FILE: column 'options' is missing; did you mean 'options' by 'option'?"),
        ([f"{HEADER},box", "a,b,c|d,,"], "FILE: unknown column 'box'; did you mean 'boxes'?"),
        ([f"{HEADER},answer", "a,b,c|d,,"], "FILE: column 'answer' is given twice"),
        ([HEADER], "FILE: expected at least one row below the header, found none"),
        ([HEADER, "clips/cup.mp4,b,c|d,"],
         "FILE, line 2: video 'clips/cup.mp4': no such file in FOLDER; did you mean 'cups.mp4'?"),
        ([HEADER, ",b,c|d,"], "FILE, line 2: video: the text is empty"),
        ([HEADER, "clips/cups.mp4,,c|d,"], "FILE, line 2: question: the text is empty"),
        ([HEADER, "clips/cups.mp4,b,c|d,", "clips/cups.mp4,b,c,"],
         "FILE, line 3: options: expected at least two, as a list or with | between them, got 'c'"),
        ([HEADER, "clips/cups.mp4,b,c|c,"], "FILE, line 2: "),
        ([HEADER, "clips/cups.mp4,b,left|right,rihgt"],
         "FILE, line 2: answer 'rihgt': expected one of the options or its letter; did you mean 'right'?"),
        ([HEADER, "clips/cups.mp4,b,left|right,C"], "FILE, line 2: answer 'C': expected one of the options or"),
        ([HEADER, "clips/cups.mp4,b, and so on,c|d,"], "FILE, line 2: expected 4 columns, got more; quote texts with"),
        ([HEADER, 'clips/cups.mp4,"b,c|d,'], "FILE: cannot be read: unexpected end of data"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_table_is_one_line(folder: Path, lines: list[str], message: str) -> None:
    assert refused(table(folder, *lines)).startswith(message)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("boxes", {"cup": [[0, 10, 20, 40, 60]]},
         "boxes of 'cup': expected corners from 0 to 1, in shares of the picture, got [10.0, 20.0, 40.0, 60.0]"),
        ("boxes", {"cup": [[0, 0.4, 0.2, 0.1, 0.6]]}, "boxes of 'cup': expected x1 < x2 and y1 < y2, got [0.4,"),
        ("boxes", {"cup": [[2, 0, 0, 1, 1], [1, 0, 0, 1, 1]]},
         "boxes of 'cup': expected times that increase, got 1 s after 2 s"),
        ("boxes", {"cup": [[0, 0, 0, 1]]}, "boxes of 'cup': expected numbers [time, x1, y1, x2, y2], got [0, 0, 0, 1]"),
        ("boxes", {"cup": [["0", 0, 0, 1, 1]]}, "boxes of 'cup': expected numbers"),
        ("boxes", {"cup": [[-1, 0, 0, 1, 1]]}, "boxes of 'cup': expected seconds from the start of the video, got"),
        ("boxes", [[0, 0, 0, 1, 1]], 'boxes: expected {"LABEL": [[time, x1, y1, x2, y2], ...]}, got [[0,'),
        ("boxes", {"cup": []}, 'boxes: expected {"LABEL"'),
        ("intervals", {"spins": [[2, 1]]}, "interval of 'spins': expected a start before its end, got [2, 1] s"),
        ("intervals", {"spins": [[0, 1e9]]}, "interval of 'spins': expected seconds from the start of the video"),
        ("intervals", {"spins": [1, 2]}, "interval of 'spins': expected numbers [start, end], got 1"),
        ("evidence", "cup|spoon", "evidence 'cup': expected a label of `boxes`; this row has no boxes"),
        ("options", "left", "options: expected at least two"),
        ("question", ["b"], "question: expected a text, got ['b']"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_row_is_one_line(folder: Path, column: str, value: object, message: str) -> None:
    row = {"video": "clips/cups.mp4", "question": "Which?", "options": ["left", "right"], column: value}
    path = table(folder, "", json.dumps(row), name="mine.jsonl")
    assert refused(path).startswith(f"FILE, line 2: {message}")
    if column in ("boxes", "intervals"):
        path = table(folder, f"{HEADER},{column}", f"clips/cups.mp4,Which?,left|right,,{quoted(value)}")
        assert refused(path).startswith(f"FILE, line 2: {message}")


def test_files_that_are_no_table_are_one_line(folder: Path) -> None:
    assert refused(folder / "mine.txt") == "FILE: expected a file that ends with .csv, .tsv, .jsonl, .ndjson"
    assert refused(folder / "mine.csv") == "FILE: cannot be read: No such file or directory"
    (folder / "mine.csv").write_bytes(b"\xff\xfe\x00\xd8 nothing")
    assert "cannot be read" in refused(folder / "mine.csv")
    assert refused(table(folder, "[1, 2]", name="a.jsonl")) == "FILE, line 1: expected a JSON object, got [1, 2]"
    assert refused(table(folder, '{"video": "a", "video": "b"}', name="a.jsonl")).endswith("key 'video' is given twice")


def test_videos_that_results_could_not_tell_apart_are_refused(folder: Path) -> None:
    (folder / "more").mkdir()
    for name in ("more/cups.mp4", "my cups.mp4"):
        (folder / name).write_bytes((folder / "clips" / "cups.mp4").read_bytes())
    path = table(folder, HEADER, "clips/cups.mp4,b,c|d,", "more/cups.mp4,b,c|d,")
    assert "line 3: video 'more/cups.mp4': another one is called cups too" in refused(path)
    assert "expected letters, digits, _, . and - alone" in refused(table(folder, HEADER, "my cups.mp4,b,c|d,"))


def test_a_benchmark_of_a_table_scores_space_and_time(attrib: Run, folder: Path) -> None:
    """Boxes give metrics of space; intervals alone give metrics of time."""
    asked = {"question": "What colour is the object that moves?", "options": ["red", "blue"]}
    rows = [{"video": "clips/cups.mp4", **asked, "answer": "red", "boxes": BOXES, "evidence": ["cup"]},
            {"video": "clips/balls.mp4", **asked, "intervals": {"spins": [[0.4, 1.0]]}}]  # fmt: skip
    path = table(folder, *map(json.dumps, rows), name="mine.jsonl")
    (folder / "c.yaml").write_text("data: {name: demo}\nmethods: {centre: , recency: }\noverlays: 0\nresamples: 100\n"
                                   "metrics: {object_auc: , segment_auc: }\n")  # fmt: skip
    code, _, err = attrib("bench", folder / "c.yaml", "--data", path, "--no-download", "-O", folder / "run")
    assert code == 0, err
    found = pd.read_parquet(folder / "run" / "results.parquet").set_index(["sample", "method", "metric"])["value"]
    assert found.notna().groupby(["sample", "metric"]).all().to_dict() == {
        ("cups_0", "object_auc"): True, ("cups_0", "segment_auc"): False,
        ("balls_0", "object_auc"): False, ("balls_0", "segment_auc"): True,
    }  # fmt: skip
    times = video.read(folder / "clips" / "balls.mp4", 8).times
    inside = (times >= 0.4) & (times < 1.0)  # recency rises with time: its AUC counts the pairs in order
    expected = np.mean([a > b for a in times[inside] for b in times[~inside]])
    assert found["balls_0", "recency", "segment_auc"] == pytest.approx(expected)
    config = (folder / "run" / "config.yaml").read_text()
    assert "name: table" in config and "offline: true" in config


def test_one_question_of_a_table_is_explained(attrib: Run, folder: Path) -> None:
    path = table(
        folder, f"{HEADER},boxes", *(f"clips/cups.mp4,What moves{n}?,red|blue,B,{quoted(BOXES)}" for n in "12")
    )
    ask = ("explain", "--data", path, "--method", "centre", "--no-overlay", "-O", folder / "out")
    code, out, err = attrib(*ask, "--video", "cups", "--question-id", 1)
    assert code == 0, err
    assert (
        "right answer: B" in out and "evidence by the rule 'given in the table': track 0 (cup), track 1 (ball)" in out
    )
    assert attrib(*ask, "--video", "cups")[2].startswith("attrib: cups has 2 questions, choose one by its id: 0: What")
    assert "unknown video 'cpus'; did you mean 'cups'?" in attrib(*ask, "--video", "cpus")[2]


def test_data_that_is_neither_file_nor_name_is_one_line(attrib: Run, tmp_path: Path) -> None:
    code, out, err = attrib("bench", "--data", "pereption_test", "-O", tmp_path / "run")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no such file or directory, and unknown" in err and "did you mean 'perception_test'?" in err


def test_a_check_counts_what_a_table_holds(attrib: Run, folder: Path) -> None:
    path = table(folder, f"{HEADER},boxes", f"clips/cups.mp4,b,c|d,c,{quoted(BOXES)}", "clips/cups.mp4,b,c|d,,")
    code, out, _ = attrib("data", "check", path, "--json")
    assert code == 0 and json.loads(out)["counts"] == {
        "videos": 1, "questions": 2, "known answers": 1, "questions with boxes": 1, "questions with intervals": 0
    }  # fmt: skip
    assert "2 questions, 1 known answers" in attrib("data", "check", path)[1]
    path.write_text("video,question\n")
    assert attrib("data", "check", path)[0] == 2
