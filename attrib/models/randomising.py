"""Parameters made random, block by block, and given back to the last bit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from attrib.capabilities import ModelPart
from attrib.models.family import Tower

Blocks = Mapping[str, Sequence[nn.Parameter]]


def parameter_blocks(network: Any, decoder: Any, tower: Tower) -> Mapping[ModelPart, Blocks]:
    """Return the blocks of a transformers network, each parameter in one; those outside tower and decoder come last.

    A weight that two blocks share, as word embeddings may with the head, belongs to the first.
    """
    inner = {id(each) for part in (*tower.blocks, *tower.after.values()) for each in part.parameters()}
    outside = [each for each in tower.encoder.parameters() if id(each) not in inner]
    after = {name: part.parameters() for name, part in tower.after.items()}
    language = {id(each) for part in (decoder, network.get_output_embeddings()) for each in part.parameters()}
    vision = _each_once({"embedding": outside, **_layers(tower.blocks), **after})
    seen = {id(each) for block in vision.values() for each in block} | language
    other = [each for each in network.parameters() if id(each) not in seen]
    inside = {id(each) for layer in (*decoder.layers, decoder.get_input_embeddings()) for each in layer.parameters()}
    head = (*decoder.parameters(), *network.get_output_embeddings().parameters())
    return {
        "vision": _each_once({**vision, "other": other}),
        "language": _each_once({
            "embedding": decoder.get_input_embeddings().parameters(), **_layers(decoder.layers),
            "head": [each for each in head if id(each) not in inside],
        }),
    }  # fmt: skip


def _layers(layers: Iterable[nn.Module]) -> dict[str, Iterable[nn.Parameter]]:
    return {f"blocks.{index}": layer.parameters() for index, layer in enumerate(layers)}


def _each_once(blocks: Mapping[str, Iterable[nn.Parameter]]) -> Blocks:
    """Return the blocks with each parameter in the first of those that share it; none is empty."""
    seen: set[nn.Parameter] = set()
    found = {}
    for name, parameters in blocks.items():
        own = [each for each in parameters if each not in seen]
        seen.update(own)
        found[name] = own
    return {name: own for name, own in found.items() if own}


@contextmanager
def randomised(blocks: Blocks, *seed: object) -> Iterator[None]:
    """Context in which every parameter is drawn anew; afterwards it is restored to the last bit, also after an error.

    Draws are normal with the parameter's own mean and standard deviation. Seed, block and place decide them, so that a
    block is the same whatever others are drawn with it.
    """
    kept: list[tuple[nn.Parameter, Tensor]] = []
    try:
        with torch.no_grad():
            for name, block in blocks.items():
                for place, parameter in enumerate(block):
                    kept.append((parameter, parameter.detach().to("cpu", copy=True)))
                    parameter.copy_(_drawn(kept[-1][1], _seeded(*seed, name, place)))
        yield
    finally:
        with torch.no_grad():
            for parameter, before in kept:
                parameter.copy_(before)


def _drawn(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw on the CPU, which gives the same values on every machine."""
    wide = like.to(torch.promote_types(like.dtype, torch.float32))
    std, mean = torch.std_mean(wide, correction=0)
    return (mean + std * torch.randn(wide.shape, generator=generator, dtype=wide.dtype)).to(like.dtype)


def _seeded(*parts: object) -> torch.Generator:
    found = hashlib.sha256(repr(parts).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(found[:8], "little") >> 1)
