"""Heads' values and knockouts against full attention matrices, masks made by hand, and the toy's closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import write_checkpoint
from sklearn.metrics import roc_auc_score
from torch import Tensor

from attrib.benchmarks.atlas.head_scores import CHANCE, STATISTICS, head_values
from attrib.benchmarks.atlas.knockout import KnockoutScene, random_heads, token_sets
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.family_model import FamilyModel, load_family
from attrib.models.perception_lm_init import Shape
from attrib.subject import Subject
from attrib.testing import toy_sample, toy_subject
from attrib.types import Clip, Evidence, Question, Sample, Track

FRAMES, SIDE, HEADS = 3, 3, 4
QUESTION = Question("Which cup hides the ball?", ("left", "middle", "right"), 1)
BOXES = {1: (0.0, 0.0, 1 / 3, 1 / 3), 2: (1 / 3, 1 / 3, 1.0, 2 / 3), 3: (0.4, 0.7, 1.0, 1.0)}


def track(number: int, box: tuple[float, ...], count: int = FRAMES) -> Track:
    return Track(number, f"cup {number}", np.arange(count) / 2, np.tile(box, (count, 1)), np.zeros(count, bool))


def cups(evidence: tuple[Evidence, ...] = (Evidence(2, 0.4, 2.0),)) -> Sample:
    tracks = tuple(track(number, box) for number, box in BOXES.items())
    return Sample("cups_0", Path("cups.mp4"), QUESTION, tracks=tracks, evidence=evidence)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    checkpoint = write_checkpoint(tmp_path_factory.mktemp("model"), Shape(init_std=0.2), seed=3)
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, 60, 80, 3), dtype=np.uint8)
    model = load_family(PerceptionLM, checkpoint)
    found = Subject.bind(model, Clip(frames, np.arange(FRAMES) / 2, FRAMES / 2), QUESTION)
    peer = replace(cups((Evidence(1),)), id="peer", video=Path("peer.mp4"))
    return replace(found, sample=cups(), peers=(peer,))


@pytest.fixture(scope="module")
def eager(subject: Subject) -> tuple[np.ndarray, int]:
    """The answer's row of full attention matrices, (layers, heads, n), and where the video starts in it."""
    decoder = subject.model.module.model.language_model
    kept: list[Tensor] = []
    decoder.set_attn_implementation("eager")
    handles = [layer.self_attn.register_forward_hook(lambda *given: kept.append(given[-1][1]))
               for layer in decoder.layers]  # fmt: skip
    with torch.no_grad():
        subject.score(subject.pixels[None])
    for handle in handles:
        handle.remove()
    decoder.set_attn_implementation("sdpa")
    model = subject.model
    assert isinstance(model, FamilyModel)
    return torch.cat(kept)[:, :, -1].double().numpy(), model._prompt(subject.question, None).visual[0]


def test_values_of_every_head_equal_those_of_full_matrices(subject: Subject, eager: tuple[np.ndarray, int]) -> None:
    rows, start = eager
    maps = rows[..., start : start + FRAMES * SIDE**2].reshape(2, HEADS, FRAMES, SIDE, SIDE)
    found = dict(zip(STATISTICS, head_values(subject, cups()), strict=True))
    assert set(CHANCE) - {"object_auc_corrected"} < set(STATISTICS) and found["object_auc"].shape == (2, HEADS)
    # Track 1 is one cell, track 2 the middle and right cell of the middle row, of which frames 1 and 2 are evidence.
    # Track 3 covers 0.8 and 1 of two cells' width and 0.9 of their height.
    shares = {1: [((0, 0), 1.0)], 2: [((1, 1), 1.0), ((1, 2), 1.0)], 3: [((2, 1), 0.72), ((2, 2), 0.9)]}
    truth = np.zeros((FRAMES, SIDE, SIDE), bool)
    truth[1:, 1, 1:] = True
    peer = np.zeros_like(truth)
    peer[:, 0, 0] = True
    for layer in range(2):
        for head in range(HEADS):
            one = maps[layer, head]
            means = {number: sum(share * one[:, y, x].sum() for (y, x), share in cells) / FRAMES
                     / sum(share for _, share in cells) for number, cells in shares.items()}  # fmt: skip
            expected = np.mean([means[2] > means[1], means[2] > means[3]])
            assert found["object_auc"][layer, head] == pytest.approx(expected)
            both = np.r_[one[truth], one[peer]]
            auc = roc_auc_score(np.arange(len(both)) < truth.sum(), both)
            assert found["shuffled_auc"][layer, head] == pytest.approx(auc)
            density = 0.999 * one / one.sum() + 0.001 / one.size
            lift = math.log2(density[1:].sum() / (2 / 3))
            assert found["time_lift"][layer, head] == pytest.approx(lift, abs=1e-5)
            assert found["visual_mass"][layer, head] == pytest.approx(one.sum(), rel=1e-4)
            assert found["sink_share"][layer, head] >= rows[layer, head, 0] - 1e-6
    assert len(set(found["object_auc"].ravel().tolist())) > 1


def test_without_annotation_only_what_needs_it_is_undefined(subject: Subject) -> None:
    found = head_values(subject, replace(cups(), tracks=(), evidence=()))
    assert np.isnan(found[:3]).all() and np.isfinite(found[3:5]).all()


def masked_score(subject: Subject, cut: dict[tuple[int, int], list[int]], start: int) -> float:
    """The score with eager attention whose logits at the last row are -inf at these visual tokens, by (layer, head)."""
    decoder = subject.model.module.model.language_model
    before = [layer.self_attn.forward for layer in decoder.layers]

    def forward(index: int, self: Any) -> Any:
        def run(hidden_states: Tensor, position_embeddings: Any, attention_mask: Tensor, **kwargs: Any) -> Any:
            mask = attention_mask.expand(-1, HEADS, -1, -1).clone()
            for (layer, head), tokens in cut.items():
                if layer == index:
                    mask[:, head, -1, [start + token for token in tokens]] = float("-inf")
            return before[index](hidden_states=hidden_states, position_embeddings=position_embeddings,
                                 attention_mask=mask, **kwargs)  # fmt: skip

        return run

    decoder.set_attn_implementation("eager")
    for index, layer in enumerate(decoder.layers):
        layer.self_attn.forward = forward(index, layer)
    with torch.no_grad():
        found = float(subject.score(subject.pixels[None]))
    for layer in decoder.layers:
        del layer.self_attn.forward
    decoder.set_attn_implementation("sdpa")
    return found


def test_a_knockout_equals_a_mask_made_by_hand(subject: Subject, eager: tuple[np.ndarray, int]) -> None:
    heads, random = [(0, 1), (1, 3), (1, 0)], [[(0, 0)], [(1, 1)]]
    scene = KnockoutScene.of(subject, cups(), draws=2, seed=0)
    whole, start = masked_score(subject, {}, eager[1]), eager[1]
    assert scene.score == pytest.approx(whole, abs=1e-5)
    sets = scene.sets
    assert sets.evidence == (13, 14, 22, 23)  # 9 cells a frame, row-major: cells 4 and 5 of frames 1 and 2

    def fall(tokens: tuple[int, ...], chosen: list[tuple[int, int]]) -> float:
        return whole - masked_score(subject, {head: list(tokens) for head in chosen}, start)

    found = scene.falls(heads, random)
    assert found[0] == pytest.approx(fall(sets.evidence, heads), abs=1e-5)
    assert found[1] == pytest.approx(np.mean([fall(tokens, heads) for tokens in sets.random]), abs=1e-5)
    assert found[2] == pytest.approx(np.mean([fall(tokens, heads) for tokens in sets.objects]), abs=1e-5)
    assert found[3] == pytest.approx(np.mean([fall(sets.evidence, choice) for choice in random]), abs=1e-5)
    assert len({round(value, 5) for value in found}) == 4 and abs(found[0]) > 1e-4
    assert math.isnan(scene.falls(heads, ())[3])


def test_random_tokens_show_no_evidence_and_objects_show_others(subject: Subject) -> None:
    sets = token_sets(subject, cups(), 20, 0)
    assert len(set(sets.random)) > 10 and len(sets.objects) == 20
    for tokens in (*sets.random, *sets.objects):
        assert len(set(tokens)) == 4 and not {*tokens} & {13, 14, 22, 23}
    # Other objects: cell 0 (track 1), cells 7 and 8 (track 3) of each frame. Track 2 out of its interval is no object.
    assert {token % 9 for tokens in sets.objects for token in tokens} == {0, 7, 8}
    assert {4, 5} & {token for tokens in sets.random for token in tokens}  # cells of track 2 before its interval
    assert token_sets(subject, cups(), 20, 0) == sets != token_sets(subject, cups(), 20, 1)


def test_what_lies_after_the_cut_or_is_hidden_is_neither(subject: Subject) -> None:
    sets = token_sets(subject, replace(cups(), cut=0.9), 20, 0)
    assert sets.evidence == (13, 14) and max(token for tokens in sets.random for token in tokens) < 18
    hidden = replace(track(2, BOXES[2]), hidden=np.array([False, True, False]))
    sample = cups()
    sets = token_sets(subject, replace(sample, tracks=(sample.tracks[0], hidden, sample.tracks[2])), 20, 0)
    assert sets.evidence == (22, 23) and not {13, 14} & {token for tokens in sets.random for token in tokens}


def test_where_nothing_can_be_knocked_out_the_reason_is_told(subject: Subject) -> None:
    small = replace(cups(), tracks=(track(2, (0.4, 0.4, 0.5, 0.5)),))
    with pytest.raises(UndefinedError, match="covers no visual token by half"):
        token_sets(subject, small, 2, 0)
    with pytest.raises(UndefinedError, match="covers 27 visual tokens and only 0 show none"):
        token_sets(subject, replace(cups((Evidence(2),)), tracks=(track(2, (0, 0, 1, 1)),)), 2, 0)
    alone = replace(cups(), tracks=(track(2, BOXES[2]),))
    assert token_sets(subject, alone, 2, 0).objects == ()


def test_the_toys_answer_comes_from_its_red_cell() -> None:
    """Its one evidence token is 2 * 12 + 1 * 4 + 2 = 30; without it nothing tells red from blue."""
    subject = toy_subject()
    scene = KnockoutScene.of(subject, toy_sample(), draws=3, seed=0)
    heads = [(0, head) for head in range(subject.model.module.heads)]
    evidence, random, objects, _ = scene.falls(heads, ())
    assert scene.sets.evidence == (30,) and scene.sets.objects[0] != scene.sets.evidence
    assert evidence == pytest.approx(scene.score, abs=1e-5)
    assert random == pytest.approx(0, abs=0.05 * scene.score) and objects < 0.5 * evidence


def test_random_heads_are_drawn_for_each_sample() -> None:
    one, other = (random_heads(replace(cups(), id=name), (5, 4), 3, 50, 0) for name in ("a", "b"))
    assert one != other and one == random_heads(replace(cups(), id="a"), (5, 4), 3, 50, 0)
    assert all(len(set(choice)) == 3 for choice in one)
    assert {head for choice in one for head in choice} == {(layer, head) for layer in range(5) for head in range(4)}
