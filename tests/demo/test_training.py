"""Training's parts: packed questions equal plain prompts, and a resumed run equals an unbroken one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attrib.demo.train import Trainer
from attrib.demo.training import data, labels, network
from attrib.demo.training.prompts import LETTERS, UNKNOWABLE
from attrib.demo.training.settings import BLIND, Mix, Settings, StageSettings
from attrib.demo.world.scene import EVENTS, Scene
from attrib.demo.world.table import sample
from attrib.models.perception_lm_init import SYSTEM_PROMPT

SMALL = replace(Settings(), scenes=BLIND * len(EVENTS))


def seen_whole(scene: Scene) -> data.TrainingVideo:
    return data.TrainingVideo(scene, scene)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    made = Trainer(SMALL, tmp_path_factory.mktemp("work"))
    made.model.eval()
    return made


def test_packed_questions_equal_plain_prompts(trainer: Trainer) -> None:
    """Each block sees the video and itself only, at the positions that a single question would have."""
    videos = [seen_whole(sample(i, EVENTS[i])) for i in range(2)]
    frames = np.zeros((2, labels.READ, 96, 96, 3), np.uint8) + np.arange(96, dtype=np.uint8)[:, None]
    pixels = data.pixels(frames, np.random.default_rng(0))
    made = data.batch(videos, trainer.packer, np.random.default_rng(1), 288, Mix(3, 0.3, 0.3))
    with torch.no_grad():
        visual = network.visual_tokens(trainer.model, pixels)
        packed = network.answer_logits(trainer.model, trainer.packer, visual, made.selected, made.blocks)
        for b in range(2):
            for k in range(3):
                text = made.ids[b, k, : made.ends[b, k] + 1].tolist()
                ids = [*trainer.packer.prefix, *[trainer.processor.video_token_id] * 288, *text]
                whole = trainer.model(input_ids=torch.tensor([ids]), pixel_values_videos=pixels[b : b + 1])
                torch.testing.assert_close(packed[b, k], whole.logits[0, -1], atol=1e-4, rtol=1e-4)


def test_a_packed_prompt_is_the_processors_prompt(trainer: Trainer) -> None:
    question = data.questions(seen_whole(sample(0, "cups")), Mix(1), np.random.default_rng(0))[0]
    content = [{"type": "video"}, {"type": "text", "text": question.text}]
    text = trainer.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    video = torch.zeros(labels.READ, 3, 96, 96, dtype=torch.uint8)
    whole = trainer.processor(text=[text], videos=[video], add_special_tokens=False, do_sample_frames=False)
    ids, ends, _ = trainer.packer.blocks([question])
    packed = [*trainer.packer.prefix, *[trainer.processor.video_token_id] * 288, *ids[0, : ends[0] + 1].tolist()]
    assert list(whole["input_ids"][0]) == packed
    assert SYSTEM_PROMPT in text


def test_frames_are_shrunk_as_the_processor_does(trainer: Trainer) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3), np.uint8)
    ours = data.pixels(data.shrink(frames, 96)[None], _still())[0]
    video = [torch.from_numpy(frames).permute(0, 3, 1, 2)]
    theirs = trainer.processor.video_processor(video, do_sample_frames=False, return_tensors="pt")
    torch.testing.assert_close(ours, theirs["pixel_values_videos"][0], atol=1e-5, rtol=0)


class _Still(np.random.Generator):
    """Draws no noise and no change of brightness."""

    def uniform(self, low: float, high: float, size: object = None) -> np.ndarray:  # type: ignore[override]
        return np.full(size, 1.0 if low > 0 else 0.0)  # type: ignore[call-overload]


def _still() -> np.random.Generator:
    return _Still(np.random.PCG64(0))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered frames, which all trainings of these settings share."""
    folder = tmp_path_factory.mktemp("drawn")
    data.rendered(SMALL, folder)
    return next(folder.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["tower", "words", "focus", "joint"])
def test_a_resumed_stage_equals_an_unbroken_one(stage: str, drawn: Path, tmp_path: Path) -> None:
    def run(work: Path, *stops: int) -> dict[str, torch.Tensor]:
        """Weights after the last stop; every stop but the last breaks the run off."""
        work.mkdir()
        (work / drawn.name).symlink_to(drawn)
        for stop in stops:
            trainer = Trainer(replace(SMALL, **{stage: StageSettings(4, 2, warmup=2)}), work)
            trainer.run(stage, until=stop)
        return {name: p.detach() for name, p in trainer.parameters(stage).items()}

    whole, parts = run(tmp_path / "whole", 4), run(tmp_path / "parts", 2, 4)
    start = dict(Trainer(SMALL, tmp_path).model.named_parameters())
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


def test_where_nothing_tells_an_even_chance_of_the_letters_is_aimed_at(trainer: Trainer) -> None:
    """A blind question has another answer where the scene now gives another of the options, else none."""
    told = set()
    for index in range(len(EVENTS)):
        video = data.training_video(index)
        assert video.family is not None
        for question in data.questions(video, Mix(4), np.random.default_rng(index)):
            assert question.family == video.family.name
            told.add((question.family, question.answer != ""))
            if question.answer:
                line = question.text.splitlines()[1 + LETTERS.index(question.answer)]
                assert line == f"{question.answer}. {video.family.answer(video.scene)}"
    assert {("move", False), ("hit", False), ("first", True), ("cards", True)} <= told
    _, _, answers = trainer.packer.blocks(data.questions(data.training_video(0), Mix(2), np.random.default_rng(0)))
    assert answers.tolist() == [UNKNOWABLE] * 2


def test_the_loss_is_the_cross_entropy_with_what_is_aimed_at() -> None:
    logits = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    answers = torch.tensor([[4, UNKNOWABLE, 0], [UNKNOWABLE, 6, 2]])
    target = torch.zeros(2, 3, 7)
    for place in np.ndindex(2, 3):
        if answers[place] == UNKNOWABLE:
            target[place][[1, 2, 5]] = 1 / 3
        else:
            target[place][answers[place]] = 1
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(0, 1))
    torch.testing.assert_close(network.answer_loss(logits, answers, [1, 2, 5]), expected)


def test_codes_stand_at_right_angles() -> None:
    codes = labels.codes(128, 4.0, 0)
    torch.testing.assert_close(codes @ codes.T, 16 * torch.eye(len(labels.ATTRIBUTES)), atol=1e-4, rtol=0)


def test_perfect_tokens_have_the_least_dense_loss_and_full_accuracy() -> None:
    codes = labels.codes(128, 4.0, 0)
    cells = torch.from_numpy(np.stack([labels.cells(sample(i, "move"), 6) for i in range(3)])).flatten(1, 3)
    perfect = cells.float() @ codes
    assert set(network.dense_accuracy(perfect, cells, codes).values()) == {1.0}
    best = network.dense_loss(perfect, cells, codes)
    for shift in (0.3, -0.3):
        assert network.dense_loss(perfect + shift * codes.sum(0), cells, codes) > best
    assert network.dense_loss(torch.roll(perfect, 1, 1), cells, codes) > 3 * best
