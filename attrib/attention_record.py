"""One forward's attention as it passes: what each layer made its probabilities of, handed over by reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

HIDDEN = float("-inf")
SIGMAS = 4.0  # a sink's norm lies this many standard deviations above the visual tokens' mean
SPIKE = 20.0  # or its greatest channel this many times above its root mean square


@dataclass(frozen=True)
class Knockout:
    """Attention that is cut: from the rows `queries` to `tokens` (positions; negative ones count from the end).

    `heads` names layers and in each its heads, none meaning all of the layer's; None means all of all layers.
    """

    tokens: tuple[int, ...]
    queries: tuple[int, ...] = (-1,)
    heads: Mapping[int, tuple[int, ...]] | None = None

    def heads_of(self, layer: int, count: int) -> list[int]:
        """The heads of one layer of `count` heads that are cut."""
        if self.heads is None:
            return list(range(count))
        return list(self.heads[layer] or range(count)) if layer in self.heads else []


@dataclass(frozen=True, eq=False)
class LayerRecord:
    """One layer's attention in one forward: what the probabilities are made of, not the probabilities.

    query (b, heads, n, d), key and value (b, kv_heads, n, d), after rotary embedding; `scale` multiplies q k^T.
    `mask` is what SDPA got, (b or 1, heads or 1, n, n): bool, True where a row may look, or added to the logits;
    without one the mask is causal, or nothing is hidden. `sinks` bool (b, n) are known where they were asked for.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    scale: float
    index: int = 0
    mask: Tensor | None = None
    causal: bool = True
    sinks: Tensor | None = None
    cut: Knockout | None = None

    def without_values(self, device: str | None = None) -> LayerRecord:
        """The same on `device`, without the values: enough for probabilities."""
        kept = replace(self, value=self.key.new_empty(0))
        return kept.to(device) if device else kept

    def to(self, device: torch.device | str) -> LayerRecord:
        """The same on a device; nothing is copied where it lies there already."""
        parts = {name: getattr(self, name) for name in ("query", "key", "value", "mask", "sinks")}
        return replace(self, **{name: part.to(device) for name, part in parts.items() if part is not None})

    def reach(self, stop: int) -> int:
        """How many columns the rows before `stop` may look at."""
        return stop if self.causal and self.mask is None else self.key.shape[2]

    def hide(self, logits: Float[Tensor, "b heads r width"], start: int) -> Float[Tensor, "b heads r width"]:
        """The logits of the rows from `start` with -inf where they may not look; changes `logits`."""
        rows, width = logits.shape[2:]
        columns = torch.arange(width, device=logits.device)
        if self.mask is not None:
            part = self.mask[:, :, start : start + rows, :width]
            logits = logits.masked_fill_(~part, HIDDEN) if part.dtype == torch.bool else logits.add_(part)
        elif self.causal:
            future = columns[None] > torch.arange(start, start + rows, device=logits.device)[:, None]
            logits.masked_fill_(future, HIDDEN)
        return self._knock_out(logits, start)

    def _knock_out(self, logits: Tensor, start: int) -> Tensor:
        if self.cut is None:
            return logits
        length, width = self.key.shape[2], logits.shape[3]
        tokens = [token % length for token in self.cut.tokens if token % length < width]
        heads = self.cut.heads_of(self.index, logits.shape[1])
        for row in {query % length for query in self.cut.queries}:
            if start <= row < start + logits.shape[2] and heads and tokens:
                logits[:, torch.tensor(heads)[:, None], row - start, torch.tensor(tokens)] = HIDDEN
        return logits


@dataclass
class AttentionRecord:
    """What is asked of one forward, and where its tokens stand; the model fills `visual` and `answer_rows`.

    `on_layer` sees each layer as the forward reaches it, with checkpoints once more in the backward. `on_gradient` sees
    it as the backward does, top layer first, with the scalar's gradient at its output (b, n, heads, d); nothing that it
    needs outlives it. `on_state` sees each layer's output at the answer rows, (b, r, d), and cuts it off from the next.
    `around` runs each layer, given as a function of its input, on that input.
    """

    on_layer: Callable[[LayerRecord], None] | None = None
    on_gradient: Callable[[LayerRecord, Tensor], None] | None = None
    on_state: Callable[[Tensor], None] | None = None
    around: Callable[[Callable[[Tensor], Any], Tensor], Any] | None = None
    find_sinks: bool = False
    checkpoint: bool = False  # layers are computed again in the backward; their activations are not kept
    visual: slice = field(default_factory=lambda: slice(0, 0))
    answer_rows: tuple[int, ...] = ()  # the queries that produce the answer's tokens: row t - 1 for token t
    tokens: tuple[int, ...] | None = None  # numbers of those that are explained; None for all
    root: Tensor = field(default_factory=lambda: torch.zeros((), requires_grad=True))  # where gradients end
    _sinks: dict[int, Tensor] = field(default_factory=dict)

    @property
    def explained_rows(self) -> tuple[int, ...]:
        """Those of the answer rows that produce what is explained."""
        return self.answer_rows if self.tokens is None else tuple(self.answer_rows[token] for token in self.tokens)

    def enter(self, index: int, hidden: Float[Tensor, "b n d"]) -> None:
        """To be called with a layer's input, before its attention."""
        if self.find_sinks:
            self._sinks[index] = sinks(hidden.detach(), self.visual)

    def watch(self, output: Tensor, query: Tensor, key: Tensor, value: Tensor, **traits: Any) -> Tensor:
        """To be called in a layer with its attention's output (b, n, heads, d) and a LayerRecord's fields.

        Returns the same output, which the model must go on with.
        """
        traits["sinks"] = self._sinks.get(traits.get("index", 0))
        if self.on_layer is not None:
            self.on_layer(LayerRecord(query.detach(), key.detach(), value.detach(), **traits))
        if self.on_gradient is None or not torch.is_grad_enabled():
            return output
        return _Tap.apply(output, query, key, value, self.root, traits, self.on_gradient)


class _Tap(torch.autograd.Function):
    """Identity on the output; in the backward its gradient is shown together with queries, keys and values.

    These are saved as autograd saves them: shared with SDPA, made again under checkpointing, freed when used.
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
        query, key, value = (part.detach() for part in ctx.saved_tensors)
        with torch.no_grad():
            ctx.show(LayerRecord(query, key, value, **ctx.traits), gradients[0])
        return gradients[0], None, None, None, torch.zeros_like(ctx.root_like), None, None


def sinks(hidden: Float[Tensor, "b n d"], visual: slice) -> Bool[Tensor, "b n"]:
    """The first token unless it is visual, and visual tokens that draw attention whatever they show.

    Those whose norm lies above mean + 4 sigma of the visual tokens' norms (sigma of the population), or whose greatest
    channel is at least 20 times their root mean square (Kang et al. 2025, arXiv 2503.03321, eq. 3).
    """
    seen = hidden[:, visual].float()
    norms = seen.norm(dim=2)
    limit = norms.mean(dim=1, keepdim=True) + SIGMAS * norms.std(dim=1, keepdim=True, correction=0)
    spikes = seen.abs().amax(dim=2) >= SPIKE * seen.square().mean(dim=2).sqrt().clamp(min=torch.finfo().tiny)
    found = hidden.new_zeros(hidden.shape[:2], dtype=torch.bool)
    found[:, 0] = visual.start > 0
    found[:, visual] |= (norms > limit) | spikes
    return found
