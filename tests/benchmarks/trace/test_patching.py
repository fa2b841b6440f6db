"""Patching on every family: all of a layer is the other run, nothing is this run; single streams against sums by hand.

The edges of a knock-out against dropped tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tiny_families
import tiny_glm_gemma
import tiny_square_frames
import torch
from torch import Tensor, nn

from attrib import models
from attrib.attention_record import Knockout
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.benchmarks.trace import patching
from attrib.benchmarks.trace.patching import STREAMS, Patch, PatchedRuns
from attrib.demo.built_in import demo
from attrib.demo.evidence import edits
from attrib.demo.generate import items
from attrib.demo.world import annotate, render
from attrib.demo.world.scene import FRAMES, RATE
from attrib.errors import UnsupportedModel
from attrib.models.family_model import FamilyModel
from attrib.subject import Subject, Target
from attrib.types import Clip, Question

QUESTION = Question("Which cup hides the ball?", ("the left one", "B", "the right one"))
TIMES = (0.033, 0.4, 1.0, 1.71)
BUILDERS = {**tiny_families.BUILDERS, **tiny_glm_gemma.BUILDERS, **tiny_square_frames.BUILDERS}
BESIDE = {"gemma4": "embeddings beside the residual stream"}  # refused
HYBRID = {"qwen3_5"}  # not all of its layers attend


@dataclass(frozen=True, eq=False)
class Pair:
    """A model's subject, and the pixels of another clip of its shape."""

    name: str
    model: FamilyModel
    subject: Subject
    other: Tensor

    def runs(self) -> PatchedRuns:
        return PatchedRuns.of(self.subject, self.other)


def bound(name: str, model: FamilyModel, side: tuple[int, int]) -> Pair:
    first, second = np.random.default_rng(0).integers(0, 256, (2, len(TIMES), *side, 3), dtype=np.uint8)
    clips = [Clip(frames, np.array(TIMES), 2.2) for frames in (first, second)]
    subject = Subject.bind(model, clips[0], QUESTION, Target("option", (1,)))
    return Pair(name, model, subject, model.preprocess(clips[1]))


@pytest.fixture(scope="module", params=list(BUILDERS))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    model = models.load(str(BUILDERS[request.param](tmp_path_factory.mktemp("tiny"))))
    assert isinstance(model, FamilyModel)
    return bound(request.param, model, (60, 60) if request.param == "llava_next_video" else (50, 70))


@pytest.fixture(scope="module")
def plain() -> Pair:
    return bound("demo", demo(), (96, 96))


def length(pair: Pair) -> int:
    return pair.model.places(pair.subject.question).last[-1] + 1


def test_all_of_a_layer_is_the_clean_run_and_nothing_is_the_corrupt_one(pair: Pair) -> None:
    if pair.name in BESIDE:
        with pytest.raises(UnsupportedModel, match=BESIDE[pair.name]):
            pair.runs()
        return
    runs = pair.runs()
    assert abs(runs.clean - runs.corrupt) > 1e-3
    every = tuple(range(length(pair)))
    whole = runs.log_odds([Patch(layer, "residual", every) for layer in runs.layers])
    nothing = runs.log_odds([Patch(layer, stream, ()) for layer in runs.layers for stream in STREAMS])
    torch.testing.assert_close(whole, torch.full_like(whole, runs.clean), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(nothing, torch.full_like(nothing, runs.corrupt), rtol=1e-5, atol=1e-5)


def test_after_the_last_layer_only_the_last_token_counts(pair: Pair) -> None:
    if pair.name in BESIDE:
        return
    runs, places = pair.runs(), pair.model.places(pair.subject.question)
    top = max(runs.layers)
    last, rest = runs.log_odds(
        [Patch(top, "residual", places.last), Patch(top, "residual", places.visual + places.text)]
    )
    assert float(last) == pytest.approx(runs.clean, rel=1e-5, abs=1e-5)
    assert float(rest) == pytest.approx(runs.corrupt, rel=1e-5, abs=1e-5)


def test_the_places_are_a_partition(pair: Pair) -> None:
    places = pair.model.places(pair.subject.question)
    every = [*places.visual, *places.text, *places.last]
    assert sorted(every) == list(range(len(pair.model._prompt(pair.subject.question, None).ids)))
    assert len(places.visual) == pair.subject.grid.tokens


def test_cutting_all_edges_from_tokens_is_dropping_them(pair: Pair) -> None:
    """Dropping tokens gives the same answer, unless layers attend in windows, which count the tokens that are left."""
    if pair.model.family.masked:
        pytest.skip("not all of its layers attend to all earlier tokens")
    model, question = pair.model, pair.subject.question
    visual = model.places(question).visual
    gone = torch.arange(len(visual)) % 3 == 1
    cut = tuple(np.array(visual)[gone.numpy()].tolist())
    edges = Knockout(cut, tuple(row for row in range(length(pair)) if row not in cut))
    if pair.name in HYBRID:
        with pytest.raises(UnsupportedModel, match="show no attention"), model.knock_out(edges), torch.no_grad():
            model.score_tokens(pair.subject.visual, question)
        return
    with torch.no_grad():
        dropped = model.score_tokens(pair.subject.visual, question, ~gone)
        with model.knock_out(edges):
            found = model.score_tokens(pair.subject.visual, question)
        whole = model.score_tokens(pair.subject.visual, question)
    torch.testing.assert_close(found, dropped, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(found, whole, atol=1e-4)


def test_two_cuts_that_close_all_paths_make_any_two_videos_alike(pair: Pair) -> None:
    """The text reads no visual token, and nor does the answer."""
    if pair.name in HYBRID:
        return
    model, question = pair.model, pair.subject.question
    places = model.places(question)
    with torch.no_grad():
        tokens = torch.cat([pair.subject.visual, model.encode(pair.other[None])])
        with model.knock_out(Knockout(places.visual, places.text), Knockout(places.visual, places.last)):
            one, two = model.score_tokens(tokens, question)
        with model.knock_out(Knockout(places.visual, places.last)):  # one path is still open
            open_one, open_two = model.score_tokens(tokens, question)
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(open_one, open_two, atol=1e-4)


@torch.no_grad()
def outputs(pair: Pair, tokens: Tensor) -> dict[str, Tensor]:
    """Rows of the last layer's input, attention and MLP at the answer, by plain hooks."""
    layer, found = pair.model.family.decoder.layers[-1], {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, given: Any, output: Any) -> None:
            value = given[0] if name == "input" else output[0] if isinstance(output, tuple) else output
            found[name] = value[:, -1:]

        return hook

    hooks = [module.register_forward_hook(keep(name))
             for name, module in (("input", layer), ("attention", layer.self_attn), ("mlp", layer.mlp))]  # fmt: skip
    pair.model.score_tokens(tokens, pair.subject.question)
    for hook in hooks:
        hook.remove()
    return found


@torch.no_grad()
def test_single_streams_equal_sums_by_hand(plain: Pair) -> None:
    """A Llama adds attention, then MLP: here each is of one of two runs, and the sum goes through norm and head."""
    runs, (last,) = plain.runs(), plain.model.places(plain.subject.question).last
    layer, top = plain.model.family.decoder.layers[-1], max(runs.layers)
    clean, corrupt = (outputs(plain, tokens) for tokens in (plain.subject.visual, runs.tokens))
    middle = corrupt["input"] + clean["attention"]
    by_hand = [
        corrupt["input"] + corrupt["attention"] + clean["mlp"],
        middle + layer.mlp(layer.post_attention_layernorm(middle)),
    ]
    expected = [float(plain.subject.log_odds(plain.model.read_out(one, plain.subject.question))) for one in by_hand]
    found = runs.log_odds([Patch(top, "mlp", (last,)), Patch(top, "attention", (last,))])
    assert found.tolist() == pytest.approx(expected, abs=1e-5)
    assert abs(expected[0] - runs.corrupt) > 1e-3 and abs(expected[1] - runs.corrupt) > 1e-3


def world_runs(model: FamilyModel) -> Iterator[PatchedRuns]:
    """Yield runs on videos of the built-in world against the same videos without the evidence."""
    for scene, family, right in items(8):
        asked = annotate.annotation(scene, family, "valid", right)["mc_question"][0]
        clip, other = (
            Clip(render.frames(each), np.arange(FRAMES) / RATE, FRAMES / RATE)
            for each in (scene, next(iter(edits(scene, family))).scene)
        )
        question = Question(asked["question"], tuple(asked["options"]))
        subject = Subject.bind(model, clip, question, Target("option", (right,)))
        yield PatchedRuns.of(subject, model.preprocess(other))


def test_the_share_is_of_the_gap_between_the_runs(plain: Pair) -> None:
    runs = next(runs for runs in world_runs(plain.model) if abs(runs.clean - runs.corrupt) > 1)
    subject = runs.subject
    every = tuple(range(plain.model.places(subject.question).last[-1] + 1))
    some = Patch(3, "residual", every[::2])
    one, two, three = runs.restored([Patch(2, "residual", every), Patch(2, "residual", ()), some]).tolist()
    assert (one, two) == (pytest.approx(1, abs=1e-5), pytest.approx(0, abs=1e-5))
    expected = float(runs.log_odds([some]) - runs.corrupt) / (runs.clean - runs.corrupt)
    assert abs(expected) > 0.01 and three == pytest.approx(expected, abs=1e-6)


def test_a_video_that_changes_nothing_has_no_share(plain: Pair) -> None:
    runs = PatchedRuns.of(plain.subject, plain.subject.pixels)
    with pytest.raises(UndefinedError, match=r"changes the log-odds by 0.00 nats, less than 0.5"):
        runs.restored([Patch(0, "residual", (1,))])


def hooks(model: nn.Module) -> Iterator[int]:
    for module in model.modules():
        yield from (len(found) for name, found in sorted(vars(module).items()) if name.endswith("_hooks"))


def test_the_model_is_left_without_hooks_also_after_an_error(plain: Pair) -> None:
    before = list(hooks(plain.model.module))
    runs = plain.runs()
    runs.log_odds([Patch(0, "mlp", (3,))])
    with pytest.raises(IndexError):
        runs.log_odds([Patch(0, "residual", (10**6,))])
    assert list(hooks(plain.model.module)) == before


def test_batches_change_nothing(plain: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = plain.runs()
    patches = [Patch(layer, stream, tuple(range(30 * layer + 5))) for layer in runs.layers for stream in STREAMS]
    together = runs.log_odds(patches)
    monkeypatch.setattr(patching, "AT_ONCE", {"cpu": 1})
    torch.testing.assert_close(together, runs.log_odds(patches), rtol=1e-5, atol=1e-5)


def test_a_layer_that_shows_no_states_is_named(plain: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    own = list(plain.model.decoder_layers())
    unused = nn.Linear(1, 1)
    monkeypatch.setattr(plain.model, "decoder_layers", lambda: [*own[:2], type(own[2])(2, unused, unused, unused)])
    with pytest.raises(UnsupportedModel, match="its layers 2 show no states"):
        plain.runs()
