"""Separate forward passes of a PerceptionLM's components for training, and the losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PerceptionLMForConditionalGeneration

from attrib.demo.training.labels import ATTRIBUTES, FORMS, HUES, KINDS, STATES
from attrib.demo.training.prompts import UNKNOWABLE, Packer

_SHARPNESS = 8.0  # logits per unit of a code's estimated presence


def visual_tokens(model: PerceptionLMForConditionalGeneration, pixels: Tensor) -> Tensor:
    """Projected tokens (b, n, width) of normalised pixels (b, t, 3, h, w)."""
    projected: Tensor = model.model.get_image_features(pixels).pooler_output
    return projected.reshape(len(pixels), -1, model.lm_head.in_features)


def answer_logits(
    model: PerceptionLMForConditionalGeneration, packer: Packer, visual: Tensor, selected: Tensor, blocks: Blocks
) -> Tensor:
    """Logits (b, k, vocabulary) at the answer positions of k questions about visual tokens (b, v, width).

    `selected` (b, v) holds the tokens' indices among all tokens of the video.
    """
    ids, ends = blocks
    batch, questions = ids.shape[:2]
    embed = model.get_input_embeddings()
    prefix = embed(torch.tensor(packer.prefix)).expand(batch, -1, -1)
    hidden = model.model.language_model(
        inputs_embeds=torch.cat([prefix, visual, embed(ids.flatten(1))], 1),
        attention_mask=packer.mask(visual.shape[1], questions),
        position_ids=packer.positions(selected, questions),
        use_cache=False,
    ).last_hidden_state[:, -questions * packer.block :]
    hidden = hidden.unflatten(1, (questions, packer.block))
    at = ends[..., None, None].expand(-1, -1, 1, hidden.shape[-1])
    logits: Tensor = model.lm_head(hidden.gather(2, at).squeeze(2))
    return logits


Blocks = tuple[Tensor, Tensor]  # token ids (b, k, block) and answer positions (b, k)


def answer_loss(logits: Tensor, answers: Tensor, letters: list[int]) -> Tensor:
    """Cross-entropy of logits (b, k, vocabulary) with `answers` (b, k); the target of an unknowable answer is uniform
    over the letters.
    """
    log_p = logits.log_softmax(-1)
    unknown = answers == UNKNOWABLE
    known = log_p.gather(-1, answers.clamp(min=0)[..., None]).squeeze(-1)
    loss: Tensor = -torch.where(unknown, log_p[..., letters].mean(-1), known).mean()
    return loss


def presence(tokens: Tensor, codes: Tensor) -> Tensor:
    """Projection (..., attributes) of tokens on the code of each attribute; 1 is the full code."""
    return tokens @ codes.T / codes.square().sum(1)


def dense_loss(tokens: Tensor, cells: Tensor, codes: Tensor) -> Tensor:
    """Loss of visual tokens (b, n, width) on labels (b, n, attributes): distance to the codes, and classification."""
    cells = cells.flatten(0, 1).float()
    tokens = tokens.flatten(0, 1)
    occupied = 1 - cells[:, 0]
    weight = 0.15 + occupied
    distance = ((tokens - cells @ codes) / codes[0].norm()).square().sum(1)
    scores = _SHARPNESS * presence(tokens, codes)
    loss: Tensor = (weight * distance).sum() / weight.sum()
    loss = loss + functional.cross_entropy(scores[:, KINDS], cells[:, KINDS].argmax(1))
    for group in (HUES, FORMS):
        has = cells[:, group].any(1)
        loss = loss + functional.cross_entropy(scores[has][:, group], cells[has][:, group].argmax(1))
    objects = cells[:, 1] > 0
    states = scores[objects][:, STATES] - _SHARPNESS / 2
    return loss + 2 * functional.binary_cross_entropy_with_logits(states, cells[objects][:, STATES])


@torch.no_grad()
def dense_accuracy(tokens: Tensor, cells: Tensor, codes: Tensor) -> dict[str, float]:
    """Share of cells whose attribute is classified correctly; except for `kind`, of cells with that attribute."""
    scores, cells = presence(tokens.flatten(0, 1), codes), cells.flatten(0, 1).float()
    out = {"kind": _agreement(scores[:, KINDS], cells[:, KINDS])}
    for name, group in (("colour", HUES), ("shape", FORMS)):
        has = cells[:, group].any(1)
        out[name] = _agreement(scores[has][:, group], cells[has][:, group])
    objects = cells[:, 1] > 0
    right = (scores[objects][:, STATES] > 0.5) == (cells[objects][:, STATES] > 0)
    return out | dict(zip(ATTRIBUTES[STATES], right.float().mean(0).tolist(), strict=True))


def _agreement(scores: Tensor, cells: Tensor) -> float:
    return float((scores.argmax(1) == cells.argmax(1)).float().mean())
