"""Adapters broken on purpose in one way each: `attrib check` names what differs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_families import BUILDERS
from tiny_glm_gemma import gemma3, glm4v
from torch import Tensor
from transformers.modeling_outputs import ModelOutput
from transformers.video_utils import VideoMetadata

from attrib import registry
from attrib.errors import InputError
from attrib.method import Method
from attrib.model import TokenGrid
from attrib.models import prompting, recording
from attrib.models.checking import effects
from attrib.models.checking.checks import CHECKS, compare
from attrib.models.checking.costs import run_method
from attrib.models.checking.official import Case, eager_attention
from attrib.models.checking.report import SHORT_TOKENS, noise, report, shortened
from attrib.models.families.gemma3 import Gemma3
from attrib.models.families.glm4v import Glm4v
from attrib.models.families.qwen_vl import Qwen3VL
from attrib.models.family_model import FamilyModel, load_family
from attrib.models.packing import encoded, preprocessed
from attrib.subject import Subject
from attrib.testing import ToyModel, check_model, toy_clip
from attrib.types import Clip, Question, Reply, Shot

Break = Callable[[FamilyModel, pytest.MonkeyPatch], Any]
CLIP = Clip(np.random.default_rng(0).integers(0, 256, (5, 50, 70, 3), dtype=np.uint8),
            np.array((0.033, 0.4, 1.0, 1.71, 2.9)), 3.3)  # fmt: skip


class Turned(Qwen3VL):
    """Rows and columns swapped."""

    def grid(self, shot: Shot) -> TokenGrid:
        grid = super().grid(shot)
        return TokenGrid(grid.frames, grid.columns, grid.rows, grid.frames_per_step)


class Permuted(Qwen3VL):
    """Tokens in another order, and put back before the decoder: only their places are wrong."""

    def features(self, packed: dict[str, Any]) -> Tensor:
        return super().features(packed).flip(1)

    def outputs(self, tokens: Tensor) -> ModelOutput:
        return super().outputs(tokens.flip(1))


class Shifted(Qwen3VL):
    """Each visual token at the next one's place."""

    def outputs(self, tokens: Tensor) -> ModelOutput:
        return super().outputs(tokens.roll(1, dims=1))


class Shallow(Qwen3VL):
    """No features of early layers."""

    def outputs(self, tokens: Tensor) -> ModelOutput:
        width = self.text.hidden_size
        return super().outputs(torch.cat([tokens[..., :width], 0 * tokens[..., width:]], dim=-1))


class Unnormalised(Qwen3VL):
    """The merger's norm left out."""

    def features(self, packed: dict[str, Any]) -> Tensor:
        handle = self.vision.merger.norm.register_forward_hook(lambda _, given, __: given[0])
        try:
            return super().features(packed)
        finally:
            handle.remove()


class Capped(Gemma3):
    """A cap of the logits that the configuration names and the official forward leaves out."""

    @property
    def softcap(self) -> float | None:
        return float(self.text.final_logit_softcapping)


def other_template(model: FamilyModel, _: pytest.MonkeyPatch) -> None:
    processor = model.family.processor
    processor.chat_template = processor.chat_template.replace("assistant", "helper")


def plain_positions(_: FamilyModel, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(prompting, "_positions", lambda family, ids, *_: torch.arange(len(ids)).expand(3, -1))


def even_times(_: FamilyModel, patch: pytest.MonkeyPatch) -> None:
    def metadata(shot: Shot) -> VideoMetadata:
        return VideoMetadata(total_num_frames=shot.frames, fps=1.0, frames_indices=list(range(shot.frames)))

    patch.setattr(prompting, "metadata", metadata)


def other_mean(model: FamilyModel, _: pytest.MonkeyPatch) -> None:
    model.family.media_processor.image_mean = [0.48, 0.46, 0.41]


def backwards(model: FamilyModel, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(model, "preprocess", lambda clip: preprocessed(model.family, clip).flip(0))


def keep_ignored(model: FamilyModel, patch: pytest.MonkeyPatch) -> None:
    score = model.score_tokens
    patch.setattr(model, "score_tokens", lambda tokens, question, keep=None: score(tokens, question))


def nothing_cut(model: FamilyModel, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(model, "knock_out", lambda *cuts: nullcontext())


def other_scale(_: FamilyModel, patch: pytest.MonkeyPatch) -> None:
    traits = recording._traits
    patch.setattr(recording, "_traits", lambda *given: {**traits(*given), "scale": 0.2})


def no_mask(_: FamilyModel, patch: pytest.MonkeyPatch) -> None:
    traits = recording._traits
    patch.setattr(recording, "_traits", lambda *given: {**traits(*given), "mask": None, "causal": False})


def twice_the_gradient(model: FamilyModel, patch: pytest.MonkeyPatch) -> None:
    def encode(pixels: Tensor) -> Tensor:
        return encoded(model.family, 2 * pixels - pixels.detach(), model.dtype)

    patch.setattr(model, "encode", encode)


def plain_gradient(_: FamilyModel, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(effects, "propagating", lambda *_: nullcontext())


def other_answer(model: FamilyModel, patch: pytest.MonkeyPatch) -> None:
    generate = model.generate

    def cut_short(pixels: Tensor, question: Question) -> Reply:
        reply = generate(pixels, question)
        return Reply(reply.text, reply.ids[:-1], reply.spans[:-1])

    patch.setattr(model, "generate", cut_short)


def failing(model: FamilyModel, patch: pytest.MonkeyPatch) -> None:
    def encode(_: Tensor) -> Tensor:
        raise RuntimeError("shape '[1, 2]' is invalid")

    assert len(Case(model, CLIP).subject.logprobs) == 3
    patch.setattr(FamilyModel, "generate", lambda *_: encode(torch.zeros(1)))


FAULTS: tuple[tuple[Any, ...], ...] = (
    (Turned, "cells"), (Permuted, "cells"), (Shifted, "log p of the options"), (Shallow, "log p of the options"),
    (Unnormalised, "log p of the options"), (other_template, "prompt ids"), (even_times, "prompt ids"),
    (plain_positions, "log p of the options", "attention rows"), (other_mean, "log p of the options"),
    (backwards, "log p of the options", "rollout"), (keep_ignored, "dropped tokens"),
    (nothing_cut, "knock-out hides", "knock-out changes"), (other_scale, "attention rows", "rollout", "relevance"),
    (no_mask, "attention rows"), (twice_the_gradient, "gradient"), (plain_gradient, "lrp shares"),
    (other_answer, "generated ids"), (failing, "generated ids"),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BUILDERS["qwen3_vl"](tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def case(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A case of the family, or of one with the fault."""
    fault = getattr(request, "param", Qwen3VL)
    model = load_family(fault if isinstance(fault, type) else Qwen3VL, folder)
    if not isinstance(fault, type):
        fault(model, monkeypatch)
    return Case(model, CLIP)


@pytest.mark.parametrize(("case", "names"), [(fault, names) for fault, *names in FAULTS], indirect=["case"],
                         ids=[fault.__name__ for fault, *_ in FAULTS])  # fmt: skip
def test_a_fault_is_named(case: Case, names: list[str]) -> None:
    for check in CHECKS:
        if check.name in names:
            found = compare(check, case)
            assert found.verdict == "differs", found
            assert (found.value is None) == bool(found.reason)


def test_a_cap_that_the_official_forward_leaves_out_is_named(tmp_path: Path) -> None:
    (check,) = [check for check in CHECKS if check.name == "log p of the options"]
    assert compare(check, Case(load_family(Capped, gemma3(tmp_path)), CLIP)).verdict == "differs"


def test_the_public_check_says_what_was_expected(folder: Path) -> None:
    with pytest.raises(AssertionError, match=r"log p of the options: expected at most 1e-05 nats.*; got"):
        check_model(load_family(Shifted, folder), CLIP)


def test_bfloat16_has_limits_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding is no fault, a wrong scale or order is; the limits in float32 would accuse all."""
    model = load_family(Glm4v, glm4v(tmp_path), dtype="bfloat16")
    found = {each.name: each for each in report(model, CLIP, ()).checks}
    assert {each.verdict for each in found.values()} <= {"holds", "refused"}
    assert found["gradient"].verdict == "refused" and found["attention rows"].meaning == "of the sum of all"
    assert (found["attention rows"].value or 0) > 1e-3
    other_scale(model, monkeypatch)
    backwards(model, monkeypatch)
    named = {line.partition(":")[0] for line in report(model, CLIP, ()).faults}
    assert {"log p of the options", "attention rows", "rollout"} <= named


def test_a_missing_tensor_is_refused_at_load(folder: Path, tmp_path: Path, attrib: Callable[..., Any]) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    del weights["model.language_model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    code, out, err = attrib("check", tmp_path)
    assert (code, out) == (2, "") and "layers.1.mlp.up_proj.weight" in err and err.count("\n") == 1


def test_a_model_is_left_as_it_was(case: Case) -> None:
    """Attention, biases, generation settings and hooks."""
    network = case.network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    settings = network.generation_config.max_new_tokens
    with eager_attention(network):
        assert network.config.text_config._attn_implementation == "eager"
    assert not report(case.model, CLIP, ()).faults
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.generation_config.max_new_tokens == settings
    assert {each._attn_implementation for each in (network.config, network.config.text_config)} == {"sdpa"}
    assert not any(each.requires_grad for each in network.parameters())
    assert not network.get_input_embeddings()._forward_hooks


def test_the_short_clip_has_the_tokens_that_can_be_stored(case: Case) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (7, 480, 640, 3), dtype=np.uint8)
    size = case.model.family.media_processor.size
    case.model.family.change(size=type(size)(shortest_edge=32 * 32, longest_edge=7 * 480 * 640))
    whole = Clip(frames, np.arange(7) / 2, 3.5)
    found = shortened(case.model, whole)
    counts = [case.model.grid(Shot.of(case.model.preprocess(clip), clip)).tokens for clip in (whole, found)]
    assert counts[0] > SHORT_TOKENS >= counts[1] > 200
    assert (len(found), found.end) == (5, 2.5)
    assert case.processor.video_processor.size == case.model.family.changed["size"]


def test_what_a_method_costs(case: Case) -> None:
    subject = case.subject
    assert run_method("oracle", subject).reason == "needs evidence, tracks"
    found = run_method("token_norm", subject)
    assert found.outcome == "runs" and found.seconds is not None and found.frames is None  # too little memory to tell


@dataclass(frozen=True)
class HungryMethod(Method):
    """Needs 256 MiB for a while, or as a bad one fails."""

    bad: bool = False

    def values(self, subject: Subject) -> Tensor:
        if self.bad:
            raise ZeroDivisionError("by nothing")
        block = torch.ones(2**26)
        time.sleep(0.1)
        return block[: len(subject.clip)].reshape(-1, 1, 1).clone()


@dataclass(frozen=True)
class BrokenMethod(HungryMethod):
    """Fails."""

    bad: bool = True


def test_memory_is_measured_and_a_failure_is_no_refusal(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_files", {kind: {} for kind in registry.KINDS})
    for method in (HungryMethod, BrokenMethod):
        registry.register("methods", method)
    free = psutil.virtual_memory().available
    found, broken = (run_method(name, case.subject) for name in ("hungry_method", "broken_method"))
    assert found.memory is not None and 2**27 < found.memory < 2**29
    assert found.frames == pytest.approx(len(CLIP) * free / found.memory, rel=0.5)
    assert broken.outcome == "failed" and broken.reason.startswith("ZeroDivisionError: by nothing")


def test_a_model_without_a_family_has_no_adapter_to_check() -> None:
    with pytest.raises(InputError, match="model 'toy': it is no checkpoint of transformers"):
        report(ToyModel(), toy_clip(), ())


def test_noise_has_uneven_times() -> None:
    gaps = np.diff(noise(ToyModel(), 9).times)
    assert len(noise(ToyModel(), 1)) == 1 and gaps.min() > 0 and len(set(gaps.round(3))) == 8
