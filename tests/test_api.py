from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import attrib
from attrib import config, video
from attrib.errors import InputError, UnsupportedModel
from attrib.method import Method
from attrib.methods.centre import Centre
from attrib.methods.raw_attention import RawAttention
from attrib.model import VideoModel
from attrib.settings.benchmark import bench_settings
from attrib.subject import Subject
from attrib.testing import COLUMNS, FRAMES, QUESTION, RED, ROWS, ToyModel, toy_clip
from attrib.types import Evidence, Sample, Segment, Track
from attrib.types.reply import Reply


@dataclass(frozen=True)
class Breaks(Method):
    """Raises what a plug-in might."""

    def values(self, subject: Subject) -> torch.Tensor:
        raise ZeroDivisionError("in the plug-in")


@pytest.fixture
def toy_video(tmp_path: Path) -> Path:
    """The toy clip as a file; enlarged, since H.264 blurs colours over neighbouring pixels."""
    clip = toy_clip()
    frames = clip.frames.repeat(16, axis=1).repeat(16, axis=2)
    video.write(tmp_path / "toy.mp4", frames, clip.times, clip.end)
    return tmp_path / "toy.mp4"


class SmallToy(ToyModel):
    """The toy model on frames of any size."""

    def preprocess(self, clip: attrib.Clip) -> torch.Tensor:
        pixels = torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255
        return torch.nn.functional.interpolate(pixels, (ROWS * 4, COLUMNS * 4), mode="area")


class TheToy(SmallToy):
    """Can say "the" as well, which counts as red."""

    def reply(self, text: str) -> Reply:
        return replace(super().reply(text.replace("the", "red")), text=text)


def test_explain_takes_a_model_and_methods_as_objects_names_or_parameters(toy_video: Path, tmp_path: Path) -> None:
    asked: list[str] = []
    found = attrib.explain(
        toy_video, QUESTION.text, QUESTION.options, model=SmallToy(),
        methods={
            "mine": RawAttention(reduction="max"), "grad_cam": {"pool": "video"}, "centre": None, "breaks": Breaks(),
        },
        step=lambda what, done, total: asked.append(f"{what} {done}/{total}"),
    )  # fmt: skip
    assert found.answer == "red"
    assert list(found.volumes) == ["mine", "grad_cam", "centre"]
    assert list(found.failures) == ["breaks"]
    assert re.fullmatch(r"ZeroDivisionError: in the plug-in \(test_api\.py:\d+\)", found.failures["breaks"])
    assert "grad_cam 1/4" in asked
    assert found.volumes["grad_cam"].provenance.parameters == {"layer": "last", "pool": "video"}
    cells = found.volumes["mine"].on_grid(ROWS, COLUMNS).values
    assert np.unravel_index(cells.argmax(), cells.shape) == RED
    found.save(tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["failures"] == found.failures
    assert summary["times"] == pytest.approx([0, 0.5, 1, 1.5])
    assert summary["score"] == pytest.approx(float(found.subject.score(found.subject.pixels[None])[0]), abs=1e-5)
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".npz", ".mp4", ".png", ".json"}


def test_by_default_every_method_that_is_no_control(toy_video: Path) -> None:
    found = attrib.explain(toy_video, QUESTION.text, QUESTION.options, model=SmallToy())
    assert {"integrated_gradients", "grad_cam", "attention_rollout"} <= set(found.volumes)
    assert not {"uniform", "random", "centre", "motion"} & set(found.volumes)
    assert all(len(volume.values) == FRAMES for volume in found.volumes.values())


def test_an_annotated_question_is_explained_with_its_annotation(toy_video: Path, tmp_path: Path) -> None:
    boxes = np.array([[0.5, 1 / 3, 0.75, 2 / 3]] * 2)
    tracks = (Track(4, "square", np.array([0.0, 1.5]), boxes, np.zeros(2, bool)),)
    sample = Sample(
        "toy_1", toy_video, QUESTION, tracks=tracks, evidence=(Evidence(4, 0.5),), rule="grounded",
        segments=(Segment("action", "lift", 0, 1, (4,)),),
    )  # fmt: skip
    found = attrib.explain_sample(sample, model=SmallToy(), methods=["oracle", "centre"], target="correct")
    assert found.failures == {}
    assert found.subject.sample is sample
    found.save(tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert (summary["correct_answer"], summary["target"], summary["evidence_rule"]) == ("A", "correct", "grounded")
    assert summary["evidence"] == [
        {"track": 4, "label": "square", "start": 0.5, "end": None, "role": "necessary"},
    ]  # fmt: skip
    assert summary["tracks"] == [{"id": 4, "label": "square", "boxes": 2, "is_evidence": True}]
    assert summary["segments"][0]["label"] == "lift"
    drawn = video.read(tmp_path / "out" / "centre.mp4", sampling="times", times=[1.0]).frames[0].astype(int)
    rows, columns = np.nonzero(np.abs(drawn[: ROWS * 64] - (0, 200, 140)).max(axis=-1) < 30)
    height, width = ROWS * 64, COLUMNS * 64
    assert columns.min() >= 0.45 * width and columns.max() <= 0.8 * width and rows.max() <= 0.72 * height
    every = attrib.explain_sample(sample, model=SmallToy())
    assert "object_occlusion" in every.volumes and "oracle" not in every.volumes
    plain = attrib.explain(toy_video, QUESTION.text, QUESTION.options, model=SmallToy())
    assert plain.failures == {} and "object_occlusion" not in plain.volumes


def test_target_says_what_is_explained(toy_video: Path) -> None:
    one, other = (
        attrib.explain(toy_video, QUESTION.text, QUESTION.options, model=SmallToy(), target=target,
                       methods={"centre": Centre()})
        for target in ("option:0", "correct:1")
    )  # fmt: skip
    assert one.summary()["score"] == pytest.approx(-other.summary()["score"])
    assert other.summary()["correct_answer"] == "B"


def test_words_of_a_free_answer_are_explained_one_by_one(toy_video: Path, tmp_path: Path) -> None:
    found = attrib.explain(toy_video, "What is it?", answer="red, the green", per_word=True, model=TheToy(),
                           methods={"mine": RawAttention(), "centre": None, "breaks": Breaks()})  # fmt: skip
    assert list(found.volumes) == ["mine.red", "mine.green", "centre.red", "centre.green"]
    assert list(found.failures) == ["breaks.red", "breaks.green"]
    assert found.volumes["mine.green"].provenance.target == "answer:green"
    assert found.volumes["mine.green"].provenance.method == "mine"
    found.save(tmp_path / "out")
    assert (tmp_path / "out" / "mine.green.png").exists()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["answer"], summary["generated"], summary["options"]) == ("red, the green", False, [])
    assert [item["token"] for item in summary["tokens"]] == ["red", "the", "green"]
    logprobs = [item["logprob"] for item in summary["tokens"]]
    assert logprobs == pytest.approx(found.subject.logprobs.tolist())
    assert summary["words"] == pytest.approx({"red": logprobs[0], "green": logprobs[2]})
    assert summary["score"] == pytest.approx(sum(logprobs) / 3)
    assert summary["methods"]["mine.green"]["explained"] == '"green" in "red, the green"'


def test_chosen_words_and_the_models_own_answer(toy_video: Path) -> None:
    ask = {"model": SmallToy(), "methods": ["centre"]}
    own = attrib.explain(toy_video, "What is it?", **ask)  # type: ignore[arg-type]
    assert (own.answer, own.summary()["generated"], list(own.volumes)) == ("red", True, ["centre"])
    part = attrib.explain(toy_video, "What is it?", answer="red green", words="Green", **ask)  # type: ignore[arg-type]
    assert part.summary()["score"] == pytest.approx(float(part.subject.logprobs[1]))
    one = attrib.explain(toy_video, "?", answer="red green", words=["Green"], per_word=True, **ask)  # type: ignore[arg-type]
    assert list(one.volumes) == ["centre.green"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"answer": " "}, "answer: the text is empty"),
        ({"answer": "red", "options": ["red", "green"]}, "options, answer: expected one of the two, got both"),
        ({"answer": "red", "words": ["rde"]}, "word 'rde' is not in the answer 'red'; did you mean 'red'?"),
        ({"answer": "red", "words": ["rde"], "per_word": True}, "word 'rde' is not in the answer"),
        ({"answer": "the", "per_word": True}, "the answer 'the' has no content word"),
        ({"answer": "red", "target": "option:0"}, "target 'option:0': applies to options only"),
        ({"options": ["red", "green"], "words": ["red"]}, "words: apply to free answers only"),
        ({"options": ["red", "green"], "per_word": True}, "words: apply to free answers only"),
        ({"options": ["red"]}, "at least two options, got 1"),
    ],
)
def test_free_answers_that_make_no_sense_are_one_line(toy_video: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        attrib.explain(toy_video, "What is it?", model=TheToy(), methods=["centre"], **given)
    assert "\n" not in str(caught.value)


def test_a_model_of_options_alone_is_told(toy_video: Path) -> None:
    class OptionsOnly(VideoModel):
        """Nothing of it is asked."""

        name, revision, frames = "tiny", None, FRAMES
        module = preprocess = grid = encode = score_tokens = None  # type: ignore[assignment]

    with pytest.raises(UnsupportedModel, match="'tiny' answers with one of several options only"):
        attrib.explain(toy_video, "What is it?", model=OptionsOnly(), methods=["centre"])


@pytest.mark.parametrize(
    "bad", [{"methods": []}, {"methods": ["nope"]}, {"settings": {"seed": "x"}}, {"settings": {"frames": 3}}]
)
def test_bad_input_is_one_line(toy_video: Path, bad: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        attrib.explain(toy_video, QUESTION.text, QUESTION.options, **{"model": SmallToy(), **bad})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_shipped_configuration_goes_by_its_name(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("demo", "reference"):
        assert bench_settings(name) == config.read(root / "configs" / f"{name}.yaml")
    assert bench_settings() == bench_settings("demo")
    with pytest.raises(InputError, match=r"metods: expected a YAML file or the name .*; did you mean 'methods'\?"):
        bench_settings("metods")
    monkeypatch.chdir(tmp_path)
    Path("methods").write_text("seed: 7")
    assert bench_settings("methods") == {"seed": 7}, "a file that lies here comes first"
