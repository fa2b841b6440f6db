from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from attrib import models, registry
from attrib.benchmarks.imputers.blur import Blur
from attrib.benchmarks.imputers.freeze import Freeze
from attrib.benchmarks.imputers.mean import Mean
from attrib.benchmarks.imputers.median import Median
from attrib.benchmarks.imputers.token import Token
from attrib.benchmarks.perturb import evaluator
from attrib.benchmarks.perturb.evaluator import Steps, answers, cell_shape
from attrib.capabilities import EncodesSteps
from attrib.errors import NotEnoughMemory
from attrib.imputer import Canvas, Imputer, PixelImputer, TokenImputer
from attrib.model import TokenGrid, VideoModel
from attrib.subject import Subject
from attrib.testing import QUESTION, ToyModel, toy_clip, toy_subject
from attrib.types import Clip, Question, Shot

from linear import LinearModel, subject_of


class Counting(ToyModel):
    """The toy model; counts steps through its vision encoder, and the sizes and lengths of what it answers to."""

    def __init__(self, frames_per_step: int = 1, steps_at_once: int = 1000, versions_at_once: int = 1000) -> None:
        super().__init__(frames_per_step=frames_per_step)
        self.steps_at_once, self.versions_at_once = steps_at_once, versions_at_once
        self.steps, self.batches, self.lengths = list[int](), list[int](), list[int]()

    def encode_steps(self, pixels: Tensor) -> Tensor:
        if len(pixels) > self.steps_at_once:
            raise torch.OutOfMemoryError("too many steps")
        self.steps.append(len(pixels))
        return super().encode_steps(pixels)

    def score_tokens(self, tokens: Tensor, question: Question, keep: Tensor | None = None) -> Tensor:
        if len(tokens) > self.versions_at_once:
            raise torch.OutOfMemoryError("too many versions")
        self.batches.append(len(tokens))
        self.lengths.append(tokens.shape[1] if keep is None else int(keep.sum()))
        return super().score_tokens(tokens, question, keep)


class Joining(ToyModel):
    """Its encoder adds to each frame's tokens a tenth of the mean colour of the whole clip."""

    encode_steps = None  # type: ignore[assignment]

    def encode(self, pixels: Tensor) -> Tensor:
        tokens = super().encode(pixels)
        return tokens + 0.1 * tokens.mean(dim=1, keepdim=True)


class Whole(VideoModel):
    """`Joining` without the promise that steps are encoded one by one."""

    def __init__(self) -> None:
        self._toy = Joining()
        self.name, self.revision, self.frames = "whole", None, self._toy.frames
        self.encoded = 0

    @property
    def module(self) -> torch.nn.Module:
        return self._toy.module

    def preprocess(self, clip: Clip) -> Tensor:
        return self._toy.preprocess(clip)

    def grid(self, shot: Shot) -> TokenGrid:
        return self._toy.grid(shot)

    def encode(self, pixels: Tensor) -> Tensor:
        self.encoded += len(pixels)
        return self._toy.encode(pixels)

    def score_tokens(self, tokens: Tensor, question: Question, keep: Tensor | None = None) -> Tensor:
        return self._toy.score_tokens(tokens, question, keep)


def choices(subject: Subject, count: int = 9, seed: int = 0) -> np.ndarray:
    """Random cells, and among them none, all, and one twice."""
    rng = np.random.default_rng(seed)
    found = rng.random((count, *cell_shape(subject))) < rng.random((count, 1, 1, 1))
    found[0], found[1], found[2] = False, True, found[3]
    return found


def plain(subject: Subject, imputer: Imputer, removed: np.ndarray) -> Tensor:
    """One forward for each version, nothing kept."""
    canvas = Canvas(subject.pixels, *cell_shape(subject)[1:], subject.seed)
    found = []
    with torch.no_grad():
        for cells in removed:
            if isinstance(imputer, TokenImputer):
                tokens = subject.model.encode(subject.pixels[None])
                keep = imputer.keep(cells, subject.grid)
                found.append(subject.model.score_tokens(tokens, subject.question, keep)[0])
            else:
                assert isinstance(imputer, PixelImputer)
                pixels = imputer.prepare(canvas)(cells)
                found.append(subject.model.option_logprobs(pixels[None], subject.question)[0])
    return torch.stack(found).float()


MODELS = {
    "frames": Counting, "merged": lambda: Counting(2), "joining": Whole, "one by one": lambda: Counting(1, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", registry.names("imputers"))
def test_answers_are_those_of_a_plain_loop(model: str, name: str):
    imputer = registry.get("imputers", name)()
    for frames in (4, 3):  # three frames in steps of two: the last step is short
        subject = Subject.bind(MODELS[model](), toy_clip(frames), QUESTION)
        removed = choices(subject)
        torch.testing.assert_close(
            answers(subject, imputer, removed), plain(subject, imputer, removed), rtol=0, atol=1e-5
        )


@pytest.fixture(scope="module")
def demo() -> Subject:
    model = models.load("demo")
    frames = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
    frames[1, 20:60, 30:70] = (230, 20, 20)
    return Subject.bind(model, Clip(frames, np.arange(3.0), 3.0), Question("What?", ("red", "blue", "none")))


@pytest.mark.parametrize("name", registry.names("imputers"))
def test_answers_of_the_built_in_model_are_those_of_a_plain_loop(demo: Subject, name: str):
    subject, imputer = replace(demo), registry.get("imputers", name)()
    removed = choices(subject, 5)
    wanted = plain(subject, imputer, removed)
    torch.testing.assert_close(answers(subject, imputer, removed), wanted, rtol=0, atol=1e-5)
    assert float((wanted[1] - wanted[0]).abs().max()) > 0.01  # what is removed matters


def test_the_last_bit_does_not_depend_on_what_was_asked_before(demo: Subject):
    one, two = replace(demo), replace(demo)
    removed = choices(demo, 7)
    together = answers(one, Mean(), removed)
    answers(two, Median(), removed[4:])
    apart = torch.cat([answers(two, Mean(), removed[part]) for part in (slice(5, 7), slice(0, 1), slice(1, 5))])
    assert torch.equal(together, torch.cat([apart[2:], apart[:2]]))


def test_only_steps_that_changed_are_encoded_again():
    model = Counting()
    subject = toy_subject(model)
    removed = np.zeros((3, *cell_shape(subject)), bool)
    removed[0, 1, 0, 0] = removed[1, 1, 0, 0] = removed[1, 2, 1, 1] = removed[2, 2, 1, 1] = True
    answers(subject, Mean(), removed)
    # The clip's own frames, of which 0 and 3 stay in every version, 1 in the last and 2 in the first, and two others.
    # The toy clip's frames 0 and 3 show the same.
    assert sum(model.steps) == 3 + 2
    answers(subject, Median(), removed[:1] * 0 + 1 == 2)  # nothing removed
    assert sum(model.steps) == 5
    removed[:, 0] = True
    answers(subject, Mean(), removed)
    assert sum(model.steps) == 6  # frame 0 without its cells; the rest is known


def test_steps_that_look_alike_are_encoded_once_whatever_the_imputer():
    model = Counting()
    subject = toy_subject(model)
    everything = np.ones((1, *cell_shape(subject)), bool)
    answers(subject, Mean(), everything)
    assert sum(model.steps) == 1  # all frames show the mean colour
    answers(subject, Freeze(), everything)
    assert sum(model.steps) == 1
    assert sum(model.batches) == 1 + 2 * 4  # when bound, and two groups


def test_a_model_that_joins_frames_is_given_whole_clips():
    model = Whole()
    assert not isinstance(model, EncodesSteps)
    subject = Subject.bind(model, toy_clip(), QUESTION)
    answers(subject, Mean(), choices(subject))
    assert model.encoded == 1 + 7  # when bound; of nine versions one is the clip itself and one is there twice


def test_dropped_tokens_shorten_the_sequence_and_are_not_encoded_again():
    model = Counting()
    subject = toy_subject(model)
    removed = np.zeros((3, *cell_shape(subject)), bool)
    removed[0, 0, 0, 0] = removed[1, :2] = removed[2] = True
    answers(subject, Token(), removed)
    assert model.lengths[1:] == [47, 24, 0]
    assert sum(model.steps) == 3


@pytest.mark.parametrize(("steps", "versions"), [(1, 1000), (1000, 1), (3, 2), (1, 1)])
def test_batches_are_halved_until_they_fit(steps: int, versions: int):
    model = Counting(1, steps, 1000)
    subject = toy_subject(model)
    model.versions_at_once = versions
    removed = choices(subject)
    found = answers(subject, Blur(), removed)
    assert max(model.steps) <= steps and max(model.batches) <= versions
    torch.testing.assert_close(found, answers(toy_subject(), Blur(), removed), rtol=0, atol=1e-5)
    assert evaluator._of_model[model].versions.size <= versions


def test_what_does_not_fit_alone_is_told():
    model = Counting()
    subject = toy_subject(model)
    model.versions_at_once = 0
    with pytest.raises(NotEnoughMemory, match="perturbed clip: out of memory; fewer frames than 4"):
        answers(subject, Blur(), choices(subject))


def test_steps_not_used_for_longest_go_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(evaluator, "BUDGET", 24)
    steps = Steps()
    for name in (b"a", b"b", b"c"):
        steps.put(name, torch.ones(2))
    assert steps.get(b"a") is not None
    steps.put(b"d", torch.ones(2))
    assert steps.get(b"b") is None
    assert all(steps.get(name) is not None for name in (b"a", b"c", b"d"))
    assert steps.bytes == 24


def test_answers_are_right_when_no_step_can_be_kept(monkeypatch: pytest.MonkeyPatch):
    subject = toy_subject()
    removed = choices(subject)
    wanted = answers(toy_subject(), Blur(), removed)
    monkeypatch.setattr(evaluator, "BUDGET", 0)
    torch.testing.assert_close(answers(subject, Blur(), removed), wanted)


def test_what_is_known_goes_with_the_subject_and_the_model():
    subject = subject_of(np.ones((2, 2, 2)))
    gone = weakref.ref(subject), weakref.ref(subject.model)
    for imputer in (registry.get("imputers", name)() for name in registry.names("imputers")):
        answers(subject, imputer, choices(subject))
    assert isinstance(subject.model, LinearModel)
    del subject
    gc.collect()
    assert gone[0]() is None and gone[1]() is None
