"""Prompt contrast against the two maps that it is made of, each computed for a subject bound by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from attrib import config, registry
from attrib.errors import ConfigError, InputError
from attrib.methods.prompt_contrast import PromptContrast
from attrib.models.family_model import FamilyModel
from attrib.subject import Subject, Target
from attrib.testing import check_method, toy_subject
from attrib.types import Question

NEUTRAL = "Describe the video."


def bound(subject: Subject, text: str) -> Subject:
    """The same clip, options and explained option under another question."""
    question = Question(text, subject.question.options)
    return Subject.bind(subject.model, subject.clip, question, Target("option", subject.explained))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("relevance", {}), ("saliency", {"space": "tokens"}), ("occlusion", {"cells": 2, "space": "tokens"}),
     ("rise", {"samples": 6}), ("grad_cam", {})],
)  # fmt: skip
def test_it_is_one_map_minus_the_other(subject: Subject, name: str, arguments: dict[str, Any]) -> None:
    method = registry.get("methods", name)(**arguments)
    other = bound(subject, NEUTRAL)
    assert not torch.allclose(other.logprobs, subject.logprobs, atol=1e-3)
    own, neutral = (torch.from_numpy(method.attribute(each).values) for each in (subject, other))
    found = torch.from_numpy(PromptContrast(name, arguments).attribute(subject).values)
    assert not torch.allclose(own, neutral, rtol=1e-2)
    scale = float(own.abs().max())
    torch.testing.assert_close(found, own - neutral, rtol=1e-4, atol=1e-5 * scale)
    shares = own / own.abs().sum() - neutral / neutral.abs().sum()
    found = torch.from_numpy(PromptContrast(name, arguments, scale="mass").attribute(subject).values)
    torch.testing.assert_close(found, shares, rtol=1e-4, atol=1e-5 * float(shares.abs().max()))


def test_it_explains_a_free_answer(perception_lm: FamilyModel, subject: Subject) -> None:
    reply = perception_lm.reply("the red cup")
    asked, neutral = (
        Subject.bind(perception_lm, subject.clip, Question(text, reply=reply), Target("answer", words=("red",)))
        for text in ("What is on the table?", "Say it.")
    )
    one, two = (registry.get("methods", "relevance")().values(each) for each in (asked, neutral))
    found = PromptContrast(neutral="Say it.").values(asked)
    torch.testing.assert_close(found, one - two, rtol=1e-4, atol=1e-6 * float(one.max()))


def test_the_neutral_answer_is_the_models_own(subject: Subject) -> None:
    asked = subject.asked(NEUTRAL)
    torch.testing.assert_close(asked.logprobs, bound(subject, NEUTRAL).logprobs)
    assert asked.explained == subject.explained and asked.others == subject.others
    assert asked.visual is subject.visual and asked.question.options == subject.question.options


def test_the_same_question_leaves_nothing() -> None:
    subject = toy_subject()
    assert not PromptContrast(neutral=subject.question.text).attribute(subject).values.any()


def test_a_parameter_that_does_not_fit_the_model_is_refused_before(subject: Subject) -> None:
    with pytest.raises(InputError, match="layer"):
        PromptContrast("grad_cam", {"layer": "nowhere"}).check(subject)


@pytest.mark.parametrize("parameters", [{"name": "integrated_gradients"}, {"name": "raw_attention"}], ids=str)
def test_variants_keep_the_contract(parameters: dict[str, Any]) -> None:
    check_method(PromptContrast(**parameters))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": "relevence"}, "unknown method 'relevence'; did you mean 'relevance'"),
        ({"arguments": {"checkpoints": True}}, "methods.relevance.checkpoints: unknown key; did you mean 'checkpoint'"),
        ({"neutral": " "}, "neutral: expected the text of a question"),
        ({"scale": "sum"}, "scale: input should be 'raw' or 'mass'"),
    ],
)
def test_impossible_settings_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.build("methods", "prompt_contrast", parameters)
