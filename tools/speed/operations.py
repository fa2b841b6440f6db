"""Cost of a network's own products: the number of operations, and this machine's speed at large ones."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from attrib.models.family_model import FamilyModel

SIDES = (4096, 2048, 8192)  # of the product that speed is measured with: rows, width, wider layer


def matrix_speed(dtype: torch.dtype, repeats: int = 5) -> float:
    """Floating-point operations per second of a large matrix product: the median of a few."""
    rows, inner, columns = SIDES
    left, right = torch.ones(rows, inner, dtype=dtype), torch.ones(inner, columns, dtype=dtype)
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - began)
    return 2 * rows * inner * columns / float(np.median(seconds[1:]))


def side(model: FamilyModel) -> int:
    """Height and width in pixels of the frames that a PerceptionLM takes."""
    return int(model.family.processor.video_processor.size["height"])


def operations(model: FamilyModel, frames: int, length: int) -> tuple[int, int, int]:
    """Floating-point operations of the tower, of the decoder, and of the decoder's backward pass to its tokens.

    `length`: tokens of the sequence. Counted on shapes alone: the model's weights are gone afterwards, so this is for a
    process of its own.
    """
    network: Any = model.module.to("meta")
    with FlopCounterMode(display=False) as tower, torch.no_grad():
        tokens = model.encode(torch.empty(1, frames, 3, side(model), side(model), device="meta"))
    sequence = torch.empty(1, length, tokens.shape[-1], dtype=model.dtype, device="meta", requires_grad=True)
    causal = torch.ones(1, 1, length, length, dtype=torch.bool, device="meta")  # values are not looked at
    with FlopCounterMode(display=False) as decoder, torch.enable_grad():
        places = torch.arange(length, device="meta")[None]
        states = network.model.language_model(
            inputs_embeds=sequence, attention_mask=causal, position_ids=places, use_cache=False
        ).last_hidden_state
        once = decoder.get_total_flops()
        states.sum().backward()
    return tower.get_total_flops(), once, decoder.get_total_flops() - once
