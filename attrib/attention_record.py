"""Attention of one forward pass: each layer's queries, keys and values, passed to callbacks by reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

HIDDEN = float("-inf")
SIGMAS = 4.0  # a sink's norm is this many standard deviations above the visual tokens' mean
SPIKE = 20.0  # or its largest channel is this many times its root mean square


@dataclass(frozen=True)
class Knockout:
    """Attention to cut, from the rows `queries` to `tokens` (positions; negative ones count from the end).

    `heads` maps layers to their heads; an empty tuple means all heads of the layer, None all heads of all layers.
    """

    tokens: tuple[int, ...]
    queries: tuple[int, ...] = (-1,)
    heads: Mapping[int, tuple[int, ...]] | None = None

    def heads_of(self, layer: int, count: int) -> list[int]:
        """Return the cut heads of a layer with `count` heads."""
        if self.heads is None:
            return list(range(count))
        return list(self.heads[layer] or range(count)) if layer in self.heads else []


@dataclass(frozen=True, eq=False)
class LayerRecord:
    """One layer's attention in one forward pass: the inputs of the probabilities, not the probabilities.

    query (b, heads, n, d), key and value (b, kv_heads, n, d), after rotary embedding; `scale` multiplies q k^T.
    `mask` is the mask passed to SDPA, (b or 1, heads or 1, n, n): bool, True where a row may attend, or added to the
    logits; without one, attention is causal if `causal`, else full. `sinks`, bool (b, n), are set with `find_sinks`.
    `cuts` are those that the forward pass lacks. `start` is the first row's place among all of the layer, batch and
    rows flattened, where a vision encoder attends to parts one after another: frames, or windows.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    scale: float
    index: int = 0
    mask: Tensor | None = None
    causal: bool = True
    sinks: Tensor | None = None
    cuts: tuple[Knockout, ...] = ()
    start: int = 0

    def without_values(self, device: str | None = None) -> LayerRecord:
        """Return a copy on `device` without the values, which probabilities do not need."""
        record = replace(self, value=self.key.new_empty(0))
        return record.to(device) if device else record

    def to(self, device: torch.device | str) -> LayerRecord:
        """Return the record on a device; tensors that are there already are not copied."""
        tensors = {name: getattr(self, name) for name in ("query", "key", "value", "mask", "sinks")}
        return replace(self, **{name: tensor.to(device) for name, tensor in tensors.items() if tensor is not None})

    def reach(self, stop: int) -> int:
        """Return how many columns the rows before `stop` may attend to."""
        return stop if self.causal and self.mask is None else self.key.shape[2]

    def hide(self, logits: Float[Tensor, "b heads r width"], start: int) -> Float[Tensor, "b heads r width"]:
        """Return the logits of the rows from `start` with -inf where they may not attend; changes `logits`."""
        rows, width = logits.shape[2:]
        columns = torch.arange(width, device=logits.device)
        if self.mask is not None:
            mask = self.mask[:, :, start : start + rows, :width]
            logits = logits.masked_fill_(~mask, HIDDEN) if mask.dtype == torch.bool else logits.add_(mask)
        elif self.causal:
            future = columns[None] > torch.arange(start, start + rows, device=logits.device)[:, None]
            logits.masked_fill_(future, HIDDEN)
        return self._knock_out(logits, start)

    def _knock_out(self, logits: Tensor, start: int) -> Tensor:
        length, width = self.key.shape[2], logits.shape[3]
        stop = start + logits.shape[2]
        for cut in self.cuts:
            tokens = [token % length for token in cut.tokens if token % length < width]
            rows = sorted({query % length - start for query in cut.queries if start <= query % length < stop})
            heads = cut.heads_of(self.index, logits.shape[1])
            if heads and rows and tokens:
                index = (torch.tensor(heads)[:, None, None], torch.tensor(rows)[:, None], torch.tensor(tokens))
                logits[:, *index] = HIDDEN
        return logits


@dataclass
class AttentionRecord:
    """Callbacks for one forward pass, and the positions of its tokens; the model sets `visual` and `answer_rows`.

    `on_layer` is called with each layer in the forward pass, and again in the backward pass with checkpoints.
    `on_gradient` is called in the backward pass, top layer first, with the scalar's gradient at the layer's output
    (b, n, heads, d); its tensors are freed afterwards. `on_state` is called with each layer's output at the answer
    rows, (b, r, d), which is then detached from the next layer. `around` runs each layer, a function, on its input.
    """

    on_layer: Callable[[LayerRecord], None] | None = None
    on_gradient: Callable[[LayerRecord, Tensor], None] | None = None
    on_state: Callable[[Tensor], None] | None = None
    around: Callable[[Callable[[Tensor], Any], Tensor], Any] | None = None
    find_sinks: bool = False
    checkpoint: bool = False  # recompute layers in the backward pass instead of storing their activations
    visual: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))  # positions, in the grid's order
    cells: tuple[int, int] = (0, 0)  # rows and columns of the positions in a frame, of a vision encoder
    places: int = 0  # of the layer that was entered last, batch and rows flattened
    answer_rows: tuple[int, ...] = ()  # the queries that produce the answer's tokens: row t - 1 for token t
    tokens: tuple[int, ...] | None = None  # indices of the answer's explained tokens; None for all
    root: Tensor = field(default_factory=lambda: torch.zeros((), requires_grad=True))  # where gradients end
    _sinks: dict[int, Tensor] = field(default_factory=dict)

    @property
    def explained_rows(self) -> tuple[int, ...]:
        """Answer rows that produce the explained tokens."""
        return self.answer_rows if self.tokens is None else tuple(self.answer_rows[token] for token in self.tokens)

    def enter(self, index: int, hidden: Float[Tensor, "b n d"]) -> None:
        """Take a layer's input; the model calls this before the layer's attention."""
        self.places = hidden.shape[:-1].numel()
        if self.find_sinks:
            self._sinks[index] = sinks(hidden.detach(), self.visual)

    def watch(self, output: Tensor, query: Tensor, key: Tensor, value: Tensor, **traits: Any) -> Tensor:
        """Take a layer's attention output (b, n, heads, d) and a LayerRecord's fields; the model calls this in a layer.

        Returns the same output, which the model must continue with.
        """
        traits["sinks"] = self._sinks_of(traits.get("index", 0), traits.get("start", 0), query)
        if self.on_layer is not None:
            self.on_layer(LayerRecord(query.detach(), key.detach(), value.detach(), **traits))
        if self.on_gradient is None or not torch.is_grad_enabled():
            return output
        return _Tap.apply(output, query, key, value, self.root, traits, self.on_gradient)

    def _sinks_of(self, index: int, start: int, query: Tensor) -> Tensor | None:
        """Return the sinks among the places of these queries, (b, n)."""
        if index not in self._sinks:
            return None
        batch, _, rows, _ = query.shape
        return self._sinks[index].flatten()[start : start + batch * rows].view(batch, rows)


class _Tap(torch.autograd.Function):
    """Identity on the output; its backward passes the gradient with queries, keys and values to a callback.

    Autograd saves these tensors: shared with SDPA, recomputed under checkpointing, freed after use.
    """

    @staticmethod
    def forward(
        ctx: Any, output: Tensor, query: Tensor, key: Tensor, value: Tensor, root: Tensor,
        traits: dict[str, Any], show: Callable[[LayerRecord, Tensor], None],
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(query, key, value)
        ctx.traits, ctx.show, ctx.root_like = traits, show, root.detach()
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value = (tensor.detach() for tensor in ctx.saved_tensors)
        with torch.no_grad():
            ctx.show(LayerRecord(query, key, value, **ctx.traits), gradients[0])
        return gradients[0], None, None, None, torch.zeros_like(ctx.root_like), None, None


def sinks(hidden: Float[Tensor, "b n d"], visual: Int[Tensor, " m"]) -> Bool[Tensor, "b n"]:
    """Return the mask of sinks: the first token unless it is visual, and visual tokens that attract attention anyway.

    Visual sinks have a norm above mean + 4 sigma of the visual tokens' norms (sigma of the population), or a largest
    channel of at least 20 times their root mean square (Kang et al. 2025, arXiv 2503.03321, eq. 3).
    """
    seen = hidden[:, visual].float()
    norms = seen.norm(dim=2)
    limit = norms.mean(dim=1, keepdim=True) + SIGMAS * norms.std(dim=1, keepdim=True, correction=0)
    spikes = seen.abs().amax(dim=2) >= SPIKE * seen.square().mean(dim=2).sqrt().clamp(min=torch.finfo().tiny)
    is_sink = hidden.new_zeros(hidden.shape[:2], dtype=torch.bool)
    is_sink[:, 0] = 0 not in visual
    is_sink[:, visual] |= (norms > limit) | spikes
    return is_sink
