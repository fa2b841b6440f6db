"""`relevance` down to patches, on every family, against full matrices of the official network and autograd on them.

The reference runs the whole clip through the plain network from the official processor's pixels, with eager attention,
takes every probability of encoder and decoder where dropout would be applied to it, asks autograd for the score's
gradient of each, and multiplies whole matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_families
import tiny_glm_gemma
import tiny_square_frames
import torch
from torch import Tensor

from attrib import attention_record, models
from attrib.attention import flows
from attrib.attention_record import AttentionRecord
from attrib.errors import UnsupportedModel
from attrib.methods.relevance import Relevance
from attrib.models.checking.official import Case, eager_attention
from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.family_model import FamilyModel, load_family
from attrib.subject import Subject, Target
from attrib.testing import toy_subject
from attrib.types import Clip, Question

TIMES = (0.033, 0.4, 1.0, 1.71, 2.9)  # uneven, and an odd number of frames
BUILDERS: dict[str, Callable[[Path], Path]] = {
    **tiny_families.BUILDERS, **tiny_glm_gemma.BUILDERS, **tiny_square_frames.BUILDERS,
}  # fmt: skip
HYBRID = "qwen3_5"  # most layers of its decoder do not attend
FIFTHS = torch.tensor([[3, 2, 0, 0, 0], [0, 1, 3, 1, 0], [0, 0, 0, 2, 3]]) / 5  # shares of 3 tokens on 5 patches
PATCH = Relevance(resolution="patch")


@pytest.fixture(scope="module", params=["perception_lm", *(name for name in BUILDERS if name != HYBRID)])
def case(request: pytest.FixtureRequest, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return made(request.param, checkpoint, tmp_path_factory)


@pytest.fixture(scope="module")
def perception(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return made("perception_lm", checkpoint, tmp_path_factory)


def made(name: str, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    size = (60, 60) if name == "llava_next_video" else (50, 70)
    frames = np.random.default_rng(0).integers(0, 256, (len(TIMES), *size, 3), dtype=np.uint8)
    if name == "perception_lm":
        model = load_family(PerceptionLM, checkpoint)
    else:
        model = models.load(str(BUILDERS[name](tmp_path_factory.mktemp(name))))
    assert isinstance(model, FamilyModel)
    for part, weight in model.module.named_parameters():
        weight.mul_(10 if part.endswith(("lambda_1", "lambda_2")) else 1)  # InternVL's layers add next to nothing
    return Case(model, Clip(frames, np.array(TIMES), 3.3))


@dataclass
class Matrices:
    """Every call's probabilities (b, heads, n, n) in each layer of encoder and decoder, and their gradients."""

    tower: dict[int, list[Tensor]] = field(default_factory=dict)
    decoder: dict[int, list[Tensor]] = field(default_factory=dict)
    slopes: dict[int, Tensor] = field(default_factory=dict)  # by the id of the probabilities
    ids: Tensor = field(default_factory=lambda: torch.empty(0))

    def whole(self, calls: Sequence[Tensor], masked: Sequence[int] = ()) -> Tensor:
        """mean_h relu(A * dA) of a layer: one matrix, in which what no call covers is 0."""
        blocks = [part for each in calls for part in (each * self.slopes[id(each)]).clamp(min=0).mean(1).detach()]
        return torch.block_diag(*blocks).index_fill(1, torch.tensor(masked, dtype=torch.long), 0)

    def seen(self, calls: Sequence[Tensor], masked: Sequence[int] = ()) -> Tensor:
        """1 where a row may attend: a probability above 0."""
        blocks = [part.detach() for each in calls for part in (each > 0).float().mean(1)]
        return torch.block_diag(*blocks).index_fill(1, torch.tensor(masked, dtype=torch.long), 0)

    def propagate(self, row: Tensor, layers: dict[int, list[Tensor]], masked: Sequence[int] = ()) -> Tensor:
        """The row times the product of I + E over the layers."""
        for index in sorted(layers, reverse=True):
            row = row + row @ self.whole(layers[index], masked)
        return row

    def propagate_twin(self, row: Tensor, layers: dict[int, list[Tensor]]) -> Tensor:
        """The same of each row's sum, spread evenly over what the row may see."""
        for index in sorted(layers, reverse=True):
            seen = self.seen(layers[index])
            row = row + row @ (self.whole(layers[index]).sum(1, keepdim=True) * seen / seen.sum(1, keepdim=True))
        return row


@contextmanager
def collecting(network: Any, family: Any, found: Matrices, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take what dropout is called with in blocks of the encoder and layers of the decoder."""
    into: list[list[Tensor]] = []

    def dropout(values: Tensor, *_: Any, **__: Any) -> Tensor:
        if into and values.ndim == 4 and values.shape[2] == values.shape[3]:
            into[-1].append(values if values.requires_grad else values.requires_grad_())
        return values

    def watch(module: Any, calls: list[Tensor]) -> list[Any]:
        return [
            module.register_forward_pre_hook(lambda *_: into.append(calls)),
            module.register_forward_hook(lambda *_: into.clear()),
        ]

    blocks = family.tower().blocks
    handles = [hook for index, block in enumerate(blocks) for hook in watch(block, found.tower.setdefault(index, []))]
    for index, layer in enumerate(family.decoder.layers):
        handles += watch(layer, found.decoder.setdefault(index, []))
    timm = [module for module in network.modules() if hasattr(module, "fused_attn")]
    with monkeypatch.context() as patch, eager_attention(network):
        patch.setattr(torch.nn.functional, "dropout", dropout)
        for module in timm:
            patch.setattr(module, "fused_attn", False)
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def collected(
    case: Case, monkeypatch: pytest.MonkeyPatch, inputs: Any, score: Callable[[Tensor], Tensor]
) -> Matrices:  # fmt: skip
    """Run the official network on the official processor's output, forward and back from `score` of its logits."""
    found = Matrices(ids=inputs["input_ids"][0])
    handle = case.network.get_input_embeddings().register_forward_hook(lambda _, __, out: out.requires_grad_())
    try:
        with collecting(case.network, case.model.family, found, monkeypatch), torch.enable_grad():
            value = score(case.network(**inputs).logits[0])
    finally:
        handle.remove()
    torch.testing.assert_close(value.detach(), case.subject.score(case.subject.pixels[None])[0], rtol=1e-4, atol=1e-5)
    maps = [each for layers in (found.tower, found.decoder) for calls in layers.values() for each in calls]
    slopes = torch.autograd.grad(value, maps)
    found.slopes = {id(each): slope for each, slope in zip(maps, slopes, strict=True)}
    return found


def matrices(case: Case, monkeypatch: pytest.MonkeyPatch) -> Matrices:
    chosen = case.subject.predicted
    others = [option for option in range(len(case.letters)) if option != chosen]

    def log_odds(logits: Tensor) -> Tensor:
        letters = logits[-1, case.letters]
        return letters[chosen] - torch.logsumexp(letters[others], 0)

    return collected(case, monkeypatch, case.asked, log_odds)


def tokens_of(row: Tensor, found: Matrices, case: Case) -> Tensor:
    """The visual tokens' part of a row of the decoder, (steps, rows, columns)."""
    grid = case.subject.grid
    places = (found.ids == case.model.family.placeholder).nonzero().flatten()[: grid.tokens]
    return row[places].view(grid.steps, grid.rows, grid.columns)


def shared(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """Tokens' values divided among patches: each has so many, or by FIFTHS."""
    if (rows, columns) == (5, 5):
        return torch.einsum("tyx,yh,xw->thw", tokens, FIFTHS, FIFTHS)
    down, across = rows // tokens.shape[1], columns // tokens.shape[2]
    assert (down * tokens.shape[1], across * tokens.shape[2]) == (rows, columns)
    return tokens.repeat_interleave(down, 1).repeat_interleave(across, 2) / (down * across)


def start(tokens: Tensor, places: int, case: Case) -> tuple[Tensor, Tensor]:
    """The encoder's row to begin with, and the place of each patch (steps, rows, columns)."""
    numbers = torch.arange(float(places))[:, None]
    at = case.model.feature_map("blocks.0", numbers, case.subject.shot)[:, 0].long()
    row = torch.zeros(places).index_copy(0, at.flatten(), shared(tokens, *at.shape[1:]).flatten())
    return row, at


def size(calls: Sequence[Tensor]) -> int:
    return sum(each.shape[0] * each.shape[2] for each in calls)


def expected(found: Matrices, case: Case, rows: Sequence[int] = (-1,)) -> Tensor:
    """The reference's map, one slice for each frame."""
    length = size(found.decoder[0])
    row = torch.zeros(length)
    row[list(rows)] = 1 / len(rows)
    row = found.propagate(row, found.decoder)
    row, at = start(tokens_of(row, found, case), size(found.tower[0]), case)
    return framed(found.propagate(row, found.tower)[at], case)


def framed(steps: Tensor, case: Case) -> Tensor:
    return steps.repeat_interleave(case.subject.grid.frames_per_step, 0)[: len(TIMES)]


def assert_equal(found: Tensor, reference: Tensor, tolerance: float = 1e-5) -> None:
    assert found.shape == reference.shape
    scale = float(reference.abs().max())
    assert scale > 1e-8, "a reference of zeros tests nothing"
    torch.testing.assert_close(found.detach(), reference, rtol=1e-3, atol=tolerance * scale)


def test_it_equals_full_matrices_of_encoder_and_decoder(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    found = matrices(case, monkeypatch)
    assert all(calls for calls in found.tower.values())
    reference = expected(found, case)
    assert_equal(PATCH.values(case.subject), reference)
    tokens = Relevance().values(case.subject)
    even = shared(tokens, *reference.shape[1:])
    assert float((reference - even).max()) > 0.002 * float(even.max()), (
        "an encoder that passes on nothing tests nothing"
    )
    assert_equal(PATCH.values(case.subject) - even, reference - even, 1e-3)  # what the encoder adds


def test_what_is_kept_and_the_size_of_blocks_do_not_change_the_map(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Block of one row in each part of a layer, and of all of them."""
    whole = PATCH.values(case.subject)
    for settings in ({"checkpoint": False}, {"offload": True}, {"checkpoint": False, "offload": True}):
        torch.testing.assert_close(replace(PATCH, **settings).values(case.subject), whole, rtol=1e-5, atol=0)  # type: ignore[arg-type]
    monkeypatch.setattr(flows, "ELEMENTS", 1)
    scale = float(whole.max())
    torch.testing.assert_close(PATCH.values(case.subject), whole, rtol=1e-4, atol=1e-6 * scale)


def test_the_model_is_left_as_it_was_and_sees_one_step_at_a_time(case: Case) -> None:
    blocks, seen = case.model.family.tower().blocks, list[int]()
    before = case.tokens
    handle = blocks[0].register_forward_hook(lambda _, given, __: seen.append(given[0].shape[:-1].numel()))
    _ = case.subject.visual  # encoded once, for all methods
    seen.clear()
    try:
        PATCH.values(case.subject)
    finally:
        handle.remove()
    assert len(seen) == case.subject.grid.steps and len(set(seen)) == 1
    assert torch.equal(case.model.encode(case.subject.pixels[None]), before)
    assert not any("forward" in vars(module) for module in case.network.modules())


@pytest.mark.parametrize("name", ["perception_lm", "qwen2_5_vl"])
def test_masked_sinks_receive_nothing_in_either(
    name: str, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first token and a patch in the frame's middle, which lies in a later window where there are some."""
    case = made(name, checkpoint, tmp_path_factory)
    found = matrices(case, monkeypatch)

    def some(hidden: Tensor, visual: Tensor) -> Tensor:
        sinks = torch.zeros(hidden.shape[:2], dtype=torch.bool)
        sinks[:, [0, int(visual[20])]] = True
        return sinks

    monkeypatch.setattr(attention_record, "sinks", some)
    visual = int((found.ids == case.model.family.placeholder).nonzero()[20])
    row = torch.zeros(len(found.ids)).index_fill(0, torch.tensor(len(found.ids) - 1), 1.0)
    row = found.propagate(row, found.decoder, [0, visual])
    tokens = tokens_of(row, found, case)
    first, at = start(tokens, size(found.tower[0]), case)
    step = len(first) // len(tokens)
    masked = [place for index, each in enumerate(at) for place in (index * step, int(each.flatten()[20]))]
    reference = framed(found.propagate(first, found.tower, masked)[at], case)
    even = framed(first[at], case)
    values = replace(PATCH, sinks="mask").values(case.subject)
    assert_equal(values, reference)
    assert_equal(values - even, reference - even, 1e-3)
    assert ((reference - even).flatten(1)[:, 20] == 0).all() and float((reference - even).max()) > 0


def test_divided_by_the_content_free_twin_of_both(perception: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    found = matrices(perception, monkeypatch)
    row = torch.zeros(len(found.ids)).index_fill(0, torch.tensor(len(found.ids) - 1), 1.0)
    row = found.propagate_twin(row, found.decoder)
    first, at = start(tokens_of(row, found, perception), size(found.tower[0]), perception)
    twin = found.propagate_twin(first, found.tower)[at]
    divided = replace(PATCH, null="divided").values(perception.subject)
    assert_equal(divided, expected(found, perception) / twin)


@pytest.mark.parametrize("words", [(), ("red",)], ids=str)
def test_words_of_a_free_answer(perception: Case, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """From the rows that produce them; the answer's last token produces nothing."""
    text = "the red cup"
    question = Question("What is on the table?", reply=perception.model.reply(text))
    bound = Subject.bind(perception.model, perception.clip, question, Target("answer", words=words))
    told = Case(perception.model, perception.clip, question)
    told.__dict__["subject"] = bound  # in the place of that of the whole answer
    inputs = dict(told.inputs(question.text))
    said = told.processor.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    prompt = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat([inputs["input_ids"], said[:, :-1]], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    places = (4, 5, 6) if words else range(len(text))
    rows = [prompt + place - 1 for place in places]

    def mean(logits: Tensor) -> Tensor:
        return torch.stack([logits[prompt + at - 1].log_softmax(0)[said[0, at]] for at in places]).mean()

    found = collected(told, monkeypatch, inputs, mean)
    assert_equal(PATCH.values(bound), expected(found, told, rows))


def test_a_volume_has_the_patches_of_every_frame(perception: Case) -> None:
    volume = PATCH.attribute(perception.subject, "relevance")
    assert volume.values.shape == (len(TIMES), 6, 6)
    assert volume.provenance.parameters["resolution"] == "patch"
    coarse = Relevance().attribute(perception.subject)
    assert coarse.values.shape == (len(TIMES), 3, 3)
    assert volume.values.min() >= 0 and float(volume.values.sum()) > float(coarse.values.sum())


def test_models_that_do_not_show_their_encoder_are_refused(
    perception: Case, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnsupportedModel, match=r"^relevance: model 'toy' does not expose its vision encoder's"):
        PATCH.attribute(toy_subject())
    with monkeypatch.context() as patch:
        patch.setattr(perception.model, "record_vision_attention", lambda *_: nullcontext())  # as before gradients
        with pytest.raises(UnsupportedModel, match="shows none of its vision encoder's attention in a backward pass"):
            PATCH.attribute(perception.subject)
    hybrid = made(HYBRID, checkpoint, tmp_path_factory)
    with pytest.raises(UnsupportedModel, match="its layers 0, 1, 2 show no attention"):
        PATCH.attribute(hybrid.subject)


def test_an_unknown_resolution_is_refused() -> None:
    with pytest.raises(ValueError, match="resolution: unknown value 'pixel'"):
        Relevance(resolution="pixel")  # type: ignore[arg-type]


def test_an_error_inside_puts_the_encoder_back(perception: Case) -> None:
    record = AttentionRecord(on_gradient=lambda *_: None)
    shot = perception.subject.shot
    with pytest.raises(RuntimeError, match="inside"), perception.model.record_vision_attention(record, shot):
        raise RuntimeError("inside")
    blocks = perception.model.family.tower().blocks
    assert not any(module._forward_pre_hooks for block in blocks for module in block.modules())
    assert not any("forward" in vars(module) for module in perception.network.modules())
