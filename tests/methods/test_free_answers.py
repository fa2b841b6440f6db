"""Methods on a free answer: attention starts from the rows before the explained tokens; every method runs unchanged.

The reference is transformers' own eager attention, with rows, scores and recursions written out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from attrib import registry
from attrib.method import Control
from attrib.methods.attention_gradient import AttentionGradient
from attrib.methods.attention_rollout import AttentionRollout
from attrib.methods.integrated_gradients import IntegratedGradients
from attrib.methods.legrad import LeGrad
from attrib.methods.raw_attention import RawAttention
from attrib.methods.relevance import Relevance
from attrib.models.family_model import FamilyModel
from attrib.subject import Subject, Target
from attrib.testing import toy_sample
from attrib.types import Question

ANSWER = "the red cup"  # eleven byte tokens; "red" is 4, 5 and 6
PLACES = {(): tuple(range(11)), ("red",): (4, 5, 6), ("the",): (0, 1, 2), ("cup", "the"): (0, 1, 2, 8, 9, 10)}
FEW: dict[str, dict[str, Any]] = {  # of what takes long
    "gradient_shap": {"samples": 16}, "rise": {"samples": 16}, "smoothgrad": {"samples": 16},
    "shapley": {"cells": 2, "forwards": 1},
    "greedy_regions": {"cells": 2, "regions": 2}, "mask_optimisation": {"steps": 4},
}  # fmt: skip
METHODS = [name for name in registry.names("methods") if not issubclass(registry.get("methods", name), Control)]


@dataclass
class Eager:
    """Every layer's (heads, n, n) probabilities, the score's gradients of them, and those of each layer's own score."""

    maps: Tensor
    slopes: Tensor
    layer_slopes: Tensor
    rows: list[int]  # of the explained tokens
    visual: Tensor

    def volume(self, matrix: Tensor) -> Tensor:
        """The mean of the rows of an n x n matrix, its visual part; 3 x 3 cells a frame, row-major."""
        return matrix[self.rows].mean(0)[self.visual].reshape(-1, 3, 3)


def official(checkpoint: Path, subject: Subject) -> tuple[dict[str, Tensor], Tensor, int]:
    """Output of the checkpoint's processor for clip and question, the answer's ids, and the video token's."""
    processor: Any = AutoProcessor.from_pretrained(checkpoint)
    content = [{"type": "video"}, {"type": "text", "text": subject.question.text}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    video = torch.from_numpy(subject.clip.frames).permute(0, 3, 1, 2)
    inputs = processor(text=[text], videos=[video], do_sample_frames=False, return_tensors="pt",
                       add_special_tokens=False)  # fmt: skip
    said = processor.tokenizer(ANSWER, add_special_tokens=False, return_tensors="pt").input_ids
    return dict(inputs), said, processor.video_token_id


def eager(checkpoint: Path, subject: Subject, places: tuple[int, ...]) -> Eager:
    inputs, said, marker = official(checkpoint, subject)
    network: Any = AutoModelForImageTextToText.from_pretrained(checkpoint).eval()
    decoder, prompt = network.model.language_model, inputs["input_ids"].shape[1]
    decoder.set_attn_implementation("eager")
    ids = torch.cat([inputs["input_ids"], said], dim=1)
    embedded = network.get_input_embeddings()(ids).detach().clone()
    features = network.model.get_image_features(inputs["pixel_values_videos"], return_dict=True)
    embedded[0, ids[0] == marker] = features.pooler_output.detach().reshape(-1, embedded.shape[-1])
    states: list[Tensor] = []
    for layer in decoder.layers:
        layer.register_forward_hook(lambda _, __, output: states.append(output[0]))
    # Without the last token: it produces nothing that is explained.
    out = decoder(inputs_embeds=embedded[:, :-1].requires_grad_(), output_attentions=True)
    rows = [prompt + place - 1 for place in places]

    def read(state: Tensor) -> Tensor:
        logprobs = network.lm_head(decoder.norm(state)).log_softmax(-1)
        return torch.stack([logprobs[row, ids[0, row + 1]] for row in rows]).mean()

    torch.testing.assert_close(read(states[-1]), subject.score(subject.pixels[None])[0], rtol=1e-5, atol=1e-5)
    own = [torch.autograd.grad(read(state), part, retain_graph=True)[0]
           for state, part in zip(states, out.attentions, strict=True)]  # fmt: skip
    slopes = torch.autograd.grad(read(states[-1]), out.attentions)
    return Eager(torch.cat(out.attentions).detach(), torch.cat(slopes), torch.cat(own), rows, ids[0, :-1] == marker)


def told(model: FamilyModel, like: Subject, *words: str) -> Subject:
    """The session's clip with a free answer, and something annotated for methods that need it."""
    question = Question("What is on the table?", reply=model.reply(ANSWER))
    return replace(Subject.bind(model, like.clip, question, Target("answer", words=words)), sample=toy_sample())


@pytest.fixture(scope="module", params=[(), ("red",), ("cup", "the")], ids=lambda words: " ".join(words) or "all")
def case(request: pytest.FixtureRequest, checkpoint: Path, perception_lm: FamilyModel, subject: Subject) -> Any:
    bound = told(perception_lm, subject, *request.param)
    return bound, eager(checkpoint, bound, PLACES[request.param])


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    scale = float(expected.abs().max())
    assert scale > 1e-8, "a reference of zeros tests nothing"
    torch.testing.assert_close(found.detach(), expected, rtol=1e-4, atol=1e-5 * scale)


def test_rows_are_those_before_the_tokens(case: tuple[Subject, Eager]) -> None:
    bound, reference = case
    assert_equal(RawAttention().values(bound), reference.volume(reference.maps.mean((0, 1))))
    others = replace(reference, rows=[row + 1 for row in reference.rows[:-1]])  # the tokens' own rows: another map
    assert not torch.allclose(RawAttention().values(bound), others.volume(reference.maps.mean((0, 1))), rtol=1e-3)


def test_recursions_start_from_several_rows(case: tuple[Subject, Eager]) -> None:
    bound, reference = case
    product = carried = eye = torch.eye(reference.maps.shape[-1])
    for part, slope in zip(reference.maps, reference.slopes, strict=True):
        product = (part.mean(0) + eye) / 2 @ product
        carried = carried + (part * slope).clamp(min=0).mean(0) @ carried
    assert_equal(AttentionRollout().values(bound), reference.volume(product))
    assert_equal(Relevance().values(bound), reference.volume(carried))


def test_gradients_are_those_of_the_mean_log_probability(case: tuple[Subject, Eager]) -> None:
    bound, reference = case
    weighted = (reference.maps * reference.slopes).clamp(min=0).mean(1).sum(0)
    assert_equal(AttentionGradient().values(bound), reference.volume(weighted))
    assert_equal(LeGrad().values(bound), reference.volume(reference.layer_slopes.clamp(min=0).mean((0, 1))))


def test_integrated_gradients_add_up_to_the_change_of_the_mean_log_probability(
    perception_lm: FamilyModel, subject: Subject
) -> None:
    bound = told(perception_lm, subject, "red")
    volume = IntegratedGradients(steps=32, baseline="black").attribute(bound)
    change = float(bound.score(bound.pixels[None]) - bound.score(torch.zeros_like(bound.pixels[None])))
    assert abs(change) > 1e-3
    assert float(volume.values.sum()) == pytest.approx(change, rel=0.05)
    assert volume.provenance.target == "answer:red"


@pytest.mark.parametrize("name", METHODS)
def test_every_method_explains_words(name: str, perception_lm: FamilyModel, subject: Subject) -> None:
    """Each word by itself: finite, and no two words alike."""
    one, two = (registry.get("methods", name)(**FEW.get(name, {})).attribute(told(perception_lm, subject, word)).values
                for word in ("red", "cup"))  # fmt: skip
    assert one.shape == two.shape
    assert abs(one - two).max() > 1e-3 * max(abs(one).max(), abs(two).max())
