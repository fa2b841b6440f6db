from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from attrib.benchmarks.speed import RIVAL, Measure, stored_rollout, table
from attrib.methods.attention_rollout import AttentionRollout
from attrib.models import load
from attrib.models.perception_lm_init import Shape, write_checkpoint
from attrib.subject import Subject
from attrib.types import Clip, Question


def test_the_rival_is_the_same_rollout(tmp_path: Path) -> None:
    """What is timed against each other must compute the same."""
    model = load(str(write_checkpoint(tmp_path / "model", Shape(init_std=0.2))))
    frames = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8)
    subject = Subject.bind(model, Clip(frames, np.arange(2.0), 2.0), Question("What?", ("this", "that")))
    ours = AttentionRollout().values(subject)
    stored = stored_rollout(subject)
    first = subject.model._prompt(subject.question, subject.grid.tokens)[1].start
    torch.testing.assert_close(stored[first : first + subject.grid.tokens], ours.flatten(), rtol=1e-4, atol=1e-7)


def test_ratios_are_to_the_rival_of_the_same_length() -> None:
    found = [
        Measure(RIVAL, 2, 18, 4.0, 2**21), Measure("m", 2, 18, 1.0, 2**20),
        Measure(RIVAL, 4, 36, 8.0, 2**23), Measure("m", 4, 36, 4.0, 2**20),
    ]  # fmt: skip
    shown = table(found)
    assert list(shown.columns[4].cells) == ["1.00", "0.25", "1.00", "0.50"]
    assert list(shown.columns[6].cells) == ["1.00", "0.50", "1.00", "0.12"]
