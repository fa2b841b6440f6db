"""A timm vision tower's own attention: it stays fused whatever is asked, so its parts are computed again beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from timm.layers import AttentionRope, apply_rot_embed_cat
from torch import Tensor

from attrib.attention_record import AttentionRecord
from attrib.errors import UnsupportedModel


@contextmanager
def watching_tower(tower: Any, record: AttentionRecord) -> Iterator[None]:
    """Forwards of a timm tower show the record each layer; hooks are gone afterwards.

    Raises UnsupportedModel for blocks whose attention is not timm's AttentionRope, that of all PE towers.
    """
    with ExitStack() as handles:
        for index, block in enumerate(tower.blocks):
            if not isinstance(block.attn, AttentionRope):
                raise UnsupportedModel(f"vision tower: attention of the kind {type(block.attn).__name__} is not known")
            enter, show = partial(_enter, record, index), partial(_show, record, index)
            handles.enter_context(_removed(block.register_forward_pre_hook(enter)))
            handles.enter_context(_removed(block.attn.register_forward_hook(show, with_kwargs=True)))
        yield


@contextmanager
def _removed(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def _enter(record: AttentionRecord, index: int, _: Any, given: tuple[Tensor, ...]) -> None:
    record.enter(index, given[0])


def _show(
    record: AttentionRecord, index: int, layer: Any, given: tuple[Tensor, ...], named: dict[str, Any], output: Tensor
) -> None:
    with torch.no_grad():
        query, key, value = _projected(layer, given[0], named.get("rope"))
        record.watch(output, query, key, value, index=index, scale=layer.scale, mask=named.get("attn_mask"),
                     causal=bool(named.get("is_causal")))  # fmt: skip


def _projected(layer: AttentionRope, hidden: Tensor, rope: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (b, heads, n, d) as the layer makes them, rotary embedding included."""
    if layer.qkv is None:
        parts = (layer.q_proj(hidden), layer.k_proj(hidden), layer.v_proj(hidden))
    else:
        parts = layer.qkv(hidden).chunk(3, dim=2)
    query, key, value = (part.unflatten(2, (-1, layer.head_dim)).transpose(1, 2) for part in parts)
    query, key = layer.q_norm(query), layer.k_norm(key)
    if rope is None:
        return query, key, value
    prefix = layer.num_prefix_tokens
    query, key = (
        torch.cat([part[:, :, :prefix], apply_rot_embed_cat(part[:, :, prefix:], rope, half=layer.rotate_half)], dim=2)
        for part in (query, key)
    )
    return query.type_as(value), key.type_as(value), value
