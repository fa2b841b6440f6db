"""The shipped model: small, loadable by plain transformers, and right about the families it is said to know."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import torch
from scipy.stats import binom
from transformers import AutoModelForImageTextToText, AutoProcessor

from attrib import models
from attrib.demo import CHECKPOINT, evaluate
from attrib.demo.families import FAMILIES
from attrib.demo.prompts import prompt
from attrib.demo.settings import Settings

KNOWN = ("move", "light", "appear", "cards", "cups")  # at least 80 % right by `python -m attrib.demo.evaluate`
EACH = 12


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, evaluate.Accuracy]:
    samples = evaluate.held_out(tmp_path_factory.mktemp("held_out"), EACH * len(FAMILIES))
    with torch.no_grad():
        return {row.family: row for row in evaluate.evaluate(models.load("demo"), samples)}


def test_it_is_small_and_plain_transformers_load_it_whole() -> None:
    model, report = AutoModelForImageTextToText.from_pretrained(CHECKPOINT, output_loading_info=True)
    assert not any(report.values())
    assert sum(p.numel() for p in model.parameters()) <= 2_500_000
    assert sum(path.stat().st_size for path in CHECKPOINT.iterdir()) <= 6_000_000
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    assert models.load("demo").grid(8).tokens == 8 * 6 * 6


def test_every_word_of_every_question_is_in_the_vocabulary() -> None:
    tokenizer = AutoProcessor.from_pretrained(CHECKPOINT).tokenizer
    for family in FAMILIES.values():
        ids = tokenizer(prompt(family.question, ("red", "star", "4"))).input_ids
        assert tokenizer.unk_token_id not in ids


def test_its_settings_are_kept_beside_it() -> None:
    kept = json.loads((CHECKPOINT / "training.json").read_text())["settings"]
    assert kept == json.loads(json.dumps(asdict(Settings())))
    assert (CHECKPOINT / "training_log.jsonl").read_text().count('"joint"') > 0


@pytest.mark.parametrize("family", KNOWN)
def test_it_knows_the_family(family: str, rows: dict[str, evaluate.Accuracy]) -> None:
    """Twelve videos: guessing gets ten or more right once in two thousand times."""
    assert binom.sf(9, EACH, 1 / 3) < 1e-3
    assert round(rows[family].accuracy * EACH) >= 10


def test_without_the_right_video_it_guesses(rows: dict[str, evaluate.Accuracy]) -> None:
    """Letters are balanced, so one answer to a blank video is right in a third of the cases, all families together."""
    videos = EACH * len(FAMILIES)
    assert binom.sf(0.55 * videos, videos, 1 / 3) < 1e-3
    assert rows["mean"].blank < 0.55
    assert rows["mean"].swapped < 0.55


def test_the_table_and_the_rows_agree(rows: dict[str, evaluate.Accuracy]) -> None:
    assert list(rows) == [*FAMILIES, "mean"]
    mean = sum(rows[name].accuracy for name in FAMILIES) / len(FAMILIES)
    assert rows["mean"].accuracy == pytest.approx(mean)
    assert len(evaluate.table(list(rows.values())).rows) == len(rows)
