"""Questions that the readers try to answer, and the state of every entity in each frame that a model reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attrib.demo.training.labels import READ, READ_FRAMES
from attrib.demo.world.families import FAMILIES, Family
from attrib.demo.world.scene import COLOURS, EVENTS, MAT, Entity, Scene
from attrib.demo.world.table import sample

Sampler = Callable[[int, str], Scene]
READER_SEED = 2_000_000_000  # of the first scene; above those of generated sets, of the evidence check and of training
_KIND = {"hide": "mat", "cards": "card", "cups": "cup", "jumps": "ball"}  # of the entities that options name
NUMBERS = ("cups", "jumps")  # families whose options are numbers

_LOOK = ("seen", "x", "y", "nearness", "cup", "ball")
_EVENT = ("moving", "struck", "sparkling", "lifted", "turned", "wobbling", "step x", "step y", "moving neighbour")
STATE = (*_LOOK, *_EVENT)
AT_REST = slice(len(_LOOK))  # what is left of a state without the flags of motion
SEEN, X, Y, _, CUP, BALL = range(len(_LOOK))
FLAGS = slice(len(_LOOK), len(_LOOK) + 6)


@dataclass(frozen=True)
class Asked:
    """Scene with one question about it: its options and the index of the right one."""

    scene: Scene
    family: Family
    options: tuple[str, ...]
    right: int

    @property
    def number(self) -> int | None:
        """The answer, if it is a number."""
        return int(self.options[self.right]) if self.family.name in NUMBERS else None

    @cached_property
    def named(self) -> list[list[int]]:
        """Indices of the entities that each option names; for a number, one list of all of the kind in question."""
        kind = _KIND.get(self.family.name, "object")
        of_kind = [i for i, e in enumerate(self.scene.entities) if e.kind == kind and any(self.scene.seen(e))]
        if self.family.name in NUMBERS:
            return [of_kind]
        words = [{self.scene.entities[i].colour, self.scene.entities[i].shape} for i in of_kind]
        return [[i for i, word in zip(of_kind, words, strict=True) if option in word] for option in self.options]

    @cached_property
    def states(self) -> NDArray[np.float32]:
        """State (entities, READ, len(STATE)) in each frame that the model reads; NaN where it is not known."""
        out = np.full((len(self.scene.entities), READ, len(STATE)), np.nan, np.float32)
        out[..., SEEN], out[..., FLAGS] = 0, 0
        for i, frame in enumerate(READ_FRAMES):
            seen = {
                k: e for k, e in enumerate(self.scene.entities) if e.present[frame] and not self.scene.hidden(e, frame)
            }
            for k, entity in seen.items():
                out[k, i] = _state(self.scene, entity, list(seen.values()), frame)
        return out


def _state(scene: Scene, entity: Entity, seen: list[Entity], frame: int) -> list[float]:
    """State of a visible entity; of the nearest other object, how near it is and whether it slides."""
    x, y = entity.at(frame)
    distances = [float(np.hypot(x - e.at(frame)[0], y - e.at(frame)[1])) for e in seen]
    objects = [k for k, e in enumerate(seen) if e.kind == "object" and e is not entity]
    nearest = min(objects, key=distances.__getitem__) if objects else None
    on_it = [k for k, e in enumerate(seen) if entity.kind == "mat" and e.kind == "cup" and distances[k] < MAT]
    holds = entity.kind in ("mat", "cup") and any(
        e.kind == "ball" and d < MAT for e, d in zip(seen, distances, strict=True)
    )
    moving, before = entity.moving(frame), entity.centres[frame - 1] if frame else entity.centres[0]
    step = np.subtract(entity.centres[frame], before) * moving
    return [
        1, x, y, np.nan if nearest is None else -distances[nearest],
        list(COLOURS).index(seen[on_it[0]].colour) if on_it else np.nan, holds,
        moving, scene.struck(entity, frame), entity.sparkling[frame], entity.lifted[frame], entity.turned[frame],
        entity.wobble[frame] != 0, *step, nearest is not None and seen[nearest].moving(frame),
    ]  # fmt: skip


def ask(name: str, scenes: int, sampler: Sampler = sample) -> Iterator[Asked]:
    """Yield questions of one family about new scenes; each place holds the right option equally often."""
    family = FAMILIES[name]
    for i in range(scenes):
        seed = READER_SEED + i * len(EVENTS) + EVENTS.index(name)
        scene, right = sampler(seed, name), i % family.choices
        yield Asked(scene, family, family.options(scene, np.random.default_rng([seed, 49979687]), right), right)
