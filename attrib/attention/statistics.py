"""Statistics of attention per layer and head: of the answer in the decoder, and of the vision encoder."""

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
    """Statistics of each head: attention probabilities (layers, heads, t, h, w); the others (layers, heads).

    `visual_mass`: sum over the visual tokens; `sink_share`: share of the row that goes to sinks, visual or not (see
    `attention_record.sinks`); `spatial_entropy`: in nats, infinite for a constant map.
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
    """Return statistics of the answer's attention in the decoder. Raises UnsupportedModel without RecordsAttention."""
    layers: list[tuple[Tensor, Tensor]] = []

    def see(layer: LayerRecord) -> None:
        answer_rows = flows.AnswerRows(record, flows.attention_flow)
        answer_rows.step(replace(layer, sinks=None))  # whole rows
        layers.append((answer_rows.chosen()[0][0, 0], _sinks(layer)[0]))

    record = AttentionRecord(on_layer=see, find_sinks=True)
    flows.run(subject, "answer_statistics", record)
    rows = torch.stack([row for row, _ in layers])
    shares = torch.stack([(row * sinks).sum(dim=-1) for row, sinks in layers])
    return _head_statistics(subject.grid.to_volume(rows[..., record.visual]), shares)


@torch.no_grad()
def tower_statistics(subject: Subject) -> HeadStatistics:
    """Return statistics of the attention that each position receives in the vision encoder, mean over its frame's rows.

    Raises UnsupportedModel when the model does not expose its vision encoder's attention.
    """
    model = require(subject.model, RecordsVisionAttention, "tower_statistics")
    maps: list[Tensor] = []
    shares: list[Tensor] = []

    def see(layer: LayerRecord) -> None:
        received = flows.received(layer)
        shares.append((received * _sinks(layer)[:, None]).sum(dim=2).mean(dim=0))
        maps.append(received[:, :, record.visual])

    record = AttentionRecord(on_layer=see, find_sinks=True)
    with model.record_vision_attention(record, subject.shot):
        subject.model.encode(subject.pixels[None])
    flat = torch.stack(maps).transpose(1, 2)  # (layers, heads, t, positions)
    return _head_statistics(flat.unflatten(3, record.cells), torch.stack(shares), frames=flat.shape[2])


def _sinks(layer: LayerRecord) -> Tensor:
    assert layer.sinks is not None  # by find_sinks=True
    return layer.sinks


def _head_statistics(maps: Float[Tensor, "l heads t h w"], shares: Tensor, frames: int = 1) -> HeadStatistics:
    entropies = [[spatial_entropy(head) for head in layer] for layer in maps]
    return HeadStatistics(maps, maps.sum(dim=(2, 3, 4)) / frames, shares, torch.tensor(entropies))


def high_activity(visual_mass: Float[Tensor, "rows heads"]) -> Bool[Tensor, " rows"]:
    """Return which rows (layers) attend to the video most.

    Their mean over heads is at least one standard deviation (of the population) above the mean over rows. The highest
    row always qualifies.
    """
    mass = visual_mass.mean(dim=1)
    return mass >= torch.minimum(mass.mean() + mass.std(correction=0), mass.max())


def spatial_entropy(values: Float[Tensor, "t h w"]) -> float:
    """Return -sum_i p_i log p_i in nats; p_i is the share of connected component i in the area above the map's mean.

    Follows Kang et al. 2025 (arXiv 2503.06287), extended from a picture to a video: diagonal neighbours are connected,
    in time as in space. Low values mean one compact spot.
    """
    array = values.detach().cpu().double().numpy()
    components, count = ndimage.label(array > array.mean(), structure=np.ones((3, 3, 3)))
    if count == 0:
        return float("inf")
    shares = np.bincount(components.ravel())[1:] / (components > 0).sum()
    return float(-(shares * np.log(shares)).sum())
