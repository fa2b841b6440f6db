"""A decoder's layers as a residual stream, and where the parts of a question are in its sequence."""

from __future__ import annotations

from collections.abc import Sequence

from attrib.capabilities import DecoderLayer, Places
from attrib.errors import UnsupportedModel
from attrib.models.family import ModelFamily
from attrib.models.prompting import Prompt

BESIDE = {
    "hidden_size_per_layer_input": "layers read the clip's embeddings beside the residual stream",
    "num_kv_shared_layers": "late layers read keys and values of earlier ones",
}


def decoder_layers(family: ModelFamily) -> Sequence[DecoderLayer]:
    """Return a family's layers from the last on that the encoder's features are added to.

    Raises UnsupportedModel for a decoder whose layers read more than the residual stream.
    """
    decoder = family.decoder
    beside = next((reason for name, reason in BESIDE.items() if getattr(family.text, name, None)), None)
    if beside:
        raise UnsupportedModel(f"{type(decoder).__name__}: its states cannot be carried over: {beside}")
    after = [*decoder.layers[1:], decoder.norm]
    layers = [
        DecoderLayer(index, getattr(layer, "self_attn", None) or layer.linear_attn, layer.mlp, after[index])
        for index, layer in enumerate(decoder.layers)
    ]
    return layers[max(0, family.late_features - 1) :]


def places(asked: Prompt, answers: int) -> Places:
    """Return the positions in a prompt whose last `answers` rows produce the answer."""
    visual, first = tuple(asked.visual.tolist()), len(asked.ids) - answers
    text = sorted({*range(first)} - {*visual})
    return Places(visual, tuple(text), tuple(range(first, len(asked.ids))))
