"""The attention methods on a made PerceptionLM against transformers' own eager attentions and autograd on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from attrib.methods.attention_gradient import AttentionGradient
from attrib.methods.attention_rollout import AttentionRollout
from attrib.methods.raw_attention import RawAttention
from attrib.methods.relevance import Relevance
from attrib.models.perception_lm import option_prompt
from attrib.subject import Subject


@dataclass
class Eager:
    """Every layer's (heads, n, n) probabilities, the log-odds' gradients of them, and where the video stands."""

    maps: Tensor
    slopes: Tensor
    visual: Tensor  # bool (n,)

    def volume(self, row: Tensor, subject: Subject) -> Tensor:
        """The visual part of one row of an n x n matrix; 3 x 3 cells a frame, row-major."""
        return row[self.visual].reshape(len(subject.clip), 3, 3)


@pytest.fixture(scope="module")
def eager(checkpoint: Path, subject: Subject) -> Eager:
    """A second, plain copy of the network, prompted by the official processor and run eagerly."""
    processor = AutoProcessor.from_pretrained(checkpoint)
    content = [{"type": "video"}, {"type": "text", "text": option_prompt(subject.question)}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    video = torch.from_numpy(subject.clip.frames).permute(0, 3, 1, 2)
    inputs = processor(text=[text], videos=[video], do_sample_frames=False, return_tensors="pt",
                       add_special_tokens=False)  # fmt: skip
    network = AutoModelForImageTextToText.from_pretrained(checkpoint).eval()
    network.model.language_model.set_attn_implementation("eager")
    visual = inputs["input_ids"][0] == processor.video_token_id
    embedded = network.get_input_embeddings()(inputs["input_ids"]).detach().clone()
    features = network.model.get_image_features(inputs["pixel_values_videos"], return_dict=True)
    embedded[0, visual] = features.pooler_output.detach().reshape(-1, embedded.shape[-1])
    out = network.model.language_model(inputs_embeds=embedded.requires_grad_(), output_attentions=True)
    letters = [processor.tokenizer.convert_tokens_to_ids(letter) for letter in "ABC"]
    logits = network.lm_head(out.last_hidden_state[0, -1])[letters]
    chosen = int(logits.argmax())
    log_odds = logits[chosen] - torch.logsumexp(logits[[i for i in range(3) if i != chosen]], 0)
    torch.testing.assert_close(log_odds.detach(), subject.score(subject.pixels[None])[0], rtol=1e-5, atol=1e-6)
    slopes = torch.autograd.grad(log_odds, out.attentions)
    return Eager(torch.cat(out.attentions).detach(), torch.cat(slopes), visual)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    scale = float(expected.abs().max())
    assert scale > 1e-8, "a reference of zeros tests nothing"
    torch.testing.assert_close(found.detach(), expected, rtol=1e-4, atol=1e-5 * scale)


def test_the_attention_is_worth_comparing(eager: Eager) -> None:
    assert eager.maps.shape[-1] > 256
    assert eager.maps.shape[:2] == (2, 4)
    assert float(eager.maps[:, :, -1].amax()) > 10 / eager.maps.shape[-1], "attention is close to uniform"


def test_raw_attention_equals_the_eager_attentions(eager: Eager, subject: Subject) -> None:
    answer = eager.maps[:, :, -1].flatten(0, 1)
    assert_equal(RawAttention().values(subject), eager.volume(answer.mean(0), subject))
    assert_equal(RawAttention(reduction="max").values(subject), eager.volume(answer.amax(0), subject))


def test_an_unknown_reduction_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'mean'"):
        RawAttention(reduction="meen")  # type: ignore[arg-type]


def test_rollout_equals_the_product_of_eager_attentions(eager: Eager, subject: Subject) -> None:
    eye = torch.eye(eager.maps.shape[-1])
    product = eye
    for probabilities in eager.maps.mean(1):
        product = (probabilities + eye) / 2 @ product
    assert_equal(AttentionRollout().values(subject), eager.volume(product[-1], subject))


def test_attention_gradient_equals_autograd_on_eager_attentions(eager: Eager, subject: Subject) -> None:
    weighted = (eager.maps * eager.slopes).clamp(min=0).mean(1).sum(0)
    assert_equal(AttentionGradient().values(subject), eager.volume(weighted[-1], subject))


def test_relevance_equals_the_recursion_on_eager_attentions(eager: Eager, subject: Subject) -> None:
    carried = torch.eye(eager.maps.shape[-1])
    for weighted in (eager.maps * eager.slopes).clamp(min=0).mean(1):
        carried = carried + weighted @ carried
    assert_equal(Relevance().values(subject), eager.volume(carried[-1], subject))


def test_the_four_maps_differ(subject: Subject) -> None:
    """On two layers and four heads they are different quantities; equal maps would mean one stands for another."""
    maps = torch.stack([m.values(subject).detach().flatten() for m in
                        (RawAttention(), AttentionRollout(), AttentionGradient(), Relevance())])  # fmt: skip
    correlation = torch.corrcoef(maps)
    assert float(correlation.triu(1).abs().max()) < 0.999
