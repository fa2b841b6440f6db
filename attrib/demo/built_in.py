"""The built-in model, a tiny PerceptionLM that was trained on the built-in world."""

from __future__ import annotations

from typing import Any, Unpack, cast

from attrib.demo import CHECKPOINTS
from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.family_model import FamilyModel, load_family
from attrib.models.loading import LoadOptions


def demo(**options: Unpack[LoadOptions]) -> FamilyModel:
    """Load the built-in model."""
    own = cast("LoadOptions", {**options, "revision": None, "offline": True})
    model = load_family(PerceptionLM, CHECKPOINTS["demo"], **own)
    model.name = "demo"
    network: Any = model.module
    network.generation_config.max_new_tokens = 1  # one word; it never learnt to stop
    return model
