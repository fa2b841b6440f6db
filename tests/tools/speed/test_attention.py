from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch

from attrib import registry
from attrib.models.family_model import FamilyModel
from attrib.models.perception_lm_init import Shape
from tools.speed.attention import (
    METHODS,
    QUESTION,
    RIVALS,
    TOWER,
    Encoded,
    Measure,
    apart,
    encoded,
    exponent,
    length,
    measure_all,
    model_of,
    shot_of,
    stored_attention,
    subject_of,
    table,
)
from tools.speed.operations import operations

SHAPE = Shape(init_std=0.2)


@pytest.fixture(scope="module")
def model() -> FamilyModel:
    return model_of(SHAPE, torch.float32)


@pytest.mark.parametrize("method", RIVALS)
def test_the_rival_computes_the_same(model: FamilyModel, method: str) -> None:
    """Maps that are timed against each other must be the same."""
    subject = subject_of(model, 2)
    ours = registry.get("methods", method)().values(subject).flatten()
    stored = stored_attention(subject, method)
    assert len(stored) == length(subject)
    first = model._prompt(subject.question, None).visual[0]
    scale = float(ours.max())
    torch.testing.assert_close(stored[first : first + len(ours)] / scale, ours / scale, rtol=1e-4, atol=1e-5)
    assert model.module.model.language_model.config._attn_implementation == "sdpa"


def test_methods_go_on_from_the_encoded_video(model: FamilyModel) -> None:
    """Bit for bit, in bfloat16 too: the tokens come from another process."""
    for each in (model, model_of(SHAPE)):
        subject, shot = subject_of(each, 2), shot_of(each, 2)
        tokens = torch.from_numpy(encoded(subject, subject)[1]).view(each.dtype)
        same = Encoded(each, tokens)
        assert torch.equal(same.encode(subject.pixels[None]), each.encode(subject.pixels[None]))
        assert torch.equal(same.encode(subject.pixels[None]), tokens) and same.grid(shot) == each.grid(shot)


def test_the_model_is_bfloat16_by_default() -> None:
    assert model_of(Shape()).dtype == torch.bfloat16


def test_every_method_is_measured_in_a_process_of_its_own(model: FamilyModel) -> None:
    found = [*measure_all(model, (1,)), *measure_all(model, (2,), ("legrad",))]
    assert [(item.method, item.stored) for item in found if item.frames == 1] == [
        (TOWER, False),
        *(pair for method in METHODS for pair in ((method, False), (method, True)) if pair != ("legrad", True)),
    ]
    assert all(item.seconds is not None and item.seconds > 0 and item.memory >= 0 for item in found)
    assert found[-1].tokens - found[0].tokens == 9


def test_memory_is_counted_from_the_weights_up() -> None:
    """256 MiB held before the fork do not count, 256 MiB made after it do; the rest is the process itself."""
    held = torch.ones(2**26)

    def job() -> Measure:
        from attrib.runtime.memory import peak_memory

        before = peak_memory(held.device)
        made = torch.ones(2**26)
        return Measure("m", False, 1, 1, float(made[0]), peak_memory(held.device) - before)

    found = apart(job, 1)
    assert found is not None
    assert 0.8 * 2**28 <= found.memory < 1.2 * 2**28


def test_a_process_that_dies_gives_nothing() -> None:
    assert apart(lambda: os._exit(9), 1) is None


def test_a_rival_that_cannot_fit_is_not_run(
    model: FamilyModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.speed.attention.STORED", 2**60)
    _, own, rival = measure_all(model, (1,), ("raw_attention",))
    assert own.seconds is not None
    told = capsys.readouterr().err
    assert f"1 frames, raw_attention: {own.seconds:.1f} s" in told and "raw_attention, stored: not run" in told
    assert rival.seconds is None
    assert "not run" in list(table([own, rival]).columns[3].cells)


def test_ratios_are_to_the_rival_of_the_same_method_and_length() -> None:
    found = [
        Measure("a", False, 2, 18, 1.0, 2**20), Measure("a", True, 2, 18, 4.0, 2**21),
        Measure("a", False, 4, 36, 4.0, 2**20, 2.5), Measure("a", True, 4, 36, 8.0, 2**23, 2.5),
        Measure("b", False, 4, 36, 3.0, 2**22), Measure("b", True, 4, 36, 2.0, 2**22),
    ]  # fmt: skip
    shown = table(found)
    assert list(shown.columns[4].cells) == ["0.25", "1.00", "0.50", "1.00", "1.50", "1.00"]
    assert list(shown.columns[5].cells) == ["-", "-", "1.6", "3.2", "-", "-"]
    assert list(shown.columns[7].cells) == ["0.50", "1.00", "0.12", "1.00", "1.00", "1.00"]


def test_the_exponent_of_growth() -> None:
    found = [Measure("a", False, frames, 1, 1.0, 10 * frames**2) for frames in (4, 8, 16)]
    assert exponent(found) == pytest.approx(2)


def test_operations_are_those_of_every_product() -> None:
    """By hand: twice the weights of every linear map for each token, 4 n^2 width for an attention."""
    model = model_of(SHAPE, torch.float32)
    frames, patches, tower = 3, 6 * 6, SHAPE.tower_width
    tokens = frames * 9 + model.text_tokens(replace(QUESTION, shot=shot_of(model, frames)))
    network = model.module.model
    linear = sum(layer.weight.numel() for layer in network.language_model.layers.modules()
                 if isinstance(layer, torch.nn.Linear))  # fmt: skip
    decoder = 2 * linear * tokens
    attention = SHAPE.layers * 4 * tokens**2 * SHAPE.width
    vision = sum(part.weight.numel() for part in network.vision_tower.modules() if isinstance(part, torch.nn.Linear))
    vision = 2 * vision * frames * (patches + 1) + SHAPE.tower_depth * frames * 4 * (patches + 1) ** 2 * tower
    cut = 2 * frames * patches * tower * 3 * SHAPE.patch_size**2
    projector = 2 * frames * patches * (tower * SHAPE.width + SHAPE.width**2)
    assert operations(model, frames, tokens) == (vision + cut + projector, decoder + attention, decoder + 2 * attention)
