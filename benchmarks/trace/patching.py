"""Activation patching: states of a clean run carried into a corrupt run, and the share of the answer that returns.

Both runs see videos of one shape, so that every position means the same in both (Meng et al. 2022; Heimersheim and
Nanda 2024). The share is (patched - corrupt) / (clean - corrupt) of the explained log-odds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.capabilities import DecoderLayer, NamesLayers, Places, require
from attrib.errors import UnsupportedModel
from attrib.runtime.memory import BatchSize, fitting
from attrib.subject import Subject

if TYPE_CHECKING:
    from jaxtyping import Float

Stream = Literal["residual", "attention", "mlp"]
STREAMS: tuple[Stream, ...] = get_args(Stream)
WHO = "trace"
LEAST = 0.5  # nats by which the corrupt video has to change the log-odds
AT_ONCE = {"cpu": 8}  # patched runs; elsewhere ON_GPU to begin with
ON_GPU = 32

Edit = Callable[[Tensor], Tensor]
States = Mapping[tuple[int, Stream], Tensor]  # (n, d) by layer and stream


@dataclass(frozen=True)
class Patch:
    """Positions of one layer's stream to be carried over: after the layer, its attention's output or its MLP's."""

    layer: int
    stream: Stream
    positions: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class PatchedRuns:
    """A clean run's states, and the corrupt run that they are carried into; `clean` and `corrupt` are log-odds."""

    subject: Subject
    layers: Mapping[int, DecoderLayer]
    places: Places
    tokens: Float[Tensor, "1 n d"]
    states: States
    clean: float
    corrupt: float

    @staticmethod
    @torch.no_grad()
    def of(subject: Subject, pixels: Float[Tensor, "t 3 h w"]) -> PatchedRuns:
        """Run the subject's clip and the corrupt one.

        Raises UnsupportedModel for a model whose states cannot be carried over.
        """
        model = require(subject.model, NamesLayers, WHO)
        layers = {layer.index: layer for layer in model.decoder_layers()}
        with fitting(subject.model.dtype, "tracing", len(subject.clip)):
            tokens = subject.model.encode(pixels[None])
            with _recorded(layers) as states:
                clean = float(subject.score_tokens(subject.visual)[0])
            corrupt = float(subject.score_tokens(tokens)[0])
        _check(layers, states, subject.model.name)
        return PatchedRuns(subject, layers, model.places(subject.question), tokens, states, clean, corrupt)

    @property
    def gap(self) -> float:
        """Nats between the runs. Raises UndefinedError where the corrupt video hardly changes the answer."""
        gap = self.clean - self.corrupt
        if abs(gap) < LEAST:
            raise UndefinedError(f"the corrupt video changes the log-odds by {abs(gap):.2f} nats, less than {LEAST}")
        return gap

    @torch.no_grad()
    def log_odds(self, patches: Sequence[Patch]) -> Float[Tensor, " patches"]:
        """Return the corrupt run's log-odds with each of `patches` by itself; several runs at once."""
        device = self.subject.model.device.type

        def run(chunk: slice) -> Tensor:
            some = patches[chunk]
            with _patched(self.layers, self.states, some):
                return self.subject.score_tokens(self.tokens.expand(len(some), -1, -1)).double().cpu()

        with fitting(self.subject.model.dtype, "tracing", len(self.subject.clip)):
            runs = BatchSize(AT_ONCE.get(device, ON_GPU)).run(len(patches), run)
            return torch.cat([torch.empty(0, dtype=torch.float64), *runs])

    def restored(self, patches: Sequence[Patch]) -> Float[Tensor, " patches"]:
        """Return the share of the gap that each patch closes: 0 nothing, 1 all. Raises UndefinedError as `gap`."""
        gap = self.gap
        return (self.log_odds(patches) - self.corrupt) / gap


def _check(layers: Mapping[int, DecoderLayer], states: States, name: str) -> None:
    missed = sorted({layer for layer in layers for stream in STREAMS if (layer, stream) not in states})
    if missed:
        shown = ", ".join(map(str, missed))
        raise UnsupportedModel(f"{WHO}: model {name!r}: its layers {shown} show no states to carry over")


@contextmanager
def _recorded(layers: Mapping[int, DecoderLayer]) -> Iterator[dict[tuple[int, Stream], Tensor]]:
    """Fill the states of the one clip that a forward in the context sees; they are kept on the CPU."""
    states: dict[tuple[int, Stream], Tensor] = {}

    def keep(layer: int, stream: Stream) -> Edit:
        def edit(hidden: Tensor) -> Tensor:
            states[layer, stream] = hidden[0].to("cpu", copy=True)
            return hidden

        return edit

    with _hooked({(layer, stream): keep(layer, stream) for layer in layers for stream in STREAMS}, layers):
        yield states


@contextmanager
def _patched(layers: Mapping[int, DecoderLayer], states: States, patches: Sequence[Patch]) -> Iterator[None]:
    """Carry patch i into item i of a batch in the context."""

    def carry(layer: int, stream: Stream) -> Edit:
        own = [(item, torch.tensor(patch.positions, dtype=torch.long)) for item, patch in enumerate(patches)
               if (patch.layer, patch.stream) == (layer, stream)]  # fmt: skip

        def edit(hidden: Tensor) -> Tensor:
            changed = hidden.clone()
            for item, positions in own:
                changed[item, positions] = states[layer, stream][positions].to(hidden)
            return changed

        return edit

    with _hooked({(patch.layer, patch.stream): carry(patch.layer, patch.stream) for patch in patches}, layers):
        yield


@contextmanager
def _hooked(edits: Mapping[tuple[int, Stream], Edit], layers: Mapping[int, DecoderLayer]) -> Iterator[None]:
    """Pass each stream through its edit in the context; the hooks are removed after it, also after an error."""
    with ExitStack() as stack:
        for (layer, stream), edit in edits.items():
            stack.callback(_hook(layers[layer], stream, edit).remove)
        yield


def _hook(layer: DecoderLayer, stream: Stream, edit: Edit) -> RemovableHandle:
    if stream == "residual":

        def before(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            if given:
                return (edit(given[0]), *given[1:]), named
            return given, {**named, "hidden_states": edit(named["hidden_states"])}

        return layer.after.register_forward_pre_hook(before, with_kwargs=True)

    def behind(_: Any, __: Any, output: Any) -> Any:
        return (edit(output[0]), *output[1:]) if isinstance(output, tuple) else edit(output)

    module = layer.attention if stream == "attention" else layer.mlp
    return module.register_forward_hook(behind)
