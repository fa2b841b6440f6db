from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from attrib import registry
from attrib.benchmarks.imputers.mean import Mean
from attrib.benchmarks.imputers.token import Token
from attrib.benchmarks.metrics.faithfulness import Comprehensiveness
from attrib.benchmarks.metrics.synergy import NEUTRAL, Synergy, neutral_subject
from attrib.benchmarks.perturb.curves import chance_curves
from attrib.subject import Subject, Target
from attrib.testing import check_metric, toy_answer, toy_volume
from attrib.types import Clip, Question

from linear import LinearModel, sample_of, subject_of, volume_of

# As in test_faithfulness: f goes 400, 260, 210 as cells 7 and 6 are replaced by the mean red of 70.
RED = np.arange(0, 160, 20).reshape(2, 2, 2)
WEIGHTS = np.array([0, 0, 0, 0, 0, 0, 255, 510.0]).reshape(2, 2, 2)
ALWAYS = np.array([0, 0, 0, 0, 0, 0, 255, 0.0]).reshape(2, 2, 2)  # cell 6 matters to the neutral question too
BEST_FIRST = np.arange(8.0).reshape(2, 2, 2)


class TwoQuestions(LinearModel):
    """Linear model with other weights for the neutral question."""

    def __init__(self, weights: np.ndarray, neutral: np.ndarray, text: str = NEUTRAL) -> None:
        super().__init__(weights)
        self.other, self.text = LinearModel(neutral), text

    def score_tokens(self, tokens: Tensor, question: Question, keep: Tensor | None = None) -> Tensor:
        if question.text == self.text:
            return self.other.score_tokens(tokens, question, keep)
        return super().score_tokens(tokens, question, keep)


def subject_with(neutral: np.ndarray, text: str = NEUTRAL) -> Subject:
    plain = subject_of(WEIGHTS, RED)
    model = TwoQuestions(WEIGHTS, neutral, text)
    return Subject.bind(model, plain.clip, plain.question, Target("option", (0,)))


@pytest.mark.parametrize("name", registry.names("imputers"))
def test_contract(name: str):
    check_metric(Synergy(registry.get("imputers", name)()))


def test_by_hand():
    # The top 1, 5, 10, 20, 50 % of 8 cells are 0, 0, 1, 2, 4 of them. They cost 140, 190, 190 under the question and
    # 0, 50, 50 under the neutral one, in which cell 6 alone counts (red 120 for 70).
    score = Synergy(Mean()).score(volume_of(BEST_FIRST), subject_with(ALWAYS), sample_of())
    assert score.value == pytest.approx(((140 - 0) + (190 - 50) + (190 - 50)) / 5, abs=1e-3)
    assert score.vision is True
    dropped = Synergy(Token()).score(volume_of(BEST_FIRST), subject_with(ALWAYS), sample_of())
    assert dropped.value == pytest.approx((280 + (400 - 120) * 2) / 5, abs=1e-3)  # with f = 120 + 280 and 120


def test_what_matters_to_every_question_is_worth_nothing():
    subject = subject_with(WEIGHTS)
    assert Synergy(Mean()).score(volume_of(BEST_FIRST), subject, sample_of()).value == pytest.approx(0, abs=1e-4)
    assert Comprehensiveness(Mean()).score(volume_of(BEST_FIRST), subject, sample_of()).value > 100


def test_it_is_comprehensiveness_where_the_neutral_question_needs_no_video_and_negative_where_it_needs_more():
    volume, sample = volume_of(BEST_FIRST), sample_of()
    none, more = (Synergy(Mean()).score(volume, subject_with(factor * WEIGHTS), sample).value for factor in (0, 1.5))
    wanted = Comprehensiveness(Mean()).score(volume, subject_with(ALWAYS), sample).value
    assert none == pytest.approx(wanted) and more == pytest.approx(-wanted / 2, abs=1e-3)


def test_chance_is_the_value_of_the_seeded_random_order():
    subject, metric = subject_with(ALWAYS), Synergy(Mean())
    random, other = chance_curves(subject, Mean()), chance_curves(subject_of(ALWAYS, RED), Mean())
    drops = [
        sum(curve.log_odds[0] - curve.log_odds[[0, 0, 1, 2, 3]]) / 5 for curve in (random.most_first, other.most_first)
    ]
    score = metric.score(volume_of(BEST_FIRST), subject, sample_of())
    assert score.chance == pytest.approx(drops[0] - drops[1], abs=1e-3) and score.chance != pytest.approx(score.value)


def test_the_neutral_question_is_a_parameter_and_the_same_question_is_undefined():
    volume = volume_of(BEST_FIRST)
    mine = Synergy(Mean(), neutral="Anything red?")
    assert mine.score(volume, subject_with(ALWAYS, "Anything red?"), sample_of()).value == pytest.approx(
        420 / 5, abs=1e-3
    )
    score = Synergy(Mean(), neutral="Is there red? ").score(volume, subject_with(ALWAYS), sample_of())
    assert np.isnan(score.value) and score.reason == "the question is the neutral one"
    with pytest.raises(ValueError, match="neutral: expected the text of a question"):
        Synergy(neutral="  ")


def test_the_explained_option_and_the_encoded_video_stay():
    subject = replace(subject_with(-WEIGHTS), target=Target("predicted"))
    other = neutral_subject(subject, NEUTRAL)
    assert int(other.logprobs.argmax()) != int(subject.logprobs.argmax())  # it would choose the other option
    assert (other.explained, other.others) == (subject.explained, subject.others)
    assert neutral_subject(subject, NEUTRAL) is other
    assert torch.equal(other.pixels, subject.pixels)


def test_free_answers_have_a_value():
    subject = toy_answer()
    values = np.zeros((4, 3, 4), np.float32)
    values[2, 1, 2] = 1
    volume, sample = toy_volume(values), sample_of()
    same = Synergy(Mean(), neutral="So, is it red?").score(volume, subject, sample)
    assert same.value == pytest.approx(0, abs=1e-5)  # the toy model attends alike
    found = Synergy(Mean()).score(volume, subject, sample)
    drops = [Comprehensiveness(Mean()).score(volume, each, sample).value for each in (subject, subject.asked(NEUTRAL))]
    assert found.value == pytest.approx(drops[0] - drops[1], abs=1e-5)
    assert abs(found.value) > 0.1


def test_a_clip_of_the_linear_world_is_encoded_once_for_both_questions():
    """Versions of the clip are the same under both questions; a model that encodes steps does so once."""
    from attrib.testing import toy_subject

    subject = toy_subject()
    encoded: list[int] = []
    plain = subject.model.encode_steps

    def counting(pixels: Tensor) -> Tensor:
        encoded.append(len(pixels))
        return plain(pixels)

    subject.model.encode_steps = counting  # type: ignore[method-assign]
    values = np.random.default_rng(0).random((4, 3, 4), np.float32)
    Comprehensiveness(Mean()).score(toy_volume(values), subject, sample_of())
    before = sum(encoded)
    Synergy(Mean()).score(toy_volume(values), subject, sample_of())
    assert before > 0 and sum(encoded) == before
    assert isinstance(subject.clip, Clip)
