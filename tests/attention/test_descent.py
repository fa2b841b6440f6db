"""Layers shown top first from a few kept inputs: the same as with all kept, whatever happens between layers."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import Tensor

from attrib.attention import flows
from attrib.attention.descent import Descent
from attrib.attention_record import AttentionRecord, LayerRecord
from attrib.methods.attention_rollout import AttentionRollout
from attrib.models.perception_lm_init import Shape
from attrib.subject import Subject
from tools.speed.attention import model_of, subject_of

LAYERS = 7
CASES: tuple[dict[str, Any], ...] = ({}, {"offload": True}, {"null": "divided"})


@pytest.fixture(scope="module")
def subject() -> Subject:
    return subject_of(model_of(Shape(layers=LAYERS, init_std=0.3), torch.float32), 2)


def descended(subject: Subject, step: Callable[[LayerRecord], None], stride: int, offload: bool = False) -> None:
    record = AttentionRecord(find_sinks=True)
    flows.run(subject, "test", record, then=Descent(record, step, stride=stride, offload=offload).descend)


def shown(subject: Subject, stride: int, offload: bool = False) -> list[tuple[int, Tensor, Tensor, Tensor | None]]:
    found: list[tuple[int, Tensor, Tensor, Tensor | None]] = []
    descended(subject, lambda layer: found.append((layer.index, layer.query, layer.key, layer.sinks)), stride, offload)
    return found


def decoder_layers(subject: Subject) -> Any:
    module: Any = subject.model.module
    return module.model.language_model.layers


@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, LAYERS, 20])
def test_it_shows_what_a_plain_forward_makes(subject: Subject, stride: int, offload: bool) -> None:
    plain = shown(subject, 0)
    assert [index for index, *_ in plain] == list(range(LAYERS))[::-1]
    assert not torch.equal(plain[0][1], plain[1][1])
    for mine, other in zip(shown(subject, stride, offload), plain, strict=True):
        assert mine[0] == other[0]
        assert all(torch.equal(*pair) for pair in zip(mine[1:], other[1:], strict=True))


def test_rollout_is_the_same_with_and_without(subject: Subject) -> None:
    plain = AttentionRollout(checkpoint=False).values(subject)
    for settings in CASES:
        wanted = AttentionRollout(checkpoint=False, **settings).values(subject)
        assert torch.equal(AttentionRollout(**settings).values(subject), wanted)
        assert torch.equal(wanted, plain) == ("null" not in settings)


@pytest.mark.parametrize("in_place", [False, True])
def test_what_a_model_does_between_layers_is_not_lost(subject: Subject, in_place: bool) -> None:
    def changed(_: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        more = torch.linspace(-1, 1, inputs[0].shape[-1])
        if in_place:
            inputs[0].add_(more)
            return None
        return (inputs[0] + more, *inputs[1:])

    before = shown(subject, 0)
    with ExitStack() as hooks:
        for place in (2, 3):
            hooks.callback(decoder_layers(subject)[place].register_forward_pre_hook(changed).remove)
        plain, found = shown(subject, 0), shown(subject, 3)
    assert not torch.equal(before[0][1], plain[0][1]), "the hooks change nothing"
    assert all(torch.equal(mine[1], other[1]) for mine, other in zip(found, plain, strict=True))


@pytest.mark.parametrize("stride", [2, 3])
def test_no_more_than_it_says_is_kept(subject: Subject, stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries of `stride` layers, and inputs of ceil(7 / stride) beside the one that passes."""
    alive: dict[str, int] = {"query": 0, "input": 0}
    most = dict(alive)

    def count(name: str, tensor: Tensor) -> None:
        alive[name] += 1
        most[name] = max(most[name], alive[name])
        weakref.finalize(tensor, lambda: alive.__setitem__(name, alive[name] - 1))

    without_values = LayerRecord.without_values

    def kept(layer: LayerRecord, device: str | None = None) -> LayerRecord:
        found = without_values(layer, device)
        count("query", found.query)
        return found

    monkeypatch.setattr(LayerRecord, "without_values", kept)
    hooks = [layer.register_forward_pre_hook(lambda _, inputs: count("input", inputs[0]))
             for layer in decoder_layers(subject)]  # fmt: skip
    seen: list[tuple[int, int]] = []
    descended(subject, lambda layer: seen.append((layer.index, alive["input"])), stride)
    for hook in hooks:
        hook.remove()
    assert [index for index, _ in seen] == list(range(LAYERS))[::-1]
    assert seen[-1][1] <= 1, "inputs go as soon as their layers are shown"
    assert most["query"] == stride
    assert most["input"] <= -(-LAYERS // stride) + 1
    assert alive == {"query": 0, "input": 0}
