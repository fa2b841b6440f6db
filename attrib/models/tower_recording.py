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
from attrib.models.recording import recomputed, wrapped

COLLECTED = "attrib_collected_sdpa"
_blocks: WeakKeyDictionary[nn.Module, _Block] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class _Call:
    query: Tensor
    key: Tensor
    value: Tensor
    scale: float
    masked: bool


@dataclass(eq=False)
class _Block:
    """A block of an encoder, what its attention was called with, and how many places these calls cover.

    A record that wants gradients is shown each call by itself: the backward pass comes to one after another.
    """

    index: int
    record: AttentionRecord
    calls: list[_Call] = field(default_factory=list)
    places: int = 0

    def clear(self) -> None:
        """Begin a forward, or its repetition in the backward pass."""
        self.calls.clear()
        self.places = 0

    def take(
        self, output: Tensor, query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None
    ) -> Tensor:
        """Take a call and its output, which is returned."""
        start, self.places = self.places, self.places + query.shape[0] * query.shape[2]
        if self.record.on_gradient is None:
            self.calls.append(_Call(query.detach(), key.detach(), value.detach(), scale, mask is not None))
            return output
        traits = {"index": self.index, "scale": scale, "mask": mask, "causal": False, "start": start}
        return self.record.watch(output, query, key, value, **traits)

    def through(self, forward: Callable[..., Any], hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Run the block, with checkpoints if the record wants them."""

        def anew(given: Tensor, *rest: Any, **named: Any) -> Any:
            self.clear()
            return forward(given, *rest, **named)

        return recomputed(self.record, anew, hidden, *args, **kwargs)


def _collected_sdpa(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Return SDPA's result; take what it was called with where the module's block is watched."""
    output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    block = _blocks.get(module)
    if block is not None:
        output = block.take(output, query, key, value, kwargs.get("scaling") or query.shape[-1] ** -0.5, attention_mask)
    return output, None


AttentionInterface.register(COLLECTED, _collected_sdpa)
AttentionMaskInterface.register(COLLECTED, sdpa_mask)


@dataclass(eq=False)
class TowerWatch:
    """Shows a record the attention of an encoder's blocks, one frame or step of frames a batch entry.

    `layout` gives the places of a block's output by its number of tokens; `name` is the family's, for messages. For a
    record that wants gradients, `_Block` shows it instead.
    """

    name: str
    record: AttentionRecord
    layout: Callable[[int], Any]
    steps: int = field(default=1, init=False)

    def enter(self, block: _Block, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        """Take a block's input; a forward pre-hook."""
        hidden = given[0]
        layout = self.layout(hidden.shape[:-1].numel())
        self.steps, self.record.cells = layout.steps, (layout.rows, layout.columns)
        self.record.visual = layout.order[: layout.rows * layout.columns]
        self.record.enter(block.index, hidden.reshape(layout.steps, -1, hidden.shape[-1]))

    def show(self, block: _Block, _: nn.Module, __: Any, output: Any) -> None:
        """Show the record what the block attended to; a forward hook."""
        index, calls = block.index, block.calls
        if self.record.on_gradient is not None:
            return
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
            watched = [_Block(index, watch.record) for index in range(len(blocks))]
            for block, each in zip(blocks, watched, strict=True):
                _blocks.update(dict.fromkeys(block.modules(), each))
                handles.enter_context(_removed(block.register_forward_pre_hook(partial(watch.enter, each))))
                handles.enter_context(_removed(block.register_forward_hook(partial(watch.show, each))))
            with wrapped(blocks, lambda index, forward: partial(watched[index].through, forward)):
                yield
    finally:
        encoder.set_attn_implementation(implementation)
        for block in blocks:
            for module in block.modules():
                _blocks.pop(module, None)


@contextmanager
def watching_tower(tower: Any, record: AttentionRecord) -> Iterator[None]:
    """Forwards of a timm tower show the record each layer; hooks are gone afterwards.

    Raises UnsupportedModel for blocks whose attention is not timm's AttentionRope, that of all PE towers.
    """
    through = partial(partial, recomputed, record)
    with wrapped(tower.blocks, lambda _, forward: through(forward)), ExitStack() as handles:
        for index, block in enumerate(tower.blocks):
            if not isinstance(block.attn, AttentionRope):
                raise UnsupportedModel(f"vision tower: attention of the kind {type(block.attn).__name__} is not known")
            enter, call = partial(_enter, record, index), _FusedCall(record, index, block.attn)
            handles.enter_context(_removed(block.register_forward_pre_hook(enter)))
            handles.enter_context(_removed(block.attn.register_forward_pre_hook(call.begin, with_kwargs=True)))
            handles.enter_context(_removed(block.attn.norm.register_forward_pre_hook(call.show)))
        yield


@contextmanager
def _removed(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def _enter(record: AttentionRecord, index: int, _: Any, given: tuple[Tensor, ...]) -> None:
    record.enter(index, given[0])


@dataclass(eq=False)
class _FusedCall:
    """A call of timm's attention: its input, and its output before the norm and projection that end it."""

    record: AttentionRecord
    index: int
    layer: Any
    hidden: Tensor = field(init=False)
    named: dict[str, Any] = field(init=False)

    def begin(self, _: nn.Module, given: tuple[Tensor, ...], named: dict[str, Any]) -> None:
        """Take the input of the attention; a forward pre-hook."""
        self.hidden, self.named = given[0].detach(), named

    def show(self, _: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor]:
        """Show the record the call; a forward pre-hook of what takes the heads' output, which is returned."""
        hidden, named, layer = self.hidden, self.named, self.layer
        del self.hidden, self.named
        with torch.no_grad():
            query, key, value = _projected(layer, hidden, named.get("rope"))
        output = given[0].unflatten(2, (layer.num_heads, layer.head_dim))
        traits = {"mask": named.get("attn_mask"), "causal": bool(named.get("is_causal"))}
        seen = self.record.watch(output, query, key, value, index=self.index, scale=layer.scale, **traits)
        return (seen.flatten(2),)


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
