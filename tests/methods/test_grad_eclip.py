"""Grad-ECLIP against autograd through the official network: queries, keys, values and outputs taken by plain hooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.models.llama import modeling_llama

from attrib.methods.grad_eclip import GradEclip
from attrib.models.prompting import option_prompt
from attrib.subject import Subject
from attrib.testing import check_method, toy_subject

Layer = tuple[Tensor, Tensor, Tensor, Tensor]  # queries, keys, values (heads, n, d), df/do (heads, n, d)


@pytest.fixture(scope="module")
def layers(checkpoint: Path, subject: Subject) -> tuple[list[Layer], Tensor]:
    """Each layer of a plain copy of the network, and where the video stands (n,)."""
    processor: Any = AutoProcessor.from_pretrained(checkpoint)
    content = [{"type": "video"}, {"type": "text", "text": option_prompt(subject.question)}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    video = torch.from_numpy(subject.clip.frames).permute(0, 3, 1, 2)
    inputs = processor(text=[text], videos=[video], do_sample_frames=False, return_tensors="pt",
                       add_special_tokens=False)  # fmt: skip
    network: Any = AutoModelForImageTextToText.from_pretrained(checkpoint).eval()
    decoder, seen = network.model.language_model, list[dict[str, Tensor]]()
    rotated: Callable[..., Any] = modeling_llama.apply_rotary_pos_emb
    width = decoder.layers[0].self_attn.head_dim
    for layer in decoder.layers:
        kept: dict[str, Tensor] = {}
        seen.append(kept)
        for name in ("q_proj", "k_proj", "v_proj"):
            getattr(layer.self_attn, name).register_forward_hook(
                lambda _, __, output, kept=kept, name=name: kept.update({name: output.unflatten(2, (-1, width))})
            )
        layer.self_attn.o_proj.register_forward_pre_hook(lambda _, given, kept=kept: kept.update(output=given[0]))
        layer.self_attn.register_forward_pre_hook(
            lambda _, __, named, kept=kept: kept.update(rope=torch.stack(named["position_embeddings"])),
            with_kwargs=True,
        )
    logits = network(**inputs).logits[0, -1]
    letters = [processor.tokenizer.convert_tokens_to_ids(letter) for letter in "ABC"]
    others = [letters[option] for option in range(3) if option != subject.option]
    log_odds = logits[letters[subject.option]] - torch.logsumexp(logits[others], 0)
    torch.testing.assert_close(log_odds.detach(), subject.score(subject.pixels[None])[0], rtol=1e-4, atol=1e-5)
    slopes = torch.autograd.grad(log_odds, [kept["output"] for kept in seen])
    found = []
    for kept, slope in zip(seen, slopes, strict=True):
        query, key = rotated(kept["q_proj"].transpose(1, 2), kept["k_proj"].transpose(1, 2), *kept["rope"])
        every = (query, key, kept["v_proj"].transpose(1, 2), slope.unflatten(2, (-1, width)).transpose(1, 2))
        found.append(tuple(part[0].detach() for part in every))
    return found, inputs["input_ids"][0] == processor.video_token_id  # type: ignore[return-value]


def by_hand(layer: Layer, visual: Tensor) -> Tensor:
    """One layer's map over the visual tokens, heads side by side as in the paper."""
    query, key, value, slope = layer
    heads = len(query)
    group = heads // len(key)
    wide_key, wide_value = (
        torch.cat([part[head // group] for head in range(heads)], dim=1)[visual] for part in (key, value)
    )
    wide_query, wide_slope = (torch.cat([part[head, -1] for head in range(heads)]) for part in (query, slope))
    cosine = cosine_similarity(wide_query[None], wide_key)
    loose = (cosine - cosine.min()) / (cosine.max() - cosine.min())
    return torch.relu((wide_slope * wide_value * loose[:, None]).sum(dim=1))


@pytest.mark.parametrize("chosen", [(), (1,), (0, 1)])
def test_it_equals_the_paper_on_the_plain_network(
    layers: tuple[list[Layer], Tensor], subject: Subject, chosen: tuple[int, ...]
) -> None:
    parts, visual = layers
    expected = torch.stack([by_hand(parts[index], visual) for index in chosen or range(len(parts))]).mean(0)
    found = GradEclip(layers=chosen).values(subject).flatten()
    assert float(expected.max()) > 1e-4 and int((expected == 0).sum()) > 0
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5 * float(expected.max()))


@pytest.mark.parametrize("kept", [{"checkpoint": False}, {"offload": True}], ids=str)
def test_what_is_kept_does_not_change_the_map(subject: Subject, kept: dict[str, bool]) -> None:
    torch.testing.assert_close(GradEclip(**kept).values(subject), GradEclip().values(subject))


def test_masked_sinks_receive_nothing_and_the_twin_divides(subject: Subject) -> None:
    plain = GradEclip().values(subject)
    assert not torch.allclose(GradEclip(null="divided").values(subject) / plain.sum(), plain / plain.sum())
    masked = GradEclip(sinks="mask").values(subject)
    assert ((masked == plain) | (masked == 0)).all()


def test_on_the_toy_it_is_the_similarity_times_the_readout() -> None:
    """The query asks for red: the red cell's cosine is the greatest, so the map there is df/do . v, 8 x 0.8."""
    found = GradEclip().values(toy_subject())
    assert float(found.max()) == pytest.approx(8 * 0.8, rel=1e-5)
    assert int((found > 1e-5).sum()) == 1


def test_divided_by_its_twin_it_keeps_the_contract() -> None:
    check_method(GradEclip(null="divided"))
