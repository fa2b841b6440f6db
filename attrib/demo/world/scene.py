"""Scenes: entities on a table and their state in each frame.

Coordinates are pixels of the rendered 256 x 256 frame, x to the right and y down; times are frame numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

VERSION = 3  # increased whenever the same seed gives different videos
SIZE = 256
FRAMES = 16
RATE = 4.0  # frames per second
SLOTS = 4  # entities rest near the centres of a SLOTS x SLOTS grid, so that none covers another
PITCH = SIZE / SLOTS
OBJECTS = 4  # visible ones; another may be hidden behind a screen
SCREEN = 31  # half the side of a screen, which hides what is behind its centre
WOBBLE = 5.0  # pixels to either side

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40), "orange": (247, 140, 20), "yellow": (250, 222, 50), "green": (40, 160, 60),
    "blue": (40, 84, 214), "purple": (140, 58, 190), "white": (246, 246, 246), "black": (34, 34, 38),
}  # fmt: skip
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
EVENTS = ("move", "first", "hit", "appear", "cards", "cups")

Kind = Literal["object", "cup", "card", "screen"]
Flags = tuple[bool, ...]
Point = tuple[float, float]


@dataclass(frozen=True)
class Entity:
    """Object, cup, card or screen on the table. Every tuple has one entry per frame.

    `centres`: position; `wobble`: offset to the right, in pixels, while it shakes. `turned`: the card shows its face.
    `sparkling`: little stars surround it as it appears or disappears. The `shape` of a card is printed on its face.
    """

    id: int
    kind: Kind
    shape: str
    colour: str
    radius: int
    centres: tuple[Point, ...]
    present: Flags
    wobble: tuple[float, ...] = (0.0,) * FRAMES
    turned: Flags = (False,) * FRAMES
    sparkling: Flags = (False,) * FRAMES

    def at(self, frame: int) -> Point:
        """Centre of the entity as drawn, including the wobble."""
        x, y = self.centres[frame]
        return x + self.wobble[frame], y

    def moving(self, frame: int) -> bool:
        """Return whether it moved since the previous frame and is present in both; shaking does not count."""
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
    """Entities sorted by id, the impacts between them, and the seed of the table's appearance."""

    seed: int
    entities: tuple[Entity, ...]
    impacts: tuple[Impact, ...] = ()

    def hidden(self, entity: Entity, frame: int) -> bool:
        """Return whether a screen covers the entity completely."""
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


def _hide(entity: Entity, inside: np.ndarray) -> Entity:
    def off(flags: Flags) -> Flags:
        return tuple((np.array(flags) & ~inside).tolist())

    return replace(entity, present=off(entity.present), turned=off(entity.turned), sparkling=off(entity.sparkling))


def span(start: int, end: int) -> Flags:
    """Flags that are true in frames [start, end)."""
    return tuple(start <= i < end for i in range(FRAMES))
