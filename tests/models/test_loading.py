"""Checkpoints broken in one way each: refused in one line that names the cause, or loaded with the right numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import write_checkpoint
from safetensors.torch import load_file, save_file
from tiny_square_frames import smolvlm
from transformers import PreTrainedModel

from attrib import models, video
from attrib.attention_record import AttentionRecord, Knockout
from attrib.errors import InputError, NotEnoughMemory, UnsupportedModel
from attrib.models import load
from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.family_model import load_family
from attrib.models.perception_lm_init import Shape, build, byte_tokenizer
from attrib.types import Question, Shot

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
UP = "model.language_model.layers.1.mlp.up_proj.weight"
EMBEDDING, HEAD = "model.language_model.embed_tokens.weight", "lm_head.weight"
QUESTION = Question("Which cup?", ("left", "right"), shot=Shot(48, 48, (0.0, 1.0), 2.0))

Break = Callable[[Path], Any]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("whole") / "model", Shape(init_std=0.2), seed=3)


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    frames = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3), dtype=np.uint8)
    video.write(path, frames, np.arange(4) / 2, 2.0)
    return path


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Break:
    def broken(folder: Path) -> None:
        state = load_file(folder / WEIGHTS)
        change(state)
        save_file(state, folder / WEIGHTS, metadata={"format": "pt"})

    return broken


def configured(section: str = "", **values: Any) -> Break:
    def broken(folder: Path) -> None:
        settings = json.loads((folder / "config.json").read_text())
        (settings[section] if section else settings).update(values)
        (folder / "config.json").write_text(json.dumps(settings))

    return broken


def written(name: str, content: bytes) -> Break:
    return lambda folder: (folder / name).write_bytes(content)


def cut(name: str, share: float = 0.5) -> Break:
    def broken(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return broken


def removed(name: str) -> Break:
    return lambda folder: (folder / name).unlink()


def sharded(broken: Break = lambda _: None) -> Break:
    """The weights in two files with an index, then broken."""

    def split(folder: Path) -> None:
        state, shards = load_file(folder / WEIGHTS), {}
        for number in (1, 2):
            name = f"model-0000{number}-of-00002.safetensors"
            part = {key: value for index, (key, value) in enumerate(state.items()) if index % 2 == number - 1}
            save_file(part, folder / name, metadata={"format": "pt"})
            shards.update(dict.fromkeys(part, name))
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": shards}))
        (folder / WEIGHTS).unlink()
        broken(folder)

    return split


def all_of(*breaks: Break) -> Break:
    return lambda folder: [each(folder) for each in breaks]


tied = all_of(configured(tie_word_embeddings=True), configured("text_config", tie_word_embeddings=True))


def quantised(section: str = "", **settings: Any) -> Break:
    return configured(section, quantization_config=settings)


REFUSED: dict[str, tuple[Break, str]] = {
    "tensor missing": (tensors(lambda state: state.pop(UP)), f"lack {UP}"),
    "head missing": (tensors(lambda state: state.pop(HEAD)), f"lack {HEAD}"),
    "both of a tie": (all_of(tied, tensors(lambda state: (state.pop(HEAD), state.pop(EMBEDDING)))), f"{EMBEDDING}"),
    "many missing": (configured("text_config", num_hidden_layers=3), "and 6 more"),
    "shape": (tensors(lambda state: state.update({UP: torch.zeros(3, 5)})), f"{UP} (96, 48), got (3, 5)"),
    "layer too many": (configured("text_config", num_hidden_layers=1), "layers.1.input_layernorm.weight"),
    "adapter": (tensors(lambda state: state.update({f"{UP[:-7]}.lora_A.weight": torch.zeros(2, 48)})), "lora_A"),
    "no weights": (removed(WEIGHTS), WEIGHTS),
    "weights cut": (cut(WEIGHTS, 0.7), f"{WEIGHTS} is damaged"),
    "weights empty": (written(WEIGHTS, b""), f"{WEIGHTS} is damaged"),
    "weights a page": (written(WEIGHTS, b"<html>not found</html>"), f"{WEIGHTS} is damaged"),
    "weights a pointer": (written(WEIGHTS, b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "shard missing": (sharded(removed("model-00002-of-00002.safetensors")), "model-00002-of-00002.safetensors is m"),
    "shard cut": (sharded(cut("model-00001-of-00002.safetensors")), "model-00001-of-00002.safetensors is damaged"),
    "index cut": (sharded(cut(INDEX)), f"{INDEX} is damaged"),
    "index odd": (sharded(written(INDEX, b'{"weight_map": [1]}')), ".safetensors.index.json"),
    "configuration cut": (cut("config.json"), "config.json"),
    "configuration's type": (configured("text_config", hidden_size="many"), "'hidden_size'"),
    "configuration's section": (configured(text_config=[1]), "'text_config'"),
    "tower unknown": (configured("vision_config", architecture="nonsense"), "'nonsense'"),
    "tokenizer cut": (cut("tokenizer.json"), "tokenizer.json is damaged"),
    "tokenizer empty": (written("tokenizer.json", b"{}"), "tokenizer.json"),
    "no tokenizer": (removed("tokenizer.json"), "tokenizer.json is missing"),
    "tokenizer's settings cut": (cut("tokenizer_config.json"), "tokenizer_config.json is damaged"),
    "no tokenizer's settings": (removed("tokenizer_config.json"), "tokenizer_config.json is missing"),
    "processor cut": (cut("processor_config.json"), "processor_config.json is damaged"),
    "processor a list": (written("processor_config.json", b"[]"), "processor_config.json is damaged"),
    "no processor": (removed("processor_config.json"), "processor_config.json is missing"),
    "generation settings cut": (cut("generation_config.json"), "generation_config.json is damaged"),
    "bitsandbytes": (quantised(quant_method="bitsandbytes", load_in_4bit=True), "quantised (bitsandbytes)"),
    "awq": (quantised(quant_method="awq", bits=4), "quantised (awq)"),
    "gptq of the text": (quantised("text_config", quant_method="gptq", bits=4), "quantised (gptq)"),
    "fp8": (quantised(quant_method="fp8"), "quantised (fp8)"),
    "compressed-tensors": (quantised(quant_method="compressed-tensors"), "quantised (compressed-tensors)"),
    "unknown quantisation": (quantised(quant_method="of_tomorrow"), "quantised (of_tomorrow)"),
    "no chat template": (removed("chat_template.jinja"), "chat_template.jinja"),
    "chat template broken": (written("chat_template.jinja", b"{% if %}"), "chat_template.jinja"),
    "chat template without video": (written("chat_template.jinja", b"hello"), "chat template"),
}


@pytest.mark.parametrize(("broken", "words"), REFUSED.values(), ids=REFUSED)
def test_a_broken_checkpoint_is_refused_by_a_line_with_the_cause(broken: Break, words: str, copy: Path) -> None:
    broken(copy)
    with pytest.raises(InputError) as caught:
        load(str(copy))
    assert words in str(caught.value) and str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tensor missing", "shape", "weights cut", "awq", "tokenizer cut", "no chat template"])
def test_explain_prints_one_line_and_exits_with_2(
    name: str, copy: Path, clip: Path, tmp_path: Path, attrib: Run
) -> None:
    REFUSED[name][0](copy)
    options = ("--question", "Which cup?", "--option", "left", "--option", "right", "--method", "random")
    code, out, err = attrib("explain", clip, *options, "--model", copy, "-O", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.startswith("attrib: model ") and err.count("\n") == 1 and REFUSED[name][1] in err
    assert not (tmp_path / "out").exists()


def answers(folder: Path) -> torch.Tensor:
    pixels = torch.rand(1, 2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    return load(str(folder)).option_logprobs(pixels, QUESTION)


@pytest.fixture(scope="session")
def expected(whole: Path) -> torch.Tensor:
    return answers(whole)


FLASH = "flash_attention_2"
HARMLESS: dict[str, Break] = {
    "flash attention": configured(_attn_implementation=FLASH),
    "flash attention by its public name": configured(attn_implementation=FLASH),
    "flash attention of the text": configured("text_config", _attn_implementation=FLASH),
    "flash attention of the tower": configured("vision_config", attn_implementation=FLASH),
    "attention maps asked for": configured(output_attentions=True),
    "shards": sharded(),
    "a head of another task": tensors(lambda state: state.update({"value_head.weight": torch.zeros(1, 48)})),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_does_not_concern_attrib_changes_no_number(change: Break, copy: Path, expected: torch.Tensor) -> None:
    change(copy)
    assert torch.equal(answers(copy), expected)


@pytest.mark.parametrize("absent", [HEAD, EMBEDDING])
def test_a_tied_weight_may_be_absent(absent: str, copy: Path) -> None:
    """Compare with an untied head that holds the same values."""
    present = EMBEDDING if absent == HEAD else HEAD
    tensors(lambda state: state.update({absent: state[present].clone()}))(copy)
    expected = answers(copy)
    all_of(tied, tensors(lambda state: state.pop(absent)))(copy)
    torch.testing.assert_close(answers(copy), expected, atol=1e-6, rtol=1e-6)  # a shared weight may lie elsewhere


def test_attention_that_cannot_be_switched_is_neither_recorded_nor_cut(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_family(PerceptionLM, whole)
    monkeypatch.setattr(PreTrainedModel, "_can_set_attn_implementation", classmethod(lambda _: False))
    for context in (model.knock_out(Knockout((9,))), model.record_attention(AttentionRecord())):
        with (
            pytest.raises(UnsupportedModel, match="LlamaModel: its attention can be neither recorded nor cut"),
            context,
        ):
            pass


@pytest.mark.parametrize("asks", ["record", "cut"])
def test_a_layer_without_attention_is_not_passed_over(whole: Path, asks: str) -> None:
    model = load_family(PerceptionLM, whole)
    layer, tokens = model.family.decoder.layers[1], torch.rand(1, 18, 48)
    layer.self_attn.forward = lambda hidden_states, **_: (hidden_states, None)  # as a linear layer of a hybrid decoder
    context = model.record_attention(AttentionRecord()) if asks == "record" else model.knock_out(Knockout((9,)))
    with pytest.raises(UnsupportedModel, match="its layers 1 show no attention"), context:
        model.score_tokens(tokens, QUESTION)
    del layer.self_attn.forward
    hooks = len(model.family.decoder._forward_hooks) + len(model.family.decoder._forward_pre_hooks)
    with model.knock_out(Knockout((9,))), model.record_attention(AttentionRecord()):
        model.score_tokens(tokens, QUESTION)
        assert len(model.family.decoder._forward_hooks) + len(model.family.decoder._forward_pre_hooks) == hooks + 2
    assert len(model.family.decoder._forward_hooks) + len(model.family.decoder._forward_pre_hooks) == hooks


def test_a_family_of_remote_code_is_pointed_to_its_conversion(copy: Path) -> None:
    configured(model_type="unheard_of")(copy)
    with pytest.raises(InputError, match=r"of the family 'unheard_of'; adapters exist for: [\w, ]+$"):
        load(str(copy))
    for name, family in (("internvl_chat", "internvl"), ("videollama3_qwen2", "video_llama_3")):
        configured(model_type=name)(copy)
        with pytest.raises(InputError, match=rf"the -HF conversion of this model \({family}\) would work"):
            load(str(copy))


def test_a_device_that_lacks_the_dtype_or_holds_no_data_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="device 'meta' is not available for float32"):
        load("demo", device="meta")

    def as_on_mps(*_: Any, **__: Any) -> torch.Tensor:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")

    monkeypatch.setattr(torch, "ones", as_on_mps)
    with pytest.raises(InputError, match="device 'mps' is not available for float64: Cannot convert"):
        models._check_device("mps", "float64")


def test_memory_that_is_not_enough_is_no_fault_of_the_checkpoint(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(type(build(Shape(), byte_tokenizer())), "to", full)
    with pytest.raises(NotEnoughMemory, match="out of memory; dtype bfloat16 needs less"):
        load(str(whole))


def test_a_missing_package_is_named_with_its_extra_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong with the checkpoint's files."""
    folder = smolvlm(tmp_path)
    monkeypatch.setattr("transformers.models.smolvlm.processing_smolvlm.num2words", None)
    with pytest.raises(InputError) as raised:
        models.load(str(folder))
    assert str(raised.value) == f'model {folder}: pip install "attrib[smolvlm]"'


def test_a_family_that_an_older_transformers_lacks_is_said_to_need_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.auto import configuration_auto

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma4"}))
    known = {name: value for name, value in configuration_auto.CONFIG_MAPPING_NAMES.items() if name != "gemma4"}
    monkeypatch.setattr(configuration_auto, "CONFIG_MAPPING_NAMES", known)
    with pytest.raises(InputError, match=r"'gemma4', which transformers [\d.]+ does not know: pip install --upgrade"):
        load(str(tmp_path))
