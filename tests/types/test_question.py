"""Options that show nothing or are alike but for blanks, wherever they enter; words that the model does not know."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attrib import api, models, video
from attrib.app.request import Request
from attrib.data.perception_test import PerceptionTest
from attrib.demo.generate import generate
from attrib.errors import InputError
from attrib.models.replying import unknown_words
from attrib.types import Question
from attrib.types.question import check_options

Run = Callable[..., tuple[int, str, str]]
EMPTY = ["", "   ", "\u00a0\u2003", "\u200b\u2060", "\u3000", "\ufeff", "\u3164", "\u2800\u00ad"]
ALIKE = [("a", "a"), ("a", "a "), ("a b", "a\u00a0 b"), ("杯", "杯\u3000"), ("a", "a\u200b"), ("\ta", "a")]
FINE = [
    ("A", "B", "C"),
    (" A ", "b"),
    ("ab", "a b"),
    ("a", "A"),
    ("\U0001f468\u200d\U0001f469", "\U0001f468"),
    ("é", "e\u0301"),
]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "v.mp4"
    frames = np.random.default_rng(0).integers(0, 255, (16, 64, 64, 3), np.uint8)
    video.write(path, frames, np.arange(16) / 8, 2.0)
    return path


@pytest.mark.parametrize("option", EMPTY)
def test_an_option_needs_text(option: str) -> None:
    for make in (lambda: Question("Which?", ("b", option)), lambda: check_options([option, "b"])):
        with pytest.raises(InputError, match="options: expected text in each, got "):
            make()
    with pytest.raises(InputError, match="question: the text is empty"):
        Question(option or " ", ("a", "b"))


@pytest.mark.parametrize("options", ALIKE)
def test_options_alike_but_for_blanks_are_refused(options: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="options: expected different ones, got "):
        Question("Which?", options)


@pytest.mark.parametrize("options", FINE)
def test_other_options_stay_as_they_are(options: tuple[str, ...]) -> None:
    assert Question("Which?", options).options == options


def test_every_way_in_refuses_them_in_one_line(attrib: Run, film: Path, tmp_path: Path) -> None:
    for options, message in ((("", "b"), "expected text in each"), (("a", "a\u2003"), "expected different ones")):
        given = [part for option in options for part in ("--option", option)]
        code, out, err = attrib("explain", film, "-q", "Which?", *given, "--method", "centre", "-O", tmp_path / "out")
        assert (code, out, err.count("\n")) == (2, "", 1) and message in err
        code, out, err = attrib("layers", film, "-q", "Which?", *given, "-O", tmp_path / "out")
        assert (code, out, err.count("\n")) == (2, "", 1) and message in err
        with pytest.raises(InputError, match=message):
            api.explain(film, "Which?", options, methods=["centre"])
    with pytest.raises(InputError, match="expected text in each"):
        Request.of(str(film), "Which?", "a\n\u200b", ["centre"], None)
    assert not (tmp_path / "out").exists()


def annotated(root: Path, film: Path, videos: dict[str, list[list[str]]]) -> PerceptionTest:
    found: dict[str, Any] = {}
    (root / "videos").mkdir(exist_ok=True)
    for name, several in videos.items():
        (root / "videos" / f"{name}.mp4").write_bytes(film.read_bytes())
        asked = [{"id": k, "question": "Which?", "options": o, "answer_id": 0} for k, o in enumerate(several)]
        found[name] = {"metadata": {"frame_rate": 8.0}, "mc_question": asked}
    (root / "all_valid.json").write_text(json.dumps(found))
    return PerceptionTest(str(root))


def test_an_annotated_question_is_left_out_and_the_others_stay(attrib: Run, film: Path, tmp_path: Path) -> None:
    data = annotated(tmp_path, film, {"u": [["a", " "]], "v": [["a", "b"], ["c", "c"]], "w": [["d", "e"], ["", "f"]]})
    assert [(sample.id, sample.warnings) for sample in data] == [
        ("v_0", ("u: question 0 left out: options: expected text in each, got 'a', ''",
                 "v: question 1 left out: options: expected different ones, got 'c', 'c'")),
        ("w_0", ("w: question 1 left out: options: expected text in each, got '', 'f'",)),
    ]  # fmt: skip
    code, out, _ = attrib("data", "check", tmp_path, "--json")
    faults = {item["kind"]: item["count"] for item in json.loads(out)[0]["findings"] if item["fault"]}
    assert (code, faults) == (
        1, {"questions with an option without text": 2, "questions with identical options": 1},
    )  # fmt: skip
    assert data.sample("v").question.options == ("a", "b")
    for name, number in (("u", None), ("w", 1)):
        with pytest.raises(InputError, match=f"{name}: question . left out: options: expected text in each"):
            data.sample(name, number)
    with pytest.raises(InputError, match="left out"):
        list(annotated(tmp_path, film, {"u": [["a", ""]]}))


def test_words_that_the_built_in_model_does_not_know_are_named(attrib: Run, film: Path, tmp_path: Path) -> None:
    said = "the built-in model does not know: zxqv, blorp, snark, dog"
    code, _, err = attrib("explain", film, "-q", "zxqv blorp snark?", "--option", "dog", "--option", "red",
                            "--method", "centre", "-O", tmp_path / "out")  # fmt: skip
    assert (code, err.splitlines()[-1]) == (0, f"note: {said}")
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["notes"] == [said]
    annotated(tmp_path, film, {name: [["红色", "red"]] for name in ("v", "w")})
    (tmp_path / "c.yaml").write_text(
        f"data: {{name: perception_test, root: {tmp_path}}}\nmethods: {{centre: }}\nmetrics: {{deletion: }}\n"
        "imputers: [mean]\nresamples: 100\noverlays: 0\n"
    )
    code, _, err = attrib("bench", tmp_path / "c.yaml", "-O", tmp_path / "run")
    assert code == 0 and "warning: the built-in model does not know: 红色" in err.splitlines()


def test_the_built_in_world_has_no_unknown_word(tmp_path: Path) -> None:
    model = models.load("demo")
    for sample in PerceptionTest(str(generate(tmp_path, videos=8, seed=1))):
        assert model.unknown_words(sample.question) == ()


def test_a_vocabulary_of_bytes_knows_every_word() -> None:
    class Bytes:
        unk_token_id = None

    assert unknown_words(Bytes(), ["zxqv 杯"]) == ()
