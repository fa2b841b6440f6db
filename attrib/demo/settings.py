"""Everything that decides what `python -m attrib.demo.train` makes. Kept beside the weights as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

from attrib.models.perception_lm_init import Shape

# Videos of the world are drawn from two ranges of scene seeds that never meet: generated (held-out) videos use seeds
# below TRAINING_SEEDS, training uses those from there on.
TRAINING_SEEDS = 1_000_000_000


@dataclass(frozen=True)
class Stage:
    """One stage of training: its length, videos a step, and the peak of a one-cycle cosine learning rate."""

    steps: int
    batch: int
    rate: float = 1e-3
    warmup: int = 100
    decay: float = 0.999  # of the averaged weights


@dataclass(frozen=True)
class Settings:
    """Model shape, data and the stages: the tower on its own, the decoder (first words) on its own, then joint."""

    seed: int = 0
    shape: Shape = field(
        default_factory=lambda: Shape(
            image_size=96, patch_size=8, tower_width=64, tower_depth=3, tower_heads=4, width=128, layers=4, heads=4,
            kv_heads=2, mlp_width=256, positions=2048, rope_theta=10000.0, init_std=0.06, layer_scale=0.5, frames=8,
        )
    )  # fmt: skip
    code_length: float = 4.0
    scenes: int = 6000
    questions: int = 6  # about one video, in one sequence
    open_share: tuple[float, float] = (0.5, 0.15)  # of the questions, asked without options: first, last
    echo_share: tuple[float, float] = (0.1, 0.05)  # asked only which letter stands before a word: first, last
    visual_kept: int = 72  # of 288 visual tokens in the decoder stage: all things and some of the empty table
    tower: Stage = Stage(steps=1600, batch=12)
    words: Stage = Stage(steps=700, batch=24)
    decoder: Stage = Stage(steps=2500, batch=12)
    joint: Stage = Stage(steps=1200, batch=16, rate=5e-4)
