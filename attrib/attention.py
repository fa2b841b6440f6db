"""Rows and recursions of recorded attention, in blocks of rows: an N x N map is never held.

All functions take one forward's AttentionRecord and give saliency over the whole sequence, (b, n); `visual` cuts out
the visual tokens. Grouped-query heads are repeated, probabilities are computed in at least float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from attrib.model import AttentionRecord, LayerRecord, require_attention
from attrib.subject import Subject

if TYPE_CHECKING:
    from jaxtyping import Float

BLOCK = 256  # rows of probabilities formed at once
Reduction = Literal["mean", "max"]


def rows(layer: LayerRecord, start: int, stop: int) -> Float[Tensor, "b heads r n"]:
    """Attention probabilities of the query rows start..stop."""
    heads = layer.query.shape[1]
    key = layer.key.repeat_interleave(heads // layer.key.shape[1], dim=1)
    precision = torch.promote_types(key.dtype, torch.float32)
    logits = layer.query[:, :, start:stop].to(precision) @ key.to(precision).transpose(2, 3) * layer.scale
    columns = torch.arange(key.shape[2], device=key.device)
    future = columns[None, :] > torch.arange(start, stop, device=key.device)[:, None]
    return logits.masked_fill(future, float("-inf")).softmax(dim=-1)


def gradient_rows(layer: LayerRecord, output_gradient: Tensor, start: int, stop: int) -> Float[Tensor, "b heads r n"]:
    """Gradient of the scalar with respect to those rows' probabilities: dO V^T; output_gradient is (b, n, heads, d)."""
    heads = layer.query.shape[1]
    value = layer.value.repeat_interleave(heads // layer.value.shape[1], dim=1)
    precision = torch.promote_types(value.dtype, torch.float32)
    gradient = output_gradient.transpose(1, 2)[:, :, start:stop].to(precision)
    return gradient @ value.to(precision).transpose(2, 3)


def raw(record: AttentionRecord, reduction: Reduction = "mean") -> Float[Tensor, "b n"]:
    """The answer row's attention, reduced over layers and heads."""
    row = record.answer_row
    answer = torch.stack([rows(layer, row, row + 1)[:, :, 0] for layer in record.layers], dim=1)
    return answer.mean(dim=(1, 2)) if reduction == "mean" else answer.amax(dim=(1, 2))


def rollout(record: AttentionRecord) -> Float[Tensor, "b n"]:
    """The answer row of attention rollout (Abnar and Zuidema 2020, eq. 1): the product of (A + I) / 2 over layers.

    As a vector recursion from the top layer down, r <- r/2 + r A/2 with A the mean over heads.
    """
    relevance = _one_hot(record)
    for layer in reversed(record.layers):
        flowed = torch.zeros_like(relevance)
        for start, stop in _blocks(relevance, record):
            attention = rows(layer, start, stop).mean(dim=1)
            flowed += torch.einsum("br,brn->bn", relevance[:, start:stop], attention)
        relevance = (relevance + flowed) / 2
    return relevance


def attention_gradient(record: AttentionRecord, gradients: Sequence[Tensor]) -> Float[Tensor, "b n"]:
    """The answer row's attention times its gradient, positive part, mean over heads and summed over layers."""
    row = record.answer_row
    total = torch.zeros_like(_one_hot(record))
    for layer, gradient in zip(record.layers, gradients, strict=True):
        weighted = rows(layer, row, row + 1) * gradient_rows(layer, gradient, row, row + 1)
        total += weighted.clamp(min=0).mean(dim=1)[:, 0]
    return total


def relevance(record: AttentionRecord, gradients: Sequence[Tensor]) -> Float[Tensor, "b n"]:
    """The answer row of the relevance recursion (Chefer et al. 2021, eq. 5 and 6): R <- R + mean_h relu(A dA) R.

    As a vector recursion from the top layer down, r <- r + r E with E the mean over heads of relu(A * dA).
    """
    carried = _one_hot(record)
    for layer, gradient in zip(reversed(record.layers), reversed(gradients), strict=True):
        flowed = torch.zeros_like(carried)
        for start, stop in _blocks(carried, record):
            weighted = rows(layer, start, stop) * gradient_rows(layer, gradient, start, stop)
            flowed += torch.einsum("br,brn->bn", carried[:, start:stop], weighted.clamp(min=0).mean(dim=1))
        carried = carried + flowed
    return carried


def record(subject: Subject, method: str, *, gradients: bool) -> tuple[AttentionRecord, list[Tensor]]:
    """Run the subject's clip once and record its attention, with the scalar's gradient at each output if asked.

    Raises UnsupportedModel when the model does not give its attention.
    """
    recorder = require_attention(subject.model, method)
    with torch.no_grad():
        tokens = subject.model.encode(subject.pixels[None])
    with recorder.record_attention() as found, torch.enable_grad() if gradients else torch.no_grad():
        score = subject.score_tokens(tokens.requires_grad_(gradients))
        outputs = [layer.output for layer in found.layers]
        slopes = list(torch.autograd.grad(score.sum(), outputs)) if gradients else []
    return found, slopes


def visual(subject: Subject, found: AttentionRecord, values: Float[Tensor, "1 n"]) -> Float[Tensor, "t h w"]:
    """The visual tokens' part of a sequence's values, as a volume."""
    return subject.grid.to_volume(values[0, found.visual])


def _one_hot(record: AttentionRecord) -> Tensor:
    query = record.layers[0].query
    start = torch.zeros(len(query), query.shape[2], device=query.device,
                        dtype=torch.promote_types(query.dtype, torch.float32))  # fmt: skip
    start[:, record.answer_row] = 1
    return start


def _blocks(values: Tensor, record: AttentionRecord) -> list[tuple[int, int]]:
    """Blocks of rows that carry relevance: under a causal mask none lies after the answer row."""
    last = record.answer_row + 1 if record.answer_row >= 0 else values.shape[1]
    return [(start, min(start + BLOCK, last)) for start in range(0, last, BLOCK)]
