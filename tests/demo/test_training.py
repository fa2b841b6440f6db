"""Training's parts: packed questions equal plain prompts, and a resumed run equals an unbroken one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attrib.demo.train import Trainer
from attrib.demo.training import data, labels, network
from attrib.demo.training.prompts import LETTERS, UNKNOWABLE, PackedQuestion
from attrib.demo.training.settings import BLIND, Mix, Settings, StageSettings, settings
from attrib.demo.training.state import State
from attrib.demo.world.families import AUXILIARY, FAMILIES
from attrib.demo.world.scene import EVENTS, FRAMES, Scene
from attrib.demo.world.table import sample
from attrib.models.packing import preprocessed
from attrib.models.prompting import asked, prompt
from attrib.types import Clip, Question

MODELS = ("demo", "demo-qwen")
TOKENS = 8 * 6 * 6


def small(model: str) -> Settings:
    """The settings of a model, with as few scenes as hold every event with and without its evidence."""
    return replace(settings(model), scenes=BLIND * len(EVENTS))


def whole_video(scene: Scene) -> data.TrainingVideo:
    return data.TrainingVideo(scene, scene)


@pytest.fixture(scope="module", params=MODELS)
def trainer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    made = Trainer(small(request.param), tmp_path_factory.mktemp("work"))
    made.model.eval()
    return made


def row(seed: int) -> list[PackedQuestion]:
    """Questions of different lengths about a video: two with options, one of them an echo, and one without."""
    video, rng = whole_video(sample(seed, EVENTS[seed])), np.random.default_rng(seed)
    return [data.questions(video, mix, rng, {})[0] for mix in (Mix(1), Mix(1, echo_share=1), Mix(1, "open"))]


def test_packed_questions_equal_plain_prompts(trainer: Trainer) -> None:
    """Each question sees the video and itself only, at the positions that it would have alone."""
    packed_network, family = trainer.network, trainer.network.family
    frames = np.random.default_rng(0).integers(0, 256, (2, len(packed_network.frames), 96, 96, 3), np.uint8)
    pixels = data.pixels(frames, np.random.default_rng(0))
    rows = [row(0), row(7)]
    ids, ends, _ = packed_network.blocks(rows)
    with torch.no_grad():
        visual = packed_network.visual_tokens(pixels)
        packed = packed_network.answer_logits(visual, torch.arange(TOKENS).expand(2, -1), (ids, ends))
        for b in range(2):
            for k in range(3):
                plain = dict(asked(family, rows[b][k].text, packed_network.shot))
                whole = trainer.model(**{**plain, **family.pack(pixels[b : b + 1] * 255)})
                torch.testing.assert_close(packed[b, k], whole.logits[0, -1], atol=1e-4, rtol=1e-4)


def test_questions_about_some_tokens_equal_plain_prompts_without_the_others(trainer: Trainer) -> None:
    """Tokens that stay keep their positions. Features of early layers are 0, as if nothing were added."""
    questions, rng, family = row(2), np.random.default_rng(0), trainer.network.family
    keep = torch.zeros(TOKENS, dtype=torch.bool)
    keep[torch.from_numpy(rng.permutation(TOKENS)[:50])] = True
    tokens = torch.from_numpy(rng.standard_normal((50, trainer.network.width), np.float32))
    late = torch.zeros(50, trainer.network.width * family.late_features)
    ids, ends, _ = trainer.network.blocks([questions])
    with torch.no_grad():
        visual, selected = torch.cat([tokens, late], -1), keep.nonzero().flatten()
        packed = trainer.network.answer_logits(visual[None], selected[None], (ids, ends))[0]
        for k, question in enumerate(questions):
            plain = prompt(family, Question(question.text, ()), trainer.network.shot, None).kept(keep)
            embedded = trainer.model.get_input_embeddings()(plain.ids)
            embedded[plain.visual] = tokens
            positions = plain.positions[..., None, :]
            hidden = family.decoder(inputs_embeds=embedded[None], position_ids=positions).last_hidden_state[0, -1]
            torch.testing.assert_close(packed[k], trainer.model.lm_head(hidden), atol=1e-4, rtol=1e-4)


def test_frames_are_shrunk_as_the_processor_does(trainer: Trainer) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (len(trainer.network.frames), 256, 256, 3), np.uint8)
    clip = Clip(frames, np.arange(len(frames)) / 2, len(frames) / 2)
    ours = data.pixels(data.shrink(frames, 96)[None], _still())[0]
    torch.testing.assert_close(ours, preprocessed(trainer.network.family, clip), atol=1e-6, rtol=0)


class _Still(np.random.Generator):
    """Draws no noise and no change of brightness."""

    def uniform(self, low: float, high: float, size: object = None) -> np.ndarray:  # type: ignore[override]
        return np.full(size, 1.0 if low > 0 else 0.0)  # type: ignore[call-overload]


def _still() -> np.random.Generator:
    return _Still(np.random.PCG64(0))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the rendered frames, even and odd ones, which all trainings of these settings share."""
    folder = tmp_path_factory.mktemp("drawn")
    for first in (0, 1):
        data.rendered(small("demo"), folder, range(first, FRAMES, 2))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["tower", "cups", "decoder", "joint"])
@pytest.mark.parametrize("model", MODELS)
def test_a_resumed_stage_equals_an_unbroken_one(model: str, stage: str, drawn: Path, tmp_path: Path) -> None:
    def run(work: Path, *stops: int) -> dict[str, torch.Tensor]:
        """Weights after the last stop; every stop but the last breaks the run off."""
        work.mkdir()
        for path in drawn.glob("*.npy"):
            (work / path.name).symlink_to(path)
        for stop in stops:
            short = StageSettings(4, 2, warmup=2, questions=2, open_share=(0.5, 0.5), sparse=(1, 3))
            trainer = Trainer(replace(small(model), tower=short, cups=short, decoder=short, joint=short), work)
            trainer.run(stage, until=stop)
        return {name: p.detach() for name, p in trainer.parameters(stage).items()}

    whole, parts = run(tmp_path / "whole", 4), run(tmp_path / "parts", 2, 4)
    start = dict(Trainer(small(model), tmp_path).model.named_parameters())
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, atol=0, rtol=0)
    assert any((value != start[name]).any() for name, value in whole.items())


def test_one_in_so_many_videos_lacks_the_evidence() -> None:
    each = BLIND * len(EVENTS)
    for index in range(each):
        video = data.training_video(index)
        assert (video.family is not None) == (index < len(EVENTS))
        if video.family is None:
            assert video.scene == video.whole
        else:
            assert video.family.answer(video.scene) != video.family.answer(video.whole)
    rng = np.random.default_rng(0)
    for share in (0.0, 0.25, 1.0):
        drawn = data.draw(rng, 4000, ("hit", "cups"), 10**9, share)
        assert {EVENTS[i % len(EVENTS)] for i in drawn} == {"hit", "cups"}
        assert np.mean([i // len(EVENTS) % BLIND == 0 for i in drawn]) == pytest.approx(share, abs=0.03)


def test_a_thinned_video_holds_what_one_of_its_questions_needs() -> None:
    """With a share of 0 nothing else is left but a cup game, which without other cups and mats would be none.

    Questions with options have the options of the whole scene.
    """
    games = 0
    for index in range(len(EVENTS), 3 * len(EVENTS)):
        video, rng = data.training_video(index), np.random.default_rng(index)
        assert data.thinned(video, 1.0, rng) is video
        thin = data.thinned(video, 0.0, rng)
        assert thin.whole == video.scene
        left = {e.id for e in thin.scene.entities}
        game = {e.id for e in video.scene.entities if e.kind in ("cup", "mat", "ball")}
        played = game if any(e.kind == "mat" for e in video.scene.entities) else set()
        games += bool(played)
        families = [f for f in FAMILIES.values() if {item.track for item in f.evidence(video.scene)} | played == left]
        assert any(f.answer(thin.scene) == f.answer(video.scene) is not None for f in families)
        for question in data.questions(thin, Mix(4), rng, {}):
            family = next(f for f in (*FAMILIES.values(), *AUXILIARY) if f.question == question.text.splitlines()[0])
            line = question.text.splitlines()[1 + LETTERS.index(question.answer)]
            assert question.choices == family.choices
            assert line == f"{question.answer}. {family.answer(thin.scene)}"
    assert games
    blind = data.training_video(0)
    assert data.thinned(blind, 0.0, np.random.default_rng(0)) is blind


def test_a_cup_game_with_its_ball_asks_for_it() -> None:
    """The game with nothing else keeps its answer."""
    scene = sample(0, "hide")
    video = data.cup_game(scene, change_places=True, with_ball=True)
    assert {e.kind for e in video.scene.entities} == {"cup", "mat", "ball"}
    assert len(video.scene.entities) < len(scene.entities)
    asked_for = {q.family: q.answer for q in data.questions(video, Mix(40, "open"), np.random.default_rng(0), {})}
    assert set(asked_for) == {"hide", "hide_cup", "hide_mat"}
    assert asked_for["hide"] == FAMILIES["hide"].answer(scene)


def test_the_cups_alone_ask_for_the_mat_of_each() -> None:
    """At rest they stand in all frames as in the end; the ball, and with it the cup game's question, is gone."""
    scene = sample(0, "hide")
    ends = {e.colour: e.centres[-1] for e in scene.entities if e.kind == "cup"}
    mats = {e.centres[0]: e.colour for e in scene.entities if e.kind == "mat"}
    for changes in (False, True):
        video = data.cup_game(scene, changes, with_ball=False)
        moved = [any(map(e.moving, range(FRAMES))) for e in video.scene.entities if e.kind == "cup"]
        assert {e.kind for e in video.scene.entities} == {"cup", "mat"} and any(moved) == changes
        for question in data.questions(video, Mix(12, "open"), np.random.default_rng(0), {}):
            (colour,) = [c for c in ends if f"the {c} cup" in question.text]
            assert question.family == "hide_mat" and question.answer == mats[ends[colour]]


def test_a_video_is_busy_while_something_slides_or_is_hit() -> None:
    scene = sample(4, "hit")
    (hit,) = scene.impacts
    slides = {i for e in scene.entities for i in range(FRAMES) if e.moving(i)}
    assert {i for i in range(FRAMES) if whole_video(scene).busy(i)} == slides | set(range(hit.start, hit.end))


def test_where_nothing_tells_an_even_chance_of_the_letters_is_aimed_at(trainer: Trainer) -> None:
    """A blind question has another answer where the scene now gives another of the options, else none.

    Without the first to slide, another is the first, and without the last card another is the last.
    """
    told = set()
    for index in range(len(EVENTS)):
        video = data.training_video(index)
        assert video.family is not None
        for question in data.questions(video, Mix(4), np.random.default_rng(index), {}):
            assert question.family == video.family.name
            assert question.choices == video.family.choices
            told.add((question.family, question.answer != ""))
            if question.answer:
                line = question.text.splitlines()[1 + LETTERS.index(question.answer)]
                assert line == f"{question.answer}. {video.family.answer(video.scene)}"
    assert told == {(name, name in ("first", "cards")) for name in EVENTS}
    blind = data.questions(data.training_video(0), Mix(2), np.random.default_rng(0), {})
    _, _, answers = trainer.network.blocks([blind])
    assert answers.tolist() == [[UNKNOWABLE] * 2]


def test_kinds_of_question_that_are_harder_are_asked_more_often() -> None:
    """Families have a weight of 2 and auxiliary questions of 1, times how hard they are."""
    video = whole_video(sample(0, "hide"))
    fitting = {f.name: 2.0 for f in FAMILIES.values() if f.answer(video.scene) is not None}
    fitting |= {f.name: 1.0 for f in AUXILIARY if f.answer(video.scene) is not None}
    assert {"hide", "hide_cup"} <= fitting.keys()
    for mix, mark in ((Mix(300), ""), (Mix(300, "open"), "?")):
        for weight in (0.0, 1.0, 6.0):
            weights = {**fitting, "hide": 2 * weight}
            made = data.questions(video, mix, np.random.default_rng(0), {f"hide{mark}": weight})
            assert {question.name for question in made} <= {name + mark for name in fitting}
            share = np.mean([question.name == f"hide{mark}" for question in made])
            assert share == pytest.approx(weights["hide"] / sum(weights.values()), abs=0.08)


def test_an_echo_asks_for_the_letter_of_a_word_among_three_or_five() -> None:
    echoes = data.questions(whole_video(sample(0, "hide")), Mix(50, echo_share=1), np.random.default_rng(0), {})
    assert {question.name for question in echoes} == {"echo"}
    assert {question.choices for question in echoes} == {3, 5}
    for question in echoes:
        first, *lines, _ = question.text.splitlines()
        word = first.removeprefix("What is ").removesuffix("?")
        assert len(lines) == question.choices
        assert f"{question.answer}. {word}" in lines


def test_a_batch_keeps_every_token_with_an_entity(trainer: Trainer) -> None:
    """All videos keep as many tokens: as asked for or, where one has more with an entity, as many as that."""
    videos = [whole_video(sample(i, EVENTS[i])) for i in range(len(EVENTS))]
    most = max(int((data.cells(video, 6)[:, 0] == 0).sum()) for video in videos)
    assert 40 < most < 120
    for count, expected in ((40, most), (120, 120), (TOKENS, TOKENS)):
        made = data.batch(videos, trainer.network, np.random.default_rng(0), count, Mix(1), {})
        assert made.cells.shape == (len(EVENTS), TOKENS, len(labels.ATTRIBUTES))
        assert made.selected.shape == (len(EVENTS), expected)
        assert (made.selected.diff(dim=1) > 0).all()
        for cells, selected in zip(made.cells, made.selected, strict=True):
            assert set(torch.nonzero(cells[:, 0] == 0).flatten().tolist()) <= set(selected.tolist())
        assert (made.select(made.cells)[..., 0].sum(1) == expected - (made.cells[..., 0] == 0).sum(1)).all()


def test_a_sparse_batch_keeps_what_tells_of_an_event_and_leaves_out_other_entities(trainer: Trainer) -> None:
    """With a share of 0, none of the others is kept; with a half, about half of them are."""
    videos = [whole_video(sample(i, EVENTS[i])) for i in range(len(EVENTS))]
    for plain in (0.0, 0.5):
        made = data.batch(videos, trainer.network, np.random.default_rng(0), 64, Mix(1), {}, plain)
        telling = labels.telling(made.cells.numpy())
        kept = np.zeros_like(telling)
        np.put_along_axis(kept, made.selected.numpy(), True, 1)
        assert kept[telling].all()
        others = (made.cells[..., 0] == 0).numpy() & ~telling
        assert kept[others].mean() == pytest.approx(plain, abs=0.1)


def test_questions_without_options_become_rarer_in_the_first_half_of_a_stage() -> None:
    stage = StageSettings(100, 2, questions=3, echo_share=0.1, open_share=(0.8, 0.2))
    for step, share in ((0, 0.8), (25, 0.5), (50, 0.2), (99, 0.2)):
        mixes = [stage.mix(step, np.random.default_rng(seed)) for seed in range(1000)]
        assert set(mixes) == {Mix(3, "open"), Mix(3, echo_share=0.1)}
        assert np.mean([mix.kind == "open" for mix in mixes]) == pytest.approx(share, abs=0.05)


def test_half_of_the_questions_without_letters_list_their_options_from_a_step_on() -> None:
    stage = StageSettings(100, 2, open_share=(0.6, 0.6), listed_from=10)
    for step, share in ((9, 0.0), (10, 0.3), (60, 0.3)):
        kinds = [stage.mix(step, np.random.default_rng(seed)).kind for seed in range(1000)]
        assert np.mean([kind == "listed" for kind in kinds]) == pytest.approx(share, abs=0.05)
        assert np.mean([kind == "options" for kind in kinds]) == pytest.approx(0.4, abs=0.05)


def test_a_listed_question_shows_its_options_and_takes_the_word() -> None:
    for event in EVENTS:
        video = whole_video(sample(1, event))
        for question in data.questions(video, Mix(20, "listed"), np.random.default_rng(0), {}):
            family = next(f for f in (*FAMILIES.values(), *AUXILIARY) if f.question == question.text.splitlines()[0])
            assert question.name == f"{family.name}:" and question.choices == 0
            assert question.answer == family.answer(video.scene)
            letters, words = zip(*(line.split(". ") for line in question.text.splitlines()[1:]), strict=True)
            assert letters == tuple(LETTERS[: family.choices]) and question.answer in words


def test_options_wait_until_the_letter_of_a_word_is_known() -> None:
    stage = StageSettings(100, 2, open_share=(0.5, 0.5))
    for knows, kind in ((False, "echo"), (True, "options")):
        assert {stage.mix(0, np.random.default_rng(seed), knows).kind for seed in range(50)} == {"open", kind}


@pytest.mark.parametrize(("weight", "kinds"), [(1.2, {"echo"}), (0.25, set(FAMILIES) | {f.name for f in AUXILIARY})])
def test_a_step_of_the_decoder_asks_what_the_weights_say(weight: float, kinds: set[str], trainer: Trainer) -> None:
    stage = StageSettings(100, 2, questions=2)
    with torch.no_grad():
        _, answered = trainer.decoder(0, stage, {"echo": weight})
    assert answered.keys() <= kinds


def test_the_share_of_plain_tokens_rises_over_the_sparse_part_of_a_stage() -> None:
    stage = StageSettings(100, 2, sparse=(10, 50))
    assert [stage.plain(step) for step in (0, 10, 30, 50, 99)] == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
    assert StageSettings(100, 2).plain(0) == 1.0
    later = StageSettings(100, 2, sparse=(10, 50), sparse_options=(60, 80))
    assert [later.plain(step, options=True) for step in (10, 60, 70, 99)] == pytest.approx([0.0, 0.0, 0.5, 1.0])
    assert later.plain(70) == 1.0


def test_errors_fade_with_right_answers_and_survive_a_save(tmp_path: Path) -> None:
    """A new kind counts as all wrong; 2 % of a new share and 98 % of the old one are the next."""
    parameters = {"w": torch.nn.Parameter(torch.ones(2, 2)), "b": torch.nn.Parameter(torch.ones(2))}
    state = State(tmp_path / "stage", parameters, StageSettings(10, 2))
    state.update((parameters["w"].sum() + parameters["b"].sum()) ** 2)
    state.answered("move", 1.0)
    state.answered("move", 0.5)
    state.answered("move?", 0.0)
    assert state.errors == pytest.approx({"move": 0.98 * 0.98 + 0.02 * 0.5, "move?": 1.0})
    assert state.harder() == pytest.approx({"move": 0.2 + 0.9704, "move?": 1.2})
    state.save()
    fresh = {name: torch.nn.Parameter(torch.zeros_like(p)) for name, p in parameters.items()}
    loaded = State(tmp_path / "stage", fresh, StageSettings(10, 2))
    assert loaded.errors == state.errors
    assert loaded.step == 1
    for name, parameter in parameters.items():
        assert torch.equal(fresh[name], parameter)
        assert torch.equal(loaded.mean[name], state.mean[name])


def test_the_loss_is_the_cross_entropy_with_what_is_aimed_at() -> None:
    """An unknowable answer aims at a third of each of three letters, or a fifth of each of five."""
    logits = torch.randn(2, 3, 9, generator=torch.Generator().manual_seed(0))
    answers = torch.tensor([[4, UNKNOWABLE, 0], [UNKNOWABLE, 6, 2]])
    choices = torch.tensor([[0, 3, 5], [5, 3, 0]])  # a question without options has none
    target = torch.zeros(2, 3, 9)
    target[0, 0, 4] = target[0, 2, 0] = target[1, 1, 6] = target[1, 2, 2] = 1
    target[0, 1, [1, 2, 5]] = 1 / 3
    target[1, 0, [1, 2, 5, 7, 8]] = 1 / 5
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(0, 1))
    torch.testing.assert_close(network.answer_loss(logits, answers, choices, [1, 2, 5, 7, 8]), expected)


def test_early_features_tell_colours_only() -> None:
    codes = labels.codes(128, 4.0, 0)
    cells = torch.zeros(2, len(labels.ATTRIBUTES))
    cells[0, [labels.ATTRIBUTES.index(name) for name in ("object", "circle", "red", "moving")]] = 1
    cells[1, [labels.ATTRIBUTES.index(name) for name in ("cup", "blue", "green mat", "with ball")]] = 1
    red, blue, mat = (codes[labels.ATTRIBUTES.index(name)] for name in ("red", "blue", "green mat"))
    torch.testing.assert_close(network.late_codes(cells, codes), torch.stack([red, blue + mat]))


def test_perfect_tokens_have_the_least_dense_loss_and_full_accuracy() -> None:
    """Scenes in which no two cups share a cell, so that each cell has one colour."""
    codes = labels.codes(128, 4.0, 0)
    found = [labels.cells(sample(i, "hide"), 6) for i in range(12)]
    cells = torch.from_numpy(np.stack([c for c in found if c[..., labels.HUES].sum(-1).max() == 1])).flatten(1, 3)
    perfect = cells.float() @ codes
    assert set(network.dense_accuracy(perfect, cells, codes).values()) == {1.0}
    best = network.dense_loss(perfect, cells, codes)
    for shift in (0.3, -0.3):
        assert network.dense_loss(perfect + shift * codes.sum(0), cells, codes) > best
    assert network.dense_loss(torch.roll(perfect, 1, 1), cells, codes) > 3 * best
    late = network.late_codes(cells.float(), codes)
    torch.testing.assert_close(network.dense_loss(torch.cat([perfect, late], -1), cells, codes), best)
    assert network.dense_loss(torch.cat([perfect, perfect], -1), cells, codes) > best + 0.1
