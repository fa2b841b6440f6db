"""Models without an adapter: asked by their own processor and forward, and refused where that is not enough."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from tiny_families import TEXT, qwen3_vl, saved, template, tokenizer

from attrib import models, registry, video
from attrib.demo.generate import generate
from attrib.errors import InputError, UnsupportedModel
from attrib.explaining.binding import placement
from attrib.imputer import TokenImputer
from attrib.models.black_box import BlackBox, load_black_box
from attrib.models.checking.report import report
from attrib.models.prompting import option_prompt
from attrib.subject import Subject
from attrib.types import Clip, Question

Run = Callable[..., tuple[int, str, str]]
QUESTION = Question("Which cup hides the ball?", ("the left one", "the right one"))
SIDE = 32


def llava(directory: Path) -> Path:
    """Write a LLaVA, whose processor takes pictures only."""
    words = tokenizer(["<image>"], image_token="<image>")
    vision = {"model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
              "num_attention_heads": 2, "image_size": SIDE, "patch_size": 8}  # fmt: skip
    config = transformers.LlavaConfig(
        vision_config=vision, text_config={**TEXT, "model_type": "llama", "vocab_size": len(words)},
        image_token_index=words.convert_tokens_to_ids("<image>"), image_token_id=words.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    pictures = transformers.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    processor = transformers.LlavaProcessor(
        image_processor=pictures, tokenizer=words, patch_size=8, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, image_token="<image>", chat_template=template(image="<image>"),
    )  # fmt: skip
    return saved(directory, config, processor)


def clip(frames: int = 3) -> Clip:
    pictures = np.random.default_rng(0).integers(0, 256, (frames, 50, 70, 3), dtype=np.uint8)
    return Clip(pictures, np.arange(float(frames)), float(frames))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="module")
def subject(folder: Path) -> Subject:
    model = models.load(str(folder))
    assert isinstance(model, BlackBox)
    return Subject.bind(model, clip(), QUESTION)


def test_its_answer_is_that_of_the_official_processor_and_forward(folder: Path, subject: Subject) -> None:
    processor = transformers.AutoProcessor.from_pretrained(folder)
    network = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    pictures = [torch.from_numpy(frame).movedim(2, 0) for frame in clip().frames]
    content = [
        *({"type": "image", "image": each} for each in pictures),
        {"type": "text", "text": option_prompt(QUESTION)},
    ]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=True, add_generation_prompt=True, return_dict=True,
        return_tensors="pt",
    )  # fmt: skip
    letters = processor.tokenizer.convert_tokens_to_ids(["A", "B"])
    with torch.no_grad():
        logits = network(**inputs).logits[0, -1, letters]
    torch.testing.assert_close(subject.logprobs, torch.log_softmax(logits, dim=0), atol=1e-5, rtol=0)
    reply = subject.model.generate(subject.pixels, subject.question)  # type: ignore[attr-defined]
    whole = network.generate(**inputs, do_sample=False, max_new_tokens=6)[0]
    assert list(reply.ids) == whole[inputs["input_ids"].shape[1] :].tolist()[: len(reply.ids)]


def test_a_video_goes_to_the_processor_as_a_video(tmp_path: Path) -> None:
    """A family that has an adapter, asked both ways; its template would let it think first."""
    path = qwen3_vl(tmp_path / "qwen")
    thinking = "{%- if enable_thinking is not defined or enable_thinking -%}{{ 'think' }}{%- endif -%}"
    with (path / "chat_template.jinja").open("a") as file:
        file.write(thinking)
    asked = Question(QUESTION.text, QUESTION.options)
    subjects = [Subject.bind(load(str(path)), clip(5), asked) for load in (models.load, load_black_box)]
    torch.testing.assert_close(subjects[1].logprobs, subjects[0].logprobs, atol=1e-5, rtol=0)
    said = [each.model.generate(each.pixels, each.question) for each in subjects]  # type: ignore[attr-defined]
    assert said[0].ids == said[1].ids
    free = [Subject.bind(each.model, each.clip, Question("What?", reply=said[0])) for each in subjects]
    torch.testing.assert_close(free[1].logprobs, free[0].logprobs, atol=1e-5, rtol=0)


def test_methods_that_only_ask_run_and_the_others_refuse(subject: Subject) -> None:
    found = registry.get("methods", "occlusion")(cells=2, batch=4).attribute(subject).values
    assert found.shape[0] == 3 and np.abs(found).max() > 0
    for name in ("saliency", "integrated_gradients"):
        with pytest.raises(UnsupportedModel, match="black box to attrib: it has no gradients"):
            registry.get("methods", name)().attribute(subject)
    for name in ("lrp", "token_norm", "attention_rollout", "tam", "grad_cam"):
        with pytest.raises(UnsupportedModel, match="model"):
            registry.get("methods", name)().attribute(subject)
    assert "a black box: no adapter for its family" in placement(subject)


def test_a_whole_benchmark_runs(folder: Path, attrib: Run, tmp_path: Path) -> None:
    world = generate(tmp_path / "world", videos=2, seed=5)
    blind = [name for name in registry.names("imputers") if issubclass(registry.get("imputers", name), TokenImputer)]
    assert blind
    (tmp_path / "c.yaml").write_text(
        f"data: {{name: perception_test, root: {world}}}\nmodel: {{name: {folder}, frames: 2}}\n"
        "methods: {occlusion: {cells: 2}, random: , motion: }\nmetrics: {srg: , deletion: , object_auc: , mass: }\n"
        "imputers: [blur]\nresamples: 100\noverlays: 0\n"
    )
    code, _, err = attrib("bench", tmp_path / "c.yaml", "-O", tmp_path / "run")
    assert code == 0, err
    values = pd.read_parquet(tmp_path / "run" / "results.parquet")
    assert values[values["metric"] == "srg"]["value"].notna().all()
    assert set(values["method"]) >= {"occlusion", "random", "motion"}


def test_a_model_that_takes_no_pictures_is_refused_in_one_line(folder: Path, tmp_path: Path, attrib: Run) -> None:
    video.write(tmp_path / "clip.mp4", clip().frames, np.arange(3) / 3)
    options = ("--question", "Which?", "--option", "a", "--option", "b", "--method", "occlusion")
    broken = llava(tmp_path / "broken")
    (broken / "chat_template.jinja").write_text("{{ messages[0].content[-1].text }}")  # says nothing of the pictures
    code, _, err = attrib("explain", tmp_path / "clip.mp4", *options, "--model", broken, "-O", tmp_path / "out")
    assert code == 2 and err.count("\n") == 1 and "neither a video nor several pictures" in err
    with pytest.raises(InputError, match="black box to attrib; leave it out"):
        models.load(str(folder), pixels=1000)


def test_the_check_runs_what_applies(folder: Path, tmp_path: Path, attrib: Run) -> None:
    video.write(tmp_path / "clip.mp4", clip().frames, np.arange(3) / 3)
    options = ("--method", "occlusion", "--method", "saliency", "--frames", "2", "--json")
    code, out, err = attrib("check", folder, "--video", tmp_path / "clip.mp4", *options)
    assert code == 0, err
    found = json.loads(out)
    verdicts = {each["name"]: each["verdict"] for each in found["checks"]}
    applying = {"prompt ids", "log p of the options", "generated ids"}
    assert {name for name, verdict in verdicts.items() if verdict == "holds"} == applying
    refused = [each for each in found["checks"] if each["name"] not in applying]
    assert {each["verdict"] for each in refused} == {"refused"}
    assert all("which only a known family has" in each["reason"] for each in refused)
    occlusion, saliency = found["methods"]
    assert occlusion["outcome"] == "runs" and occlusion["seconds"] > 0 and occlusion["memory"] is not None
    assert saliency["outcome"] == "refused" and "it has no gradients" in saliency["reason"]
    assert "a black box: no adapter" in found["setting"]["family"]


def test_the_check_notices_another_prompt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One picture less than the clip has."""
    model = load_black_box(folder)
    ask = model._inputs
    monkeypatch.setattr(model, "_inputs", lambda pixels, *more: ask(pixels[1:], *more))
    faults = [line.partition(":")[0] for line in report(model, clip(), ()).faults]
    assert faults == ["prompt ids", "log p of the options", "generated ids"]
