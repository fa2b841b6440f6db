"""Scenes: entities on a table and their state in each frame.

Coordinates are pixels of the rendered 256 x 256 frame, x to the right and y down; times are frame numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

VERSION = 4  # increased whenever the same seed gives different videos
SIZE = 256
FRAMES = 16
RATE = 4.0  # frames per second
SLOTS = 4  # entities rest near the centres of a SLOTS x SLOTS grid, so that none covers another
PITCH = SIZE / SLOTS
OBJECTS = 4  # visible ones at least; another may be hidden behind a screen
SCREEN = 31  # half the side of a screen, which hides what is behind its centre
MAT = 30  # half the side of a mat, on which a cup stands
WOBBLE = 5.0  # pixels to either side
HOP = 14.0  # pixels by which something that jumps leaves the table
CAMERA = 2  # most pixels that a shaking camera is off, in either direction
SHADES = (-1, 0, 1)  # dark, plain and light

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40), "orange": (247, 140, 20), "yellow": (250, 222, 50), "green": (40, 160, 60),
    "blue": (40, 84, 214), "purple": (140, 58, 190), "white": (246, 246, 246), "black": (34, 34, 38),
}  # fmt: skip
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
EVENTS = ("move", "first", "hit", "appear", "cards", "cups", "hide", "jumps")

Kind = Literal["object", "cup", "card", "screen", "ball", "mat"]
Flags = tuple[bool, ...]
Point = tuple[float, float]
NEVER: Flags = (False,) * FRAMES


@dataclass(frozen=True)
class Entity:
    """Thing on the table. Every tuple has one entry per frame.

    `centres`: position; `wobble`: offset to the right, in pixels, while it shakes. `turned`: the card shows its face.
    `sparkling`: little stars surround it as it arrives. `lifted`: it is in the air, above its shadow. `covered`: it is
    inside a cup. The `shape` of a card is printed on its face. `shade` is one of SHADES.
    """

    id: int
    kind: Kind
    shape: str
    colour: str
    radius: int
    centres: tuple[Point, ...]
    present: Flags
    wobble: tuple[float, ...] = (0.0,) * FRAMES
    turned: Flags = NEVER
    sparkling: Flags = NEVER
    lifted: Flags = NEVER
    covered: Flags = NEVER
    shade: int = 0

    def at(self, frame: int) -> Point:
        """Centre of the entity as drawn, including the wobble and the jump."""
        x, y = self.centres[frame]
        return x + self.wobble[frame], y - HOP * self.lifted[frame]

    def moving(self, frame: int) -> bool:
        """Return whether it slid since the previous frame and is present in both; shaking and jumping do not count."""
        before = max(frame - 1, 0)
        return self.present[before] and self.present[frame] and self.centres[frame] != self.centres[before]


@dataclass(frozen=True)
class Impact:
    """Impact: entity `hitter` reaches entity `struck` in frame `start`; the flash fills frames [start, end)."""

    hitter: int
    struck: int
    start: int
    end: int


@dataclass(frozen=True)
class Scene:
    """Entities sorted by id, the impacts between them, and the seed of the appearance of table, light and camera."""

    seed: int
    entities: tuple[Entity, ...]
    impacts: tuple[Impact, ...] = ()

    @property
    def camera_shakes(self) -> bool:
        """True where the camera is held by hand: in a third of the scenes."""
        return bool(_camera(self.seed).any())

    def shift(self, frame: int) -> tuple[int, int]:
        """Pixels to the right and down by which the whole picture is shifted, since the camera shakes."""
        x, y = _camera(self.seed)[frame].tolist()
        return x, y

    def hidden(self, entity: Entity, frame: int) -> bool:
        """Return whether a screen covers the entity completely, or a cup does."""
        if entity.covered[frame]:
            return True
        (x, y), room = entity.at(frame), SCREEN - 1.2 * entity.radius
        screens = (e.at(frame) for e in self.entities if e.kind == "screen" and e.present[frame])
        return entity.kind != "screen" and any(max(abs(x - a), abs(y - b)) <= room for a, b in screens)

    def seen(self, entity: Entity) -> Flags:
        """Flags of the frames in which the entity is present and not hidden."""
        return tuple(entity.present[i] and not self.hidden(entity, i) for i in range(FRAMES))

    def struck(self, entity: Entity, frame: int) -> bool:
        """Return whether the frame shows the flash of an impact: a present, moving hitter has reached the entity."""
        hits = [i for i in self.impacts if i.struck == entity.id and i.start <= frame < i.end]
        return entity.present[frame] and any(e.moving(i.start) for i in hits for e in self.entities if e.id == i.hitter)

    def without(self, ids: Iterable[int], start: int = 0, end: int = FRAMES) -> Scene:
        """Copy of the scene in which the entities `ids` are absent during frames [start, end)."""
        gone = frozenset(ids)
        inside = np.array([start <= i < end for i in range(FRAMES)])
        edited = (_hide(e, inside) if e.id in gone else e for e in self.entities)
        return replace(self, entities=tuple(e for e in edited if any(e.present)))

    def only(self, ids: Iterable[int]) -> Scene:
        """Copy of the scene with no entities except `ids`."""
        return self.without({e.id for e in self.entities} - frozenset(ids))


@lru_cache(maxsize=20_000)
def _camera(seed: int) -> NDArray[np.int64]:
    """Shifts (FRAMES, 2) of the picture."""
    rng = np.random.default_rng([seed, 15485863])
    shakes = rng.random() < 1 / 3
    return rng.integers(-CAMERA, CAMERA + 1, (FRAMES, 2)) * int(shakes)


def _hide(entity: Entity, inside: np.ndarray) -> Entity:
    def off(flags: Flags) -> Flags:
        return tuple((np.array(flags) & ~inside).tolist())

    return replace(
        entity, present=off(entity.present), turned=off(entity.turned), sparkling=off(entity.sparkling),
        lifted=off(entity.lifted),
    )  # fmt: skip


def span(start: int, end: int) -> Flags:
    """Flags that are true in frames [start, end)."""
    return tuple(start <= i < end for i in range(FRAMES))


def union(*flags: Flags) -> Flags:
    """Flags that are true where any of the given ones is."""
    return tuple(any(at) for at in zip(*flags, strict=True))
