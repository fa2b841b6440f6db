"""The shipped models: small, loadable by plain transformers, and right about the families it is said to know."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from scipy.stats import binom
from transformers import AutoModelForImageTextToText, AutoProcessor

from attrib import models
from attrib.demo import CHECKPOINTS, evaluate
from attrib.demo.generate import generate
from attrib.demo.training.prompts import prompt
from attrib.demo.training.settings import settings
from attrib.demo.world.families import FAMILIES
from attrib.models import BUILT_IN
from attrib.types import Question, Shot

pytestmark = pytest.mark.slow

EACH = 9


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("held_out"), EACH * len(FAMILIES), evaluate.SEED)


@pytest.fixture(scope="module", params=BUILT_IN)
def rows(request: pytest.FixtureRequest, videos: Path) -> dict[str, evaluate.Accuracy]:
    return {row.family: row for row in evaluate.evaluate(videos, request.param)}


@pytest.mark.parametrize(("name", "frames"), [("demo", 8)])
def test_it_is_small_and_plain_transformers_load_it_whole(name: str, frames: int) -> None:
    folder = CHECKPOINTS[name]
    model, report = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    assert sum(p.numel() for p in model.parameters()) <= 2_500_000
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 6_000_000
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    assert models.load(name).frames == frames
    assert models.load(name).grid(Shot(96, 96, tuple(range(frames)), 16.0)).tokens == 8 * 6 * 6


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_word_of_every_question_is_in_the_vocabulary(name: str) -> None:
    tokenizer = AutoProcessor.from_pretrained(CHECKPOINTS[name]).tokenizer
    for family in FAMILIES.values():
        ids = tokenizer(prompt(family.question, ("red", "star", "4"))).input_ids
        assert tokenizer.unk_token_id not in ids


@pytest.mark.parametrize("name", BUILT_IN)
def test_its_settings_are_kept_beside_it(name: str) -> None:
    kept = json.loads((CHECKPOINTS[name] / "training.json").read_text())["settings"]
    assert kept == json.loads(json.dumps(asdict(settings(name))))
    assert (CHECKPOINTS[name] / "training_log.jsonl").read_text().count('"joint"') > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_it_knows_the_family(family: str, rows: dict[str, evaluate.Accuracy]) -> None:
    """Nine videos: guessing gets eight or more right once in a thousand times."""
    assert binom.sf(7, EACH, 1 / 3) < 1e-3
    assert round(rows[family].accuracy * EACH) >= 8


def test_without_the_right_video_it_guesses(rows: dict[str, evaluate.Accuracy]) -> None:
    """Three turns of each question on a blank video, three other videos: 216 guesses, at most a third of them right."""
    guesses = 3 * EACH * len(FAMILIES)
    assert binom.sf(0.46 * guesses, guesses, 1 / 3) < 1e-3
    assert rows["mean"].blank < 0.46
    assert rows["mean"].swapped < 0.46


def test_the_order_of_frames_matters_where_the_question_asks_for_it(rows: dict[str, evaluate.Accuracy]) -> None:
    for family in ("first", "cards"):
        assert rows[family].shuffled < rows[family].accuracy - 0.2
    assert rows["cups"].shuffled > rows["cups"].accuracy - 0.2


def test_the_table_and_the_rows_agree(rows: dict[str, evaluate.Accuracy]) -> None:
    assert list(rows) == [*FAMILIES, "mean"]
    for share in evaluate.SHARES:
        mean = sum(getattr(rows[name], share) for name in FAMILIES) / len(FAMILIES)
        assert getattr(rows["mean"], share) == pytest.approx(mean)
    assert len(evaluate.table(list(rows.values())).rows) == len(rows)


def test_options_turn_round_with_their_answer() -> None:
    """On a blank video every option stands at every letter once, and the right one stays the right one."""
    question = Question("Q", ("a", "b", "c"), 1)
    turned = list(evaluate._rotated(question))
    assert [(q.options, q.answer) for q in turned] == [
        (("a", "b", "c"), 1),
        (("b", "c", "a"), 0),
        (("c", "a", "b"), 2),
    ]
    assert all(q.options[q.answer or 0] == "b" for q in turned)
