"""Share of the vocabulary's probability on the option letters, against the network's own logits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import attrib
from attrib.benchmarks.jobs import finished_run
from attrib.benchmarks.report.header import head, warnings
from attrib.benchmarks.tables.tally import no_choices
from attrib.explaining.binding import letter_mass
from attrib.models import load
from attrib.models.family_model import FamilyModel
from attrib.subject import Subject
from attrib.testing import toy_answer, toy_subject
from attrib.types import Clip, Question

QUESTION = Question("What shape is the object?", ("circle", "star", "ring"))


def subject_of(options: tuple[str, ...] = QUESTION.options) -> Subject:
    frames = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    question = Question(QUESTION.text, options)
    return Subject.bind(load("demo"), Clip(frames, np.arange(4) / 2, 2.0), question)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return subject_of()


def full_shares(subject: Subject) -> torch.Tensor:
    """Probabilities of the whole vocabulary at the answer, through the network's own forward."""
    model = subject.model
    assert isinstance(model, FamilyModel)
    asked = model._prompt(subject.question, None)
    with torch.no_grad():
        embedded = model.module.get_input_embeddings()(asked.ids[None]).clone()
        embedded[:, asked.visual] = model.encode(subject.pixels[None])
        logits = model.module(inputs_embeds=embedded).logits[0, -1]
    return torch.softmax(logits.double(), dim=-1)


def test_it_is_the_letters_share_of_the_whole_softmax(subject: Subject) -> None:
    shares = full_shares(subject)
    letters = subject.model._letters(subject.question)  # type: ignore[attr-defined]
    assert letter_mass(subject) == pytest.approx(float(shares[letters].sum()), abs=1e-6)
    options = shares[letters] / shares[letters].sum()
    assert subject.logprobs.exp().tolist() == pytest.approx(options.tolist(), abs=1e-5)


def test_more_options_have_at_least_as_much(subject: Subject) -> None:
    assert 0 < letter_mass(subject) <= 1  # type: ignore[operator]


def test_free_answers_and_models_that_do_not_tell_have_none() -> None:
    assert letter_mass(toy_answer()) is None and letter_mass(toy_subject()) is None


@pytest.fixture
def unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in model with a head that prefers another word to every letter."""
    plain = FamilyModel.letter_mass

    def lowered(self: FamilyModel, tokens: torch.Tensor, question: Question) -> float:
        head = self.module.lm_head
        handle = head.register_forward_hook(lambda module, given, logits: logits + other(logits))
        try:
            return plain(self, tokens, question)
        finally:
            handle.remove()

    def other(logits: torch.Tensor) -> torch.Tensor:
        shift = torch.zeros_like(logits)
        shift[..., -1] = 100.0
        return shift

    monkeypatch.setattr(FamilyModel, "letter_mass", lowered)


@pytest.fixture
def clip_file(tmp_path: Path) -> Path:
    from attrib import video

    frames = np.random.default_rng(0).integers(0, 256, (8, 48, 48, 3), dtype=np.uint8)
    video.write(tmp_path / "clip.mp4", frames, np.arange(8) / 4)
    return tmp_path / "clip.mp4"


def test_explain_says_it_in_the_summary(clip_file: Path) -> None:
    found = attrib.explain(clip_file, QUESTION.text, options=QUESTION.options, methods=["centre"])
    mass = found.summary()["letter_mass"]
    assert 0.5 < mass <= 1 and not any("no choice" in text for text in found.warnings)
    json.dumps(found.summary(), allow_nan=False)


@pytest.mark.usefixtures("unsure")
def test_explain_warns_below_one_half(clip_file: Path) -> None:
    found = attrib.explain(clip_file, QUESTION.text, options=QUESTION.options, methods=["centre"])
    assert found.summary()["letter_mass"] < 0.01
    words = "the option letters have 0.0% of the model's probability: its answer is no choice among the options"
    assert words in found.warnings


@pytest.mark.usefixtures("unsure")
def test_a_run_says_it_in_results_warnings_and_report(tmp_path: Path) -> None:
    settings = {"data": {"name": "demo", "videos": 2}, "methods": {"centre": None}, "metrics": {"mass": None},
                "overlays": 0, "resamples": 100}  # fmt: skip
    outcome = attrib.bench(settings, tmp_path / "run")
    assert (pd.read_parquet(tmp_path / "run/results.parquet")["letter_mass"] < 0.01).all()
    words = (
        "2 of 2 answers are no choice among the options: their letters have less than 50% of the model's probability"
    )
    assert any(text.startswith(words) for text in outcome.warnings)
    run = finished_run.read(tmp_path / "run")
    assert any(text.startswith(words) for text in warnings(run))
    assert ["Probability of the option letters", "median 0.000, lowest 0.000"] in head(run)["facts"]


def test_samples_count_once_and_those_without_a_mass_do_not() -> None:
    table = pd.DataFrame({"sample": ["a", "a", "b", "c"], "letter_mass": [0.4, 0.4, 0.9, np.nan]})
    assert no_choices(table).startswith("1 of 2 answers")
    assert no_choices(table[table["sample"] != "a"]) == "" == no_choices(table.drop(columns="letter_mass"))
