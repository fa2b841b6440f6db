"""Distances of an adapter's numbers to those of the official classes: each a function of a case."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attrib import registry
from attrib.attention import flows
from attrib.attention_record import AttentionRecord, LayerRecord
from attrib.errors import InputError, UnsupportedModel
from attrib.models.checking.official import MOST_GENERATED, Case


def deviation(found: Tensor, expected: Tensor, floor: float, rough: bool = False) -> float:
    """Return the greatest difference, each relative to the expected value plus `floor`.

    `rough`: the sum of all differences, relative to the sum of the expected values.
    """
    found, expected = found.double().cpu(), expected.double().cpu()
    if rough:
        return float((found - expected).abs().sum() / expected.abs().sum())
    return float(((found - expected).abs() / (expected.abs() + floor)).max())


def prompt_ids(case: Case) -> float:
    """Count the prompt's ids that are not the official processor's, and visual tokens without a cell."""
    return float(_differing(case.ids, case.asked["input_ids"][0].tolist()) + case.strangers)


def _differing(found: Sequence[int], expected: Sequence[int]) -> int:
    pairs = zip(found, expected, strict=False)
    return sum(one != other for one, other in pairs) + abs(len(found) - len(expected))


def option_logprobs(case: Case) -> float:
    """Return the greatest difference of an option's log-probability, in nats."""
    return float((case.subject.logprobs - case.logprobs()).abs().max())


def attention_rows(case: Case) -> float:
    """Return the greatest difference of a weight of any layer, head and row, relative to the weight plus .1."""
    layers: list[LayerRecord] = []
    record, subject, tokens = AttentionRecord(on_layer=layers.append), case.subject, case.tokens
    with case.model.record_attention(record), torch.no_grad():
        subject.score_tokens(tokens)
    maps = case.eager.maps
    if len(layers) != len(maps) or record.answer_rows != (maps[0].shape[2] - 1,):
        return float("inf")
    rows = zip(layers, maps, strict=True)
    return max(deviation(flows.rows(layer, 0, each.shape[2]), each, 0.1, case.rough) for layer, each in rows)


def rollout(case: Case) -> float:
    """Return the greatest difference of attention_rollout's map, relative to the value plus 1 % of the maximum."""
    return _flow(case, "attention_rollout")


def relevance(case: Case) -> float:
    """Return the same of the method relevance, which needs the gradient at every layer's attention."""
    return _flow(case, "relevance")


def _flow(case: Case, method: str) -> float:
    found = torch.from_numpy(registry.get("methods", method)().attribute(case.subject).values)
    last = case.eager.maps[0].shape[2] - 1
    row = torch.zeros(last + 1, device=found.device).index_fill(0, torch.tensor(last), 1.0)
    for stored, slope in zip(reversed(case.eager.maps), reversed(case.eager.slopes), strict=True):
        if method == "relevance":
            weights = (stored.float() * slope.float())[0].clamp(min=0).mean(dim=0).to(row)
            row = row + row @ weights
        else:
            row = (row + row @ stored[0].float().mean(dim=0).to(row)) / 2
    places = (case.asked["input_ids"][0].cpu() == case.model.family.placeholder).nonzero().flatten()
    expected = case.subject.grid.to_volume(row[places[: case.subject.grid.tokens]])
    return deviation(found, expected, 0.01 * float(expected.max()), case.rough)


def generated_ids(case: Case) -> float:
    """Count the ids of the model's own answer that are not those of transformers' `generate`."""
    settings = case.network.generation_config
    before = settings.max_new_tokens
    settings.max_new_tokens = min(MOST_GENERATED, before or MOST_GENERATED)
    try:
        official = case.generated(settings.max_new_tokens)
        expected = _ended(official, settings.eos_token_id)
        if not expected or case.placeholder in expected:
            raise UnsupportedModel("it answers with nothing, or with its own placeholder for video")
        differing = _differing(case.model.generate(case.subject.pixels, case.open_question).ids, expected)
        if differing and case.rough:
            raise UnsupportedModel("rounding may have chosen other words; float32 decides")
        return float(differing)
    except InputError as error:
        raise UnsupportedModel(str(error)) from error
    finally:
        settings.max_new_tokens = before


def _ended(ids: list[int], ends: int | list[int] | None) -> list[int]:
    stops = {ends} if isinstance(ends, int) else set(ends or ())
    return ids[: next((index for index, token in enumerate(ids) if token in stops), len(ids))]
