"""Attention described layer by layer and head by head: of the answer in the decoder, of the vision tower's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from attrib.attention import flows
from attrib.attention_record import AttentionRecord, LayerRecord
from attrib.capabilities import RecordsVisionAttention, require
from attrib.subject import Subject

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False)
class HeadStatistics:
    """attention (layers, heads, t, h, w): probabilities on each place. The others (layers, heads).

    `visual_mass`: the places' sum; `sink_share`: what goes to sinks (`attention_record.sinks` has the rule), visual or
    not, of the row's 1; `spatial_entropy`: in nats, infinite for a map without a maximum.
    """

    attention: Tensor
    visual_mass: Tensor
    sink_share: Tensor
    spatial_entropy: Tensor

    @property
    def mean(self) -> Float[Tensor, "t h w"]:
        """Mean over layers and heads."""
        return self.attention.mean(dim=(0, 1))

    @property
    def max(self) -> Float[Tensor, "t h w"]:
        """Maximum over layers and heads."""
        return self.attention.amax(dim=(0, 1))


def answer_statistics(subject: Subject) -> HeadStatistics:
    """Describe the answer's attention in the decoder. Raises UnsupportedModel without RecordsAttention."""
    shown: list[tuple[Tensor, Tensor]] = []

    def see(layer: LayerRecord) -> None:
        found = flows.AnswerRows(record, flows.attention_flow)
        found.step(replace(layer, sinks=None))  # whole rows
        shown.append((found.chosen()[0][0, 0], _sinks(layer)[0]))

    record = AttentionRecord(on_layer=see, find_sinks=True)
    flows.run(subject, "answer_statistics", record)
    rows = torch.stack([row for row, _ in shown])
    shares = torch.stack([(row * sinks).sum(dim=-1) for row, sinks in shown])
    return _described(subject.grid.to_volume(rows[..., record.visual]), shares)


@torch.no_grad()
def tower_statistics(subject: Subject) -> HeadStatistics:
    """Describe the attention that each position receives in the vision encoder, mean over all rows of its frame.

    Raises UnsupportedModel when the model does not give its vision encoder's attention.
    """
    model = require(subject.model, RecordsVisionAttention, "tower_statistics")
    shown: list[Tensor] = []
    shares: list[Tensor] = []

    def see(layer: LayerRecord) -> None:
        found = flows.received(layer)
        shares.append((found * _sinks(layer)[:, None]).sum(dim=2).mean(dim=0))
        shown.append(found[:, :, record.visual])

    record = AttentionRecord(on_layer=see, find_sinks=True)
    with model.record_vision_attention(record):
        subject.model.encode(subject.pixels[None])
    places = torch.stack(shown).transpose(1, 2)  # (layers, heads, t, places)
    side = round(places.shape[3] ** 0.5)
    return _described(places.unflatten(3, (side, side)), torch.stack(shares), frames=places.shape[2])


def _sinks(layer: LayerRecord) -> Tensor:
    assert layer.sinks is not None  # asked for
    return layer.sinks


def _described(maps: Float[Tensor, "l heads t h w"], shares: Tensor, frames: int = 1) -> HeadStatistics:
    entropies = [[spatial_entropy(part) for part in layer] for layer in maps]
    return HeadStatistics(maps, maps.sum(dim=(2, 3, 4)) / frames, shares, torch.tensor(entropies))


def high_activity(visual_mass: Float[Tensor, "rows heads"]) -> Bool[Tensor, " rows"]:
    """Return which rows (layers) attend to the video most: their mean over heads is one deviation above that over rows.

    The highest always; the deviation is that of the population.
    """
    mass = visual_mass.mean(dim=1)
    return mass >= torch.minimum(mass.mean() + mass.std(correction=0), mass.max())


def spatial_entropy(values: Float[Tensor, "t h w"]) -> float:
    """-sum_i p_i log p_i, p_i the sizes' shares of the connected parts above the map's mean, in nats.

    As Kang et al. 2025 (arXiv 2503.06287) take it of one picture; here neighbours, diagonal ones too, count in time as
    in space. Low: one compact spot.
    """
    array = values.detach().cpu().double().numpy()
    parts, count = ndimage.label(array > array.mean(), structure=np.ones((3, 3, 3)))
    if count == 0:
        return float("inf")
    shares = np.bincount(parts.ravel())[1:] / (parts > 0).sum()
    return float(-(shares * np.log(shares)).sum())
