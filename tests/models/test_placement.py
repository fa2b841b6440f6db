"""Where a model lies: devices and dtypes that are chosen, models spread over devices, and the most pixels of a clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_glm_gemma
import torch
from checkpoints import write_checkpoint
from tiny_families import qwen3_vl

from attrib import config, models, registry
from attrib.attention.flows import AnswerRows, Recursion, attention_flow
from attrib.attention_record import AttentionRecord, LayerRecord
from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.benchmarks.jobs.plan import ModelFacts
from attrib.errors import InputError
from attrib.explaining.binding import placement
from attrib.models import load, placed
from attrib.models.checking.checks import CHECKS, compare
from attrib.models.checking.official import Case
from attrib.models.family_model import FamilyModel
from attrib.subject import Subject
from attrib.types import Clip, Question

QUESTION = Question("Which cup?", ("left", "right"))
Run = Callable[..., tuple[int, str, str]]


def clip(frames: int = 4, height: int = 96, width: int = 160) -> Clip:
    pictures = np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    return Clip(pictures, np.arange(float(frames)), float(frames))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in bfloat16."""
    folder = write_checkpoint(tmp_path_factory.mktemp("model"))
    network = load(str(folder)).module.to(torch.bfloat16)
    network.save_pretrained(folder)  # type: ignore[operator]
    return folder


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen3_vl(tmp_path_factory.mktemp("qwen"))


@pytest.mark.parametrize("gpu", [False, True])
def test_a_gpu_is_taken_where_there_is_one_with_the_checkpoints_own_dtype(
    gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(models, "_check_device", lambda *_: None)
    assert placed({}) == ({"device": "cuda", "dtype": "auto"} if gpu else {"device": "cpu", "dtype": "float32"})
    assert placed({"device": "cpu", "dtype": "bfloat16"}) == {"device": "cpu", "dtype": "bfloat16"}
    assert placed({"device_map": "auto", "pixels": None})["device_map"] == "auto"


def test_on_a_cpu_the_default_is_float32_and_auto_on_request_the_checkpoints_own(checkpoint: Path) -> None:
    assert load(str(checkpoint)).dtype == torch.float32
    from attrib.models.families.perception_lm import PerceptionLM
    from attrib.models.family_model import load_family

    assert load_family(PerceptionLM, checkpoint, dtype="auto").dtype == torch.bfloat16


def test_a_run_records_what_was_chosen(checkpoint: Path) -> None:
    model = load(str(checkpoint))
    section = config.ModelSection(name=str(checkpoint))
    found = ModelFacts.of(model, section, CodeHashes()).resolve(section)
    assert (found.device, found.dtype) == (str(model.device), "float32")
    subject = Subject.bind(model, clip(2, 48, 48), QUESTION)
    assert placement(subject).startswith(f"{model.device}, float32, 18 visual tokens, weights of 0.4 MiB")


def test_a_benchmark_keeps_what_was_chosen_and_goes_on(attrib: Run, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "data: {name: demo, videos: 1}\nmethods: {centre: }\nmetrics: {mass: }\nresamples: 100\noverlays: 0\n"
    )
    for _ in range(2):
        code, _, err = attrib("bench", tmp_path / "c.yaml", "-O", tmp_path / "run")
        assert code == 0, err
    kept = config.parse(config.read(tmp_path / "run" / "config.yaml")).model
    assert (kept.device, kept.dtype) == (str(load("demo").device), "float32")


def test_a_device_beside_a_device_map_is_refused() -> None:
    with pytest.raises(InputError, match="chooses the devices itself"):
        load("demo", device="cpu", device_map="auto")


def test_a_spread_model_gives_the_same_answer(checkpoint: Path) -> None:
    pytest.importorskip("accelerate")
    subjects = [Subject.bind(load(str(checkpoint), device_map=how), clip(2), QUESTION) for how in (None, "auto")]
    torch.testing.assert_close(subjects[1].logprobs, subjects[0].logprobs, atol=1e-6, rtol=0)
    maps = [registry.get("methods", "relevance")().attribute(subject).values for subject in subjects]
    np.testing.assert_allclose(maps[1], maps[0], atol=1e-6 * np.abs(maps[0]).max())


def test_without_accelerate_one_line_says_what_to_install(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from attrib.models import loading

    monkeypatch.setattr(loading, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install accelerate"):
        load(str(checkpoint), device_map="auto")


def test_rows_of_layers_on_other_devices_are_gathered_on_one() -> None:
    """The second device is meta, from which nothing can be fetched: an error shows that it is tried."""
    record = AttentionRecord(answer_rows=(2,))
    parts = [torch.rand(1, 2, 3, 4) for _ in range(3)]
    here = LayerRecord(*parts, scale=0.5, index=1)
    rows = AnswerRows(record, attention_flow)
    rows.step(here)
    assert rows._device(here.to("meta")) == torch.device("cpu")
    recursion = Recursion(record, attention_flow, 0.5)
    recursion.step(here)
    recursion.carried = [carried.to("meta") for carried in recursion.carried]
    with pytest.raises(NotImplementedError, match="out of meta"):
        recursion.step(here)


def test_pixels_bound_the_tokens_of_a_clip(qwen: Path) -> None:
    free, bound = (load(str(qwen), pixels=pixels) for pixels in (None, 4 * 32 * 64))
    counts = [model.grid(Subject.bind(model, clip(), QUESTION).shot).tokens for model in (free, bound)]
    assert isinstance(bound, FamilyModel)
    assert bound.preprocess(clip()).shape[2:].numel() * 4 <= 4 * 32 * 64
    assert counts[0] > counts[1] > 0


@pytest.mark.parametrize("name", ["glm4v", "glm46v", "video_llama_3"])
def test_pixels_bound_other_families_too(name: str, tmp_path: Path) -> None:
    """Tokens fall to what is asked for, and lie where the official processor with that bound puts them."""
    folder = tiny_glm_gemma.BUILDERS[name](tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (5, 50, 70, 3), dtype=np.uint8)
    uneven = Clip(frames, np.array([0.033, 0.4, 1.0, 1.71, 2.9]), 3.3)
    free, half = (load(str(folder), pixels=pixels) for pixels in (None, 5 * 32 * 48))
    tokens = [Subject.bind(model, uneven, QUESTION).grid.tokens for model in (free, half)]
    assert 0 < tokens[1] <= tokens[0] / 2 and half.preprocess(uneven).shape[2:].numel() <= 32 * 48
    assert isinstance(half, FamilyModel)
    case = Case(half, uneven)
    for check in CHECKS:
        if check.name in ("prompt ids", "log p of the options", "cells"):
            assert compare(check, case).verdict == "holds", check.name


def test_small_frames_are_not_enlarged_beyond_the_bound(tmp_path: Path) -> None:
    """VideoLLaMA 3 has a least size of each frame, which a bound of the clip may lie below."""
    folder = tiny_glm_gemma.video_llama_3(tmp_path)
    model = load(str(folder), pixels=12 * 16 * 32)
    assert model.preprocess(clip(12, 16, 32)).shape[2:].numel() <= 16 * 32


def test_pixels_are_refused_where_they_have_no_meaning_and_where_they_are_too_few(
    qwen: Path, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match=r"PerceptionLM makes all frames of one size; leave it out\. The Qwen, GLM and"
    ):
        load(str(checkpoint), pixels=10_000)
    with pytest.raises(InputError, match=r"gives each frame up to 70 tokens and has no bound .* The Qwen, GLM and"):
        load(str(tiny_glm_gemma.gemma4(tmp_path)), pixels=10_000)
    with pytest.raises(InputError, match="expected at least 512, those of one token, got 10"):
        load(str(qwen), pixels=10)


def test_the_command_says_where_the_model_runs(attrib: Run, tmp_path: Path) -> None:
    from attrib import video

    path = tmp_path / "clip.mp4"
    video.write(path, clip().frames, np.arange(4) / 4)
    options = ("--question", "Which cup?", "--option", "left", "--option", "right", "--method", "uniform")
    code, out, _ = attrib("explain", path, *options, "-O", tmp_path / "out")
    assert code == 0 and "model: demo on cpu, float32, " in out
    code, _, err = attrib("explain", path, *options, "-O", tmp_path / "more", "--set", "model.pixels=100")
    assert code == 2 and err.count("\n") == 1 and "makes all frames of one size" in err


@pytest.mark.parametrize(
    ("rank", "seen", "device"),
    [("1", 4, "cuda:1"), ("5", 4, "cuda:1"), ("3", 1, "cuda"), (None, 4, "cuda"), ("", 2, "cuda")],
)
def test_each_of_several_processes_takes_a_gpu_of_its_own(
    rank: str | None, seen: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchrun and accelerate count the processes of a machine; a scheduler may show each only one GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    monkeypatch.setattr(models, "_check_device", lambda *_: None)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert placed({})["device"] == device
    assert placed({"device": "cpu"})["device"] == "cpu"
