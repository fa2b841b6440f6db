"""Sizes of a network's layers, read from its modules: bytes that one token needs in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from attrib.models.family import ModelFamily
from attrib.types import Shot
from attrib.types.footprint import LayerStack

INDEX = 8  # bytes of an element of a mask while it is made: two whole numbers are compared


@dataclass(frozen=True)
class _Layer:
    """Numbers of one token in one layer: `outputs` of all linear maps, the `widest` of them, norms' inputs, width."""

    outputs: int
    widest: int
    normed: int
    width: int

    @staticmethod
    def of(layer: nn.Module, experts: int) -> _Layer:
        """Read the modules of a layer, of whose experts each token takes so many."""
        linear = [module.out_features for module in layer.modules() if isinstance(module, nn.Linear)]
        weights = [getattr(each, "weight", None) for each in layer.modules() if "Norm" in type(each).__name__]
        norms = [weight.numel() for weight in weights if isinstance(weight, nn.Parameter)]
        width = max(norms, default=linear[-1] if linear else 0)
        stacked = [each for each in layer.parameters() if each.ndim == 3]  # experts, inputs, outputs in either order
        linear += [experts * each.numel() // len(each) // max(width, 1) for each in stacked]
        return _Layer(sum(linear), max(linear, default=0), sum(size for size in norms if size == width), width)


def vision_stack(family: ModelFamily, shot: Shot, dtype: torch.dtype, at_once: int | None) -> LayerStack:
    """Return the encoder's blocks; without gradients, `at_once` pixels go through them together (None: all)."""
    blocks, tokens = family.tower().blocks, family.tower_tokens(shot)
    each = tokens * family.frames_per_step // shot.frames or tokens  # of a step
    steps = None if at_once is None else at_once // (family.frames_per_step * shot.height * shot.width)
    together = None if steps is None else each * max(1, steps)
    return _stack(blocks, dtype, tokens, together=together, attended=0, heads=0, experts=0)


def language_stack(family: ModelFamily, tokens: int, dtype: torch.dtype) -> LayerStack:
    """Return the decoder's layers, for a sequence of so many tokens."""
    text = family.text
    layers = getattr(text, "per_layer_config", None) or [text]  # which may differ in their heads
    heads = max(int(layer.num_attention_heads) for layer in layers)
    attended = max(map(_attended, layers))
    experts = int(getattr(text, "num_experts_per_tok", None) or 1)
    stack = _stack(family.decoder.layers, dtype, tokens, together=None, attended=attended, heads=heads, experts=experts)
    return replace(stack, running=stack.running + INDEX * tokens) if family.masked else stack


def _attended(layer: Any) -> int:
    """Return the numbers of one token's queries and keys, from a layer's configuration."""
    heads = int(layer.num_attention_heads)
    depth = int(getattr(layer, "head_dim", None) or layer.hidden_size // heads)
    return (heads + int(getattr(layer, "num_key_value_heads", None) or heads)) * depth


def _stack(
    layers: Sequence[nn.Module], dtype: torch.dtype, tokens: int, *, together: int | None, attended: int, heads: int,
    experts: int,
) -> LayerStack:  # fmt: skip
    """Return the bytes of one token: an activation doubles the widest output, norms compute in at least float32.

    While a layer runs it has three tensors of the widest output (gate, its activation, product) and four of the width.
    """
    read, each = [_Layer.of(layer, experts) for layer in layers], dtype.itemsize
    exact = torch.promote_types(dtype, torch.float32).itemsize
    saved = sum(each * (layer.outputs + layer.widest) + exact * layer.normed for layer in read)
    return LayerStack(
        layers=len(read), heads=heads, tokens=tokens, together=together,
        running=each * max(3 * layer.widest + 4 * layer.width for layer in read), saved=saved // max(1, len(read)),
        between=each * max(layer.width for layer in read), attended=each * attended,
    )  # fmt: skip
