"""Edges between groups of positions, cut in a window of layers: which path does the answer need, and where?

The clean run loses the attention of one group's rows to another group (Geva et al. 2023; Kim et al. 2026, Map the
Flow). The share that is lost is (clean - cut) / (clean - corrupt), so that it compares with what patching restores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from attrib.attention_record import Knockout
from attrib.benchmarks.trace.groups import Groups, Positions
from attrib.benchmarks.trace.patching import WHO, PatchedRuns
from attrib.capabilities import Places, RecordsAttention, require

Edge = tuple[Positions, Positions]  # rows that may not read, and what they may not read
WINDOWS = 5  # a window is about a fifth of the layers
EVERY = -1  # stands for all layers


def edges(groups: Groups, places: Places) -> Mapping[str, tuple[Edge, ...]]:
    """Return the edges that are cut together, by `from_to`."""
    visual = places.visual
    between = tuple((step, tuple(place for place in visual if place not in set(step))) for step in groups.steps)
    named = {
        "frame_frame": between if len(between) > 1 else (), "video_text": ((places.text, visual),),
        "video_last": ((places.last, visual),), "text_last": ((places.last, places.text),),
    }  # fmt: skip
    evidence = groups.named.get("evidence")
    if evidence:
        named |= {"evidence_text": ((places.text, evidence),), "evidence_last": ((places.last, evidence),)}
    return {name: cut for name, cut in named.items() if cut}


def windows(layers: int) -> Mapping[int, range]:
    """Return the layers of the window around each layer, and all layers as EVERY."""
    half, odd = divmod(max(1, layers // WINDOWS), 2)
    around = {layer: range(max(0, layer - half), min(layers, layer + half + odd)) for layer in range(layers)}
    return {**around, EVERY: range(layers)}


@torch.no_grad()
def lost(runs: PatchedRuns, groups: Groups) -> Iterator[tuple[str, int, float]]:
    """Yield (edge, layer, share of the gap that is lost) of each edge and window.

    Raises UnsupportedModel for a model whose attention cannot be cut, UndefinedError as `PatchedRuns.gap`.
    """
    subject, gap = runs.subject, runs.gap
    model = require(subject.model, RecordsAttention, WHO)
    for name, cut in edges(groups, runs.places).items():
        for layer, window in windows(max(runs.layers) + 1).items():
            heads = dict.fromkeys(window, ())
            with model.knock_out(*(Knockout(tokens, rows, heads) for rows, tokens in cut)):
                yield name, layer, (runs.clean - float(subject.score_tokens(subject.visual)[0])) / gap
