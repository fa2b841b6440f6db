"""One made PerceptionLM checkpoint, with attention far from uniform, and a subject on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoints import write_checkpoint

from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.family_model import FamilyModel, load_family
from attrib.models.perception_lm_init import Shape
from attrib.subject import Subject
from attrib.types import Clip, Question

FRAMES = 3


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = Shape(class_token=True, init_std=0.2)
    return write_checkpoint(tmp_path_factory.mktemp("perception_lm"), shape, seed=3)


@pytest.fixture(scope="session")
def perception_lm(checkpoint: Path) -> FamilyModel:
    return load_family(PerceptionLM, checkpoint)


@pytest.fixture(scope="session")
def subject(perception_lm: FamilyModel) -> Subject:
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, 60, 80, 3), dtype=np.uint8)
    clip = Clip(frames, np.arange(FRAMES) / 2, end=FRAMES / 2)
    return Subject.bind(perception_lm, clip, Question("Which cup hides the ball?", ("left", "middle", "right")))
