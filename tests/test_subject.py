"""The scalar that is explained: targets as text, what they resolve to, and log-odds by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from attrib.errors import InputError
from attrib.subject import Subject, Target
from attrib.testing import QUESTION, ToyModel, toy_answer, toy_clip, toy_subject
from attrib.types import Question

THREE = Question("Which?", ("x", "y", "z"), answer=2)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("predicted", Target("predicted")),
        ("correct", Target("correct")),
        ("correct:1", Target("correct", (1,))),
        ("option:0", Target("option", (0,))),
        ("contrast:2,0", Target("contrast", (2, 0))),
    ],
)
def test_targets_are_read_and_written(text: str, target: Target) -> None:
    assert Target.parse(text) == target
    assert str(target) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("predcited", "unknown kind 'predcited'; did you mean 'predicted'"),
        ("", "unknown kind ''; choose one of: contrast, correct, option, predicted"),
        ("option", "expected one of the forms"),
        ("option:", "expected one of the forms"),
        ("option:1,2", "expected one of the forms"),
        ("option:B", "expected whole option numbers after 'option', got 'B'"),
        ("option:1.5", "expected whole option numbers"),
        ("predicted:1", "expected one of the forms"),
        ("contrast:1", "expected one of the forms"),
        ("contrast:1,1", "expected one of the forms"),
        ("contrast:0,1,2", "expected one of the forms"),
        ("contrast:1,", "expected whole option numbers"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Target.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "option", "others"),
    [
        ("predicted", 1, (0, 2)),
        ("correct", 2, (0, 1)),
        ("correct:0", 0, (1, 2)),
        ("option:0", 0, (1, 2)),
        ("contrast:0,2", 0, (2,)),
        ("contrast:2,0", 2, (0,)),
    ],
)
def test_targets_resolve(text: str, option: int, others: tuple[int, ...]) -> None:
    assert Target.parse(text).resolve(THREE, predicted=1) == ((option,), others)


def test_the_first_option_can_be_predicted_or_correct() -> None:
    """0 is an option like any other, not a missing one."""
    assert Target("predicted").resolve(THREE, predicted=0) == ((0,), (1, 2))
    assert Target("correct").resolve(replace(THREE, answer=0), predicted=1) == ((0,), (1, 2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("option:3", "target option:3: expected an option from 0 to 2, got 3"),
        ("option:-1", "expected an option from 0 to 2, got -1"),
        ("contrast:0,9", "got 9"),
        ("correct", "the right answer is not known; name it as correct:K"),
    ],
)
def test_targets_that_are_not_there_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Target.parse(text).resolve(replace(THREE, answer=None), predicted=0)


class Fixed(ToyModel):
    """Three options of probability 0.5, 0.3 and 0.2, whatever it sees."""

    def score_tokens(self, tokens: Tensor, question: Question, keep: Tensor | None = None) -> Tensor:
        return torch.tensor([0.5, 0.3, 0.2]).log().expand(len(tokens), -1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("predicted", math.log(0.5 / 0.5)),
        ("option:1", math.log(0.3 / 0.7)),
        ("correct", math.log(0.2 / 0.8)),
        ("contrast:0,2", math.log(0.5 / 0.2)),
        ("contrast:2,0", math.log(0.2 / 0.5)),
    ],
)
def test_the_scalar_is_the_log_odds(text: str, expected: float) -> None:
    subject = Subject.bind(Fixed(), toy_clip(), THREE, Target.parse(text))
    pixels = torch.stack([subject.pixels, subject.pixels])
    assert subject.score(pixels).tolist() == pytest.approx([expected] * 2, abs=1e-6)
    assert subject.score_tokens(subject.model.encode(pixels)).tolist() == pytest.approx([expected] * 2, abs=1e-6)


def test_binding_asks_the_model() -> None:
    subject = Subject.bind(Fixed(), toy_clip(), THREE, seed=5)
    assert subject.logprobs.exp().tolist() == pytest.approx([0.5, 0.3, 0.2])
    assert (subject.predicted, subject.option, subject.others, subject.seed) == (0, 0, (1, 2), 5)
    assert not subject.logprobs.requires_grad
    assert subject.grid == subject.model.grid(subject.shot)


def test_a_target_that_is_not_there_is_refused_at_binding() -> None:
    with pytest.raises(InputError, match="expected an option from 0 to 1, got 2"):
        Subject.bind(ToyModel(), toy_clip(), QUESTION, Target.parse("option:2"))


def test_the_linear_toys_log_odds_are_known_by_hand() -> None:
    """8 times the mean over 49 tokens of red minus green: 0.8 in one cell."""
    subject = toy_subject(ToyModel(sharpness=0))
    assert float(subject.score(subject.pixels[None])) == pytest.approx(8 * 0.8 / 49, rel=1e-5)
    assert subject.predicted == 0


def test_the_description_is_in_words() -> None:
    assert Subject.bind(Fixed(), toy_clip(), THREE).description == "A. x"
    contrast = Subject.bind(Fixed(), toy_clip(), THREE, Target.parse("contrast:2,1"))
    assert contrast.description == "C. z against B. y"


@pytest.mark.parametrize("size", [1, 3, 5, 8])
def test_versions_are_answered_in_order_and_in_batches(size: int) -> None:
    subject = toy_subject()
    versions = [subject.pixels * (1 - i / 5) for i in range(5)]
    asked: list[int] = []

    def version(i: int) -> Tensor:
        asked.append(i)
        return versions[i]

    found = subject.logprobs_of(5, version, size)
    expected = torch.cat([subject.model.option_logprobs(one[None], QUESTION) for one in versions])
    torch.testing.assert_close(found, expected)
    assert asked == [0, 1, 2, 3, 4]
    assert not found.requires_grad
    assert np.ptp(found[:, 0].numpy()) > 0.1


def test_the_rival_is_the_strongest_of_the_others() -> None:
    subject = replace(toy_subject(), question=THREE, logprobs=torch.tensor([0.2, 0.3, 0.5]).log())
    assert replace(subject, explained=(2,), others=(0, 1)).rival == 1
    assert replace(subject, explained=(1,), others=(0, 2)).rival == 2
    assert replace(subject, explained=(2,), others=(0,)).rival == 0  # a contrast leaves no choice


def test_towards_explains_another_option_against_all_others() -> None:
    subject = replace(toy_subject(), question=THREE, logprobs=torch.tensor([0.2, 0.3, 0.5]).log())
    turned = replace(subject, explained=(2,), others=(0,)).towards(1)
    assert (turned.option, turned.others, str(turned.target)) == (1, (0, 2), "option:1")
    assert float(turned.log_odds(turned.logprobs[None])) == pytest.approx(math.log(0.3 / 0.7))
    assert turned.pixels is subject.pixels


def test_the_scalar_of_a_free_answer_is_the_mean_log_probability() -> None:
    """Worked by hand: the linear toy's logits are 8 times the mean over all tokens so far of red and of green."""
    subject = replace(toy_answer("red green"), model=ToyModel(sharpness=0))
    reds, greens = 48 * 0.4 + 0.6 - 0.2, 48 * 0.4 - 2 * 0.2
    by_hand = []
    for said, tokens in ((0, 49), (1, 50)):
        logits = [8 * reds / tokens, 8 * greens / tokens]
        by_hand.append(logits[said] - math.log(sum(map(math.exp, logits))))
    pixels = subject.pixels[None]
    assert subject.logprobs_of(1, lambda _: subject.pixels)[0].tolist() == pytest.approx(by_hand, abs=1e-5)
    assert float(subject.score(pixels)) == pytest.approx(sum(by_hand) / 2, abs=1e-5)
    assert float(subject.score_tokens(subject.model.encode(pixels))) == pytest.approx(sum(by_hand) / 2, abs=1e-5)
    green = subject.aimed(Target("answer", words=("Green",)))
    assert float(green.score(pixels)) == pytest.approx(by_hand[1], abs=1e-5)
    assert float(green.probability(torch.tensor([by_hand]))) == pytest.approx(math.exp(by_hand[1]), abs=1e-5)
    assert (green.tokens, green.explained, green.others) == ((1,), (1,), ())


def test_a_free_answer_is_the_target_of_its_question() -> None:
    subject = toy_answer("red green")
    assert (str(subject.target), subject.description) == ("answer", '"red green"')
    part = subject.aimed(Target("answer", words=("green", "red")))
    assert (str(part.target), part.description) == ("answer:green,red", '"green" and "red" in "red green"')
    assert toy_subject().tokens == (0,)  # the option's letter


@pytest.mark.parametrize("read", [lambda s: s.option, lambda s: s.predicted, lambda s: s.rival])
def test_a_free_answer_has_no_options(read: Callable[[Subject], int]) -> None:
    with pytest.raises(InputError, match="only multiple choice") as caught:
        read(toy_answer())
    assert "\n" not in str(caught.value)


def test_targets_of_the_other_kind_are_refused() -> None:
    for target in ("predicted", "option:0", "contrast:0,1"):
        with pytest.raises(InputError, match=f"target {target}: does not apply to a question with a free answer"):
            toy_answer().aimed(Target.parse(target))
    with pytest.raises(InputError, match="target answer: does not apply to a question with options"):
        toy_subject().aimed(Target("answer"))
    with pytest.raises(InputError, match="unknown kind 'answer'"):
        Target.parse("answer")
    with pytest.raises(InputError, match="word 'rde' is not in the answer 'red, red'; did you mean 'red'"):
        toy_answer().aimed(Target("answer", words=("rde",)))


def test_a_question_with_neither_options_nor_answer_is_refused() -> None:
    with pytest.raises(InputError, match="expected options, or a free answer to explain; got neither"):
        Subject.bind(ToyModel(), toy_clip(), replace(QUESTION, options=(), answer=None))


def test_visual_tokens_are_those_of_its_own_model_and_pixels() -> None:
    """However a subject was made from another one; and the same tensor, not encoded again, for another target."""
    subject = toy_subject()
    tokens = subject.visual
    assert subject.towards(1).visual is tokens and replace(subject, seed=3).visual is tokens
    brighter = replace(subject, pixels=subject.pixels / 2)
    torch.testing.assert_close(brighter.visual, subject.model.encode(subject.pixels[None] / 2))
    assert not torch.equal(brighter.visual, tokens)
    torch.testing.assert_close(subject.visual, tokens, atol=0, rtol=0)
    other = replace(subject, model=ToyModel())
    assert other.visual is not subject.visual and not other.visual.requires_grad
