"""The hook that all transformers families share: SDPA unchanged, with its attention shown, cut, or computed again.

Queries, keys and values arrive after rotary embedding and caching, masks as SDPA gets them: the name is registered
with AttentionMaskInterface too, or padding and sliding windows would be left out without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_layers import GradientCheckpointingLayer

from attrib.attention_record import AttentionRecord, Knockout, LayerRecord
from attrib.errors import InputError, UnsupportedModel

WATCHED = "attrib_watched_sdpa"
ROWS = 256  # whose cut attention is computed at once


@dataclass(frozen=True)
class _Watch:
    record: AttentionRecord | None = None
    cuts: tuple[Knockout, ...] = ()
    seen: set[int] = field(default_factory=set)  # layers of the decoder's forward so far


# By module and not by context: on a GPU the backward computes layers again in a thread of its own.
_watches: WeakKeyDictionary[nn.Module, _Watch] = WeakKeyDictionary()


def _watched_sdpa(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """SDPA, then what the module's watch asks for."""
    output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    watch = _watches.get(module)
    if watch is None:
        return output, None
    watch.seen.add(module.layer_idx)
    traits = _traits(module, query, attention_mask, kwargs)
    if watch.cuts:
        traits["cuts"] = watch.cuts
        output = _cut_rows(LayerRecord(query, key, value, **traits), output)
    if watch.record is not None:
        output = watch.record.watch(output, query, key, value, **traits)
    return output, None


AttentionInterface.register(WATCHED, _watched_sdpa)
AttentionMaskInterface.register(WATCHED, sdpa_mask)


def _traits(module: Any, query: Tensor, mask: Tensor | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """A LayerRecord's other fields, read as SDPA reads them. Raises UnsupportedModel for what rows could not repeat."""
    unknown = [name for name in ("position_bias", "s_aux", "cache") if kwargs.get(name) is not None]
    if unknown:
        raise UnsupportedModel(f"attention with {', '.join(unknown)} cannot be recorded")
    causal = kwargs.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    scale = kwargs.get("scaling") or query.shape[-1] ** -0.5
    return {"index": module.layer_idx, "scale": scale, "mask": mask, "causal": bool(causal)}


def _cut_rows(layer: LayerRecord, output: Tensor) -> Tensor:
    """The cut rows of the cut heads once more through SDPA, with -inf at the tokens, in a copy of the output."""
    count, length = layer.query.shape[1:3]
    cuts = [cut for cut in layer.cuts if cut.heads_of(layer.index, count)]
    heads = sorted({head for cut in cuts for head in cut.heads_of(layer.index, count)})
    group = count // layer.key.shape[1]
    output = output.clone() if cuts else output
    for start, stop in _runs(sorted({query % length for cut in cuts for query in cut.queries})):
        bias = layer.query.new_zeros(len(output), count, stop - start, layer.reach(stop))
        key, value = (part[:, :, : bias.shape[3]].repeat_interleave(group, dim=1) for part in (layer.key, layer.value))
        new = scaled_dot_product_attention(
            layer.query[:, heads, start:stop], key[:, heads], value[:, heads],
            attn_mask=layer.hide(bias, start)[:, heads], scale=layer.scale,
        )  # fmt: skip
        output[:, start:stop, heads] = new.transpose(1, 2)
    return output


def _runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, one past the last) of each run of neighbours, at most ROWS long."""
    for _, run in groupby(enumerate(rows), lambda pair: pair[1] - pair[0]):
        found = [row for _, row in run]
        yield from ((part[0], part[-1] + 1) for part in (found[at : at + ROWS] for at in range(0, len(found), ROWS)))


@contextmanager
def watching(decoder: Any, record: AttentionRecord | None = None, cuts: Sequence[Knockout] = ()) -> Iterator[None]:
    """Forwards of a transformers decoder fill the record and lack what is cut; then all is as it was found.

    Contexts nest: a record inside a knockout shows the cut attention, and inner cuts join outer ones.
    """
    modules = list(decoder.modules())
    before = {module: _watches[module] for module in modules if module in _watches}
    outer = before.get(decoder, _Watch())
    watch = replace(outer, record=record or outer.record, cuts=(*outer.cuts, *cuts))
    implementation = decoder.config._attn_implementation
    layers = [module for module in modules if isinstance(module, GradientCheckpointingLayer)] if record else []
    try:
        _watches.update(dict.fromkeys(modules, watch))
        decoder.set_attn_implementation(WATCHED)
        if decoder.config._attn_implementation != WATCHED:
            raise UnsupportedModel(f"{type(decoder).__name__}: its attention can be neither recorded nor cut")
        with (
            nullcontext() if decoder in before else _every_layer_seen(decoder, watch.seen),
            wrapped(layers, partial(_layer_forward, record)),
        ):
            yield
    finally:
        decoder.set_attn_implementation(implementation)
        for module in modules:
            _watches.pop(module, None)
        _watches.update(before)


@contextmanager
def _every_layer_seen(decoder: Any, seen: set[int]) -> Iterator[None]:
    """Raise UnsupportedModel after a forward of which a layer showed no attention: there nothing would be cut."""

    def check(*_: Any) -> None:
        missed = sorted(set(range(decoder.config.num_hidden_layers)) - seen)
        if missed:
            layers = ", ".join(map(str, missed))
            raise UnsupportedModel(f"{type(decoder).__name__}: its layers {layers} show no attention to record or cut")

    hooks = (decoder.register_forward_pre_hook(lambda *_: seen.clear()), decoder.register_forward_hook(check))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def wrapped(layers: Sequence[Any], wrap: Callable[[int, Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Each layer's forward replaced on the instance by what `wrap` makes of its number and forward, and put back."""
    before = [vars(layer).get("forward") for layer in layers]
    try:
        for index, layer in enumerate(layers):
            layer.forward = wrap(index, layer.forward)
        yield
    finally:
        for layer, found in zip(layers, before, strict=True):
            vars(layer).pop("forward", None)
            if found is not None:
                layer.forward = found


def _layer_forward(record: AttentionRecord | None, index: int, forward: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a layer's forward with the calls that the record needs."""
    assert record is not None  # without one there are no layers

    def through(hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
        record.enter(index, hidden)
        if record.on_state is not None:
            output: Tensor = forward(hidden, *args, **kwargs)
            record.on_state(output[:, list(record.answer_rows)])
            return output.detach()  # the layer's graph ends here
        if record.around is not None:
            return record.around(lambda given: forward(given, *args, **kwargs), hidden)
        return recomputed(record, forward, hidden, *args, **kwargs)

    return through


def recomputed(record: AttentionRecord, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a layer's forward, with checkpoints if the record wants them."""
    if record.checkpoint and torch.is_grad_enabled():
        # transformers' own switch does nothing in eval mode.
        return checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)
    return forward(*args, **kwargs)


def check_cut(cut: Knockout, layers: int, heads: int) -> None:
    """Raises InputError for a layer or head that a decoder of this size does not have."""
    for layer, chosen in (cut.heads or {}).items():
        if not 0 <= layer < layers:
            raise InputError(f"knockout: expected a layer from 0 to {layers - 1}, got {layer}")
        for head in chosen:
            if not 0 <= head < heads:
                raise InputError(f"knockout: expected a head from 0 to {heads - 1}, got {head}")
