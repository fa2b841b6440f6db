"""Forecast of a method's memory: hand-worked sizes of layers, and within a factor of 2 of what torch allocates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from allocated import peak_allocated
from checkpoints import write_checkpoint
from tiny_families import qwen3_vl
from tiny_glm_gemma import gemma4, glm4v_moe

from attrib import models, registry
from attrib.models.checking.costs import run_method
from attrib.models.checking.memory import expected, frames_that_fit
from attrib.models.family_model import FamilyModel
from attrib.models.perception_lm_init import Shape
from attrib.subject import Subject
from attrib.testing import toy_subject
from attrib.types import Clip, Question

QUESTION = Question("Which is it?", ("red", "green", "blue"))
TINY = Shape()
MEDIUM = Shape(
    image_size=112, patch_size=14, tower_width=128, tower_depth=3, width=192, layers=8, heads=4, kv_heads=4,
    mlp_width=512,
)  # fmt: skip
DEEP = Shape(
    image_size=112, patch_size=14, tower_width=128, tower_depth=4, width=128, layers=12, heads=4, mlp_width=256
)
TOWERING = Shape(
    image_size=224, patch_size=14, tower_width=256, tower_depth=12, width=64, layers=2, heads=4, mlp_width=128
)  # whose peak is a step in the encoder
METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("raw_attention", {}), ("attention_rollout", {}), ("relevance", {}), ("relevance", {"checkpoint": False}),
    ("attention_gradient", {}), ("legrad", {}), ("saliency", {}), ("saliency", {"space": "tokens"}), ("grad_cam", {}),
    ("band_probe", {"cells": 2}), ("captum", {"name": "FeatureAblation", "cells": 1}),
    ("relevance", {"resolution": "patch"}), ("relevance", {"resolution": "patch", "checkpoint": False}),
)  # fmt: skip


def bound(checkpoint: Path, frames: int, side: int, dtype: str = "float32") -> Subject:
    pictures = np.random.default_rng(0).integers(0, 256, (frames, side, side, 3), dtype=np.uint8)
    model = models.load(str(checkpoint), device="cpu", dtype=dtype)
    return Subject.bind(model, Clip(pictures, np.arange(frames) / 2, frames / 2), QUESTION)


def ratio(subject: Subject, name: str, parameters: dict[str, Any]) -> float:
    """Forecast over measured peak."""
    method = registry.get("methods", name)(**parameters)
    found = expected(method, subject)
    assert found is not None
    return found / peak_allocated(lambda: method.attribute(subject))


def test_sizes_are_read_from_the_modules(tmp_path: Path) -> None:
    """Outputs of a layer's linear maps: 4 x 12 + 2 x 2 x 12 + 48 of attention, 96 + 96 + 48 of the MLP."""
    subject = bound(write_checkpoint(tmp_path), 3, 48)
    assert isinstance(subject.model, FamilyModel)
    vision, language = subject.model.stacks(subject.question)
    outputs = 4 * 12 + 2 * 2 * 12 + 48 + 96 + 96 + 48
    assert (language.layers, language.heads, language.between, language.attended) == (2, 4, 4 * 48, 4 * (4 + 2) * 12)
    assert language.saved == 4 * (outputs + 96) + 4 * 2 * 48 and language.running == 4 * (3 * 96 + 4 * 48)
    assert language.tokens == 3 * 9 + subject.model.text_tokens(subject.question)
    assert (vision.layers, vision.tokens) == (2, 3 * 36)
    assert vision.saved == 4 * (3 * 32 + 32 + 128 + 32 + 128) + 4 * 2 * 32
    assert vision.together is not None and vision.together // 36 == 448**2 // 48**2


@pytest.mark.parametrize(("shape", "frames"), [(TINY, 12), (MEDIUM, 2), (DEEP, 4)])
def test_the_forecast_is_within_a_factor_of_two_of_the_peak(tmp_path: Path, shape: Shape, frames: int) -> None:
    subject = bound(write_checkpoint(tmp_path, shape), frames, shape.image_size)
    ratios = {(name, str(given)): ratio(subject, name, given) for name, given in METHODS}
    assert {key: value for key, value in ratios.items() if not 0.5 <= value <= 2} == {}


def test_a_large_encoder_is_what_patches_need_memory_for(tmp_path: Path) -> None:
    subject = bound(write_checkpoint(tmp_path, TOWERING), 2, 224)
    for settings in ({}, {"checkpoint": False}):
        assert 0.5 <= ratio(subject, "relevance", {"resolution": "patch", **settings}) <= 2, settings
    tokens, patches = (expected(registry.get("methods", "relevance")(resolution=each), subject) or 0
                       for each in ("token", "patch"))  # fmt: skip
    assert patches > 1.5 * tokens


def test_half_precision_needs_about_half(tmp_path: Path) -> None:
    subject = bound(write_checkpoint(tmp_path, MEDIUM), 2, 112, "bfloat16")
    for name in ("raw_attention", "attention_gradient", "saliency"):
        assert 0.5 <= ratio(subject, name, {}) <= 2, name


@pytest.mark.parametrize("build", [qwen3_vl, glm4v_moe, gemma4])
def test_other_families(build: Any, tmp_path: Path) -> None:
    """Two frames a step and deepstack; experts; layers that differ, and padded patches."""
    subject = bound(build(tmp_path), 4, 96)
    for name in ("raw_attention", "relevance", "saliency"):
        assert 0.5 <= ratio(subject, name, {}) <= 2, name


def test_what_is_not_known_has_no_forecast() -> None:
    assert expected(registry.get("methods", "saliency")(), toy_subject()) is None


def test_a_family_of_other_parts_has_no_forecast_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot tell its patches."""
    subject = bound(write_checkpoint(tmp_path), 2, 48)
    monkeypatch.setattr(subject.model.family, "tower_tokens", lambda shot: shot.patches)  # type: ignore[attr-defined]
    assert expected(registry.get("methods", "saliency")(), subject) is None
    assert run_method("raw_attention", subject).outcome == "runs"


def test_captum_needs_what_its_arguments_ask_for(tmp_path: Path) -> None:
    subject, captum = bound(write_checkpoint(tmp_path), 2, 48), registry.get("methods", "captum")
    one, five, fifty = (
        expected(captum(name="IntegratedGradients", baseline="black", arguments=arguments), subject)
        for arguments in ({"internal_batch_size": 1}, {"n_steps": 5}, {})
    )
    assert one and (five, fifty) == (5 * one, 50 * one)


def test_the_check_shows_the_forecast_beside_the_measure(tmp_path: Path) -> None:
    subject = bound(write_checkpoint(tmp_path), 2, 48)
    run = run_method("saliency", subject)
    assert run.expected == expected(registry.get("methods", "saliency")(), subject)
    assert frames_that_fit(4, 100, 40) == 10 and torch.is_tensor(subject.pixels)
