"""Attention of a vision encoder: shown by transformers' own hook, or computed again beside timm's fused one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from timm.layers import AttentionRope, apply_rot_embed_cat
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from attrib.attention_record import AttentionRecord
from attrib.errors import UnsupportedModel

COLLECTED = "attrib_collected_sdpa"
_calls: WeakKeyDictionary[nn.Module, list[_Call]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class _Call:
    query: Tensor
    key: Tensor
    value: Tensor
    scale: float
    masked: bool


def _collected_sdpa(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Return SDPA's result; keep what it was called with where the module's block is watched."""
    output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    if module in _calls:
        scale = kwargs.get("scaling") or query.shape[-1] ** -0.5
        _calls[module].append(_Call(query.detach(), key.detach(), value.detach(), scale, attention_mask is not None))
    return output, None


AttentionInterface.register(COLLECTED, _collected_sdpa)
AttentionMaskInterface.register(COLLECTED, sdpa_mask)


@dataclass(eq=False)
class TowerWatch:
    """Shows a record the attention of an encoder's blocks, one frame or step of frames a batch entry.

    `layout` gives the places of a block's output by its number of tokens; `name` is the family's, for messages.
    """

    name: str
    record: AttentionRecord
    layout: Callable[[int], Any]
    steps: int = field(default=1, init=False)

    def enter(self, index: int, calls: list[_Call], _: nn.Module, given: tuple[Tensor, ...]) -> None:
        """Take a block's input; a forward pre-hook."""
        calls.clear()
        hidden = given[0]
        layout = self.layout(hidden.shape[:-1].numel())
        self.steps, self.record.cells = layout.steps, (layout.rows, layout.columns)
        self.record.visual = layout.order[: layout.rows * layout.columns]
        self.record.enter(index, hidden.reshape(layout.steps, -1, hidden.shape[-1]))

    def show(self, index: int, calls: list[_Call], _: nn.Module, __: Any, output: Any) -> None:
        """Show the record what the block attended to; a forward hook."""
        hidden = output[0] if isinstance(output, tuple) else output
        if any(call.masked for call in calls):
            raise UnsupportedModel(f"{self.name}: its vision encoder pads its patches; their attention is not recorded")
        shapes = {call.query.shape for call in calls}
        if len(shapes) != 1 or len(calls) * calls[0].query.shape[0] != self.steps:
            raise UnsupportedModel(f"{self.name}: layer {index} of its vision encoder does not attend frame by frame")
        query, key, value = (torch.cat([getattr(call, part) for call in calls]) for part in ("query", "key", "value"))
        with torch.no_grad():
            self.record.watch(hidden, query, key, value, index=index, scale=calls[0].scale, causal=False)


@contextmanager
def watching_blocks(encoder: Any, blocks: list[nn.Module], watch: TowerWatch) -> Iterator[None]:
    """Forwards of a transformers encoder show the record each block; then all is as it was found.

    Raises UnsupportedModel for an encoder whose attention cannot be shown, here or in the forward.
    """
    implementation = encoder.config._attn_implementation
    try:
        encoder.set_attn_implementation(COLLECTED)
        if encoder.config._attn_implementation != COLLECTED:
            raise UnsupportedModel(f"{watch.name}: the attention of its vision encoder cannot be recorded")
        with ExitStack() as handles:
            for index, block in enumerate(blocks):
                calls: list[_Call] = []
                _calls.update(dict.fromkeys(block.modules(), calls))
                handles.enter_context(_removed(block.register_forward_pre_hook(partial(watch.enter, index, calls))))
                handles.enter_context(_removed(block.register_forward_hook(partial(watch.show, index, calls))))
            yield
    finally:
        encoder.set_attn_implementation(implementation)
        for block in blocks:
            for module in block.modules():
                _calls.pop(module, None)


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
