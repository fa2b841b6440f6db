"""Settings that determine the result of `python -m attrib.demo.train`; stored next to the weights as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

from attrib.demo.world.scene import EVENTS
from attrib.models.perception_lm_init import Shape

# Scene seeds are split into two disjoint ranges: generated (held-out) videos use seeds below TRAINING_SEEDS, training
# uses the others.
TRAINING_SEEDS = 1_000_000_000
BLIND = 6  # one in this many training videos of an event lacks the evidence, so that its absence is learnt too


@dataclass(frozen=True)
class Mix:
    """Mix of questions about one video: their number, the shares of easier kinds, and the weights of the families."""

    questions: int = 6
    open_share: float = 0.0  # share of questions without options
    echo_share: float = 0.0  # share that only asks for the letter of a word, which needs no video
    weights: tuple[tuple[str, float], ...] = ()  # by family; default 1


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
    mix: Mix = Mix()
    mix_last: Mix | None = None  # mix of the second half; the first half interpolates from `mix` to it

    def mix_at(self, step: int) -> Mix:
        """Mix of questions at one step."""
        if self.mix_last is None:
            return self.mix
        done = min(1.0, 2 * step / self.steps)
        shares = [
            first + done * (last - first)
            for first, last in (
                (self.mix.open_share, self.mix_last.open_share),
                (self.mix.echo_share, self.mix_last.echo_share),
            )
        ]
        return Mix(self.mix.questions, shares[0], shares[1], self.mix.weights)


_FOCUS = Mix(
    open_share=0.15, echo_share=0.03,
    weights=(("hit", 4.0), ("hit_colour", 2.0), ("appear", 3.0), ("appear_shape", 2.0)),
)  # fmt: skip
_JOINT = Mix(
    questions=4, open_share=0.2, echo_share=0.02,
    weights=(("appear", 3.0), ("appear_shape", 1.5), ("first", 2.5), ("cards", 1.5), ("cups", 3.0), ("hit", 2.5),
             ("move_shape", 0.4), ("hit_colour", 0.4)),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Model shape, data and stages; `train` describes the stages."""

    seed: int = 0
    shape: Shape = field(
        default_factory=lambda: Shape(
            image_size=96, patch_size=8, tower_width=64, tower_depth=3, tower_heads=4, width=128, layers=4, heads=4,
            kv_heads=2, mlp_width=256, positions=2048, rope_theta=10000.0, init_std=0.06, layer_scale=0.5,
            frames=8,  # as labels.READ; the adapter reads as many of a video
        )
    )  # fmt: skip
    code_length: float = 4.0
    scenes: int = 7200
    tower: StageSettings = StageSettings(steps=2000, batch=64)  # single frames
    words: StageSettings = StageSettings(steps=700, batch=24)
    decoder: StageSettings = StageSettings(
        steps=2400, batch=12, floor=0.5, kept=(72,),
        mix=Mix(open_share=0.5, echo_share=0.1), mix_last=Mix(open_share=0.15, echo_share=0.05),
    )  # fmt: skip
    focus: StageSettings = StageSettings(
        steps=1000, batch=12, warmup=50, floor=0.6, kept=(72, 72, 120, 288), mix=_FOCUS, blind=0.08,
        events=("hit", "appear", "hit", "first", "hit", "appear", "cards", "cups"),
    )  # fmt: skip
    joint: StageSettings = StageSettings(
        steps=1400, batch=12, rate=8e-4, warmup=30, mix=_JOINT, blind=0.12,
        events=("appear", "cups", "first", "hit", "cards", "appear", "move"),
    )  # fmt: skip
