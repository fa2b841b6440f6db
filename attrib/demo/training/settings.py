"""Settings that determine the result of `python -m attrib.demo.train`; stored next to the weights as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from attrib.demo.world.scene import EVENTS, FRAMES
from attrib.models.perception_lm_init import Shape

# Scene seeds are split into two disjoint ranges: generated (held-out) videos use seeds below TRAINING_SEEDS, training
# uses the others.
TRAINING_SEEDS = 1_000_000_000
BLIND = 6  # one in this many training videos of an event lacks the evidence, so that its absence is learnt too
Kind = Literal["open", "listed", "options", "echo"]


@dataclass(frozen=True)
class Mix:
    """Questions of one step: their number for each video, and their kind: without options ("open"), with options that
    are "listed" but answered in words, with "options" and answered by a letter, or for the letter of a word ("echo"),
    which needs no video. `echo_share` of those with options are such questions too.
    """

    questions: int = 6
    kind: Kind = "options"
    echo_share: float = 0.0


@dataclass(frozen=True)
class StageSettings:
    """Settings of one training stage: its length, videos per step, and a learning rate that decays from `rate`.

    The decay is a cosine down to `floor` times the rate. The videos of a step cycle through `events`. Steps cycle
    through `kept`, the number of visual tokens that the decoder sees (all with an entity, and some of the empty table).
    `blind` is the share of videos without the evidence.
    """

    steps: int
    batch: int
    rate: float = 1e-3
    warmup: int = 100
    floor: float = 0.02
    decay: float = 0.999  # of the averaged weights
    events: tuple[str, ...] = EVENTS
    kept: tuple[int, ...] = (288,)
    blind: float = 0.0
    questions: int = 6
    echo_share: float = 0.0  # of the questions with options
    open_share: tuple[float, float] = (0.0, 0.0)  # of steps without options: at first, and from half of the steps on
    listed_from: int | None = None  # step from which half of those without options list them, but take words
    sparse: tuple[int, int] = (0, 0)  # steps up to which nothing but what an answer needs is shown, and from which all
    sparse_options: tuple[int, int] = (0, 0)  # the same of questions with options

    def mix(self, step: int, rng: np.random.Generator, knows_letters: bool = True) -> Mix:
        """Mix of questions of one step. What has options waits until the model tells the letter of a word."""
        done = min(1.0, 2 * step / self.steps)
        if rng.random() < self.open_share[0] + done * (self.open_share[1] - self.open_share[0]):
            listed = self.listed_from is not None and step >= self.listed_from and rng.random() < 0.5
            return Mix(self.questions, "listed" if listed else "open")
        return Mix(self.questions, "options" if knows_letters else "echo", self.echo_share)

    def plain(self, step: int, options: bool = False) -> float:
        """Share of the other things, and of the tokens without an event, that are shown in one step."""
        first, last = self.sparse_options if options else self.sparse
        return min(1.0, max(0.0, (step - first) / (last - first))) if last else 1.0


@dataclass(frozen=True)
class Settings:
    """Model, data and stages; `train` describes the stages."""

    model: Literal["demo", "demo-qwen"] = "demo"
    seed: int = 0
    shape: Shape = field(
        default_factory=lambda: Shape(
            image_size=96, patch_size=8, tower_width=64, tower_depth=3, tower_heads=4, width=128, layers=6, heads=4,
            kv_heads=2, mlp_width=256, positions=2048, rope_theta=10000.0, init_std=0.06, layer_scale=0.5,
            frames=8,  # as labels.READ; the adapter reads as many of a video
        )
    )  # fmt: skip
    code_length: float = 4.0
    scenes: int = 9600
    tower: StageSettings = StageSettings(steps=3200, batch=64)  # single frames
    cups: StageSettings = StageSettings(steps=2400, batch=12, floor=0.8, kept=(24,), sparse=(300, 750))
    decoder: StageSettings = StageSettings(
        events=(*EVENTS, "hide"),
        steps=4000, batch=12, floor=0.4, kept=(64, 64, 64, 96), blind=0.06, echo_share=0.2, open_share=(0.5, 0.25),
        sparse=(100, 900), sparse_options=(1200, 2400), listed_from=900,
    )  # fmt: skip
    joint: StageSettings = StageSettings(
        events=(*EVENTS, "hide", "hide"), steps=1600, batch=12, warmup=30, questions=4, echo_share=0.02,
        open_share=(0.1, 0.1), blind=0.12,
    )  # fmt: skip


def settings(model: str) -> Settings:
    """Return the settings of one of the built-in models. Raises ValueError for another name."""
    if model == "demo":
        return Settings()
    if model == "demo-qwen":
        plain = Settings()
        shape, decoder = replace(plain.shape, frames=FRAMES), replace(plain.decoder, steps=5000, listed_from=1600)
        return replace(plain, model="demo-qwen", shape=shape, decoder=decoder)
    raise ValueError(f"model: expected demo or demo-qwen, got {model}")
