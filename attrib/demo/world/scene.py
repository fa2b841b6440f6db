"""Scenes: what lies on the table, and what happens to it in each frame. Everything follows from one seed.

Coordinates are pixels of the rendered 256 x 256 frame, x to the right and y down; time is counted in frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

VERSION = 3  # raised whenever the same seed gives other videos
SIZE = 256
FRAMES = 16
RATE = 4.0  # frames per second
SLOTS = 4  # things lie near the centres of a SLOTS x SLOTS grid, so that none hides another
PITCH = SIZE / SLOTS
OBJECTS = 4  # that can be seen; one more may be hidden behind a screen
SCREEN = 31  # half the side of a screen, which hides what stands behind its middle
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
    """One thing on the table. Every tuple has one entry per frame.

    `centres`: where it lies; `wobble`: pixels that it is off to the right while it shakes. `turned`: a card shows its
    face. `sparkling`: little stars surround it as it comes or goes. `shape` of a card is what is printed on its face.
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
        """Its middle as it is drawn."""
        x, y = self.centres[frame]
        return x + self.wobble[frame], y

    def moving(self, frame: int) -> bool:
        """Return whether it moved since the previous frame, being present in both; shaking does not count."""
        before = max(frame - 1, 0)
        return self.present[before] and self.present[frame] and self.centres[frame] != self.centres[before]


@dataclass(frozen=True)
class Impact:
    """`hitter` reaches `struck` in frame `start`; the flash lasts up to frame `end`, half-open."""

    hitter: int
    struck: int
    start: int
    end: int


@dataclass(frozen=True)
class Scene:
    """All entities, by rising id, what hits what, and the seed of the table's look."""

    seed: int
    entities: tuple[Entity, ...]
    impacts: tuple[Impact, ...] = ()

    def hidden(self, entity: Entity, frame: int) -> bool:
        """Return whether a screen covers the entity completely."""
        (x, y), room = entity.at(frame), SCREEN - 1.2 * entity.radius
        screens = (e.at(frame) for e in self.entities if e.kind == "screen" and e.present[frame])
        return entity.kind != "screen" and any(max(abs(x - a), abs(y - b)) <= room for a, b in screens)

    def seen(self, entity: Entity) -> Flags:
        """The frames in which it is there and not hidden."""
        return tuple(entity.present[i] and not self.hidden(entity, i) for i in range(FRAMES))

    def struck(self, entity: Entity, frame: int) -> bool:
        """Return whether the frame shows the flash of an impact that takes place: the hitter has reached the entity."""
        hits = [i for i in self.impacts if i.struck == entity.id and i.start <= frame < i.end]
        return entity.present[frame] and any(e.moving(i.start) for i in hits for e in self.entities if e.id == i.hitter)

    def without(self, ids: Iterable[int], start: int = 0, end: int = FRAMES) -> Scene:
        """The same scene in which the entities `ids` are absent during frames [start, end)."""
        gone = frozenset(ids)
        inside = np.array([start <= i < end for i in range(FRAMES)])
        kept = (_hide(e, inside) if e.id in gone else e for e in self.entities)
        return replace(self, entities=tuple(e for e in kept if any(e.present)))

    def only(self, ids: Iterable[int]) -> Scene:
        """The same scene with nothing but the entities `ids`."""
        return self.without({e.id for e in self.entities} - frozenset(ids))


def _hide(entity: Entity, inside: np.ndarray) -> Entity:
    def off(flags: Flags) -> Flags:
        return tuple((np.array(flags) & ~inside).tolist())

    return replace(entity, present=off(entity.present), turned=off(entity.turned), sparkling=off(entity.sparkling))


def span(start: int, end: int) -> Flags:
    """True in frames [start, end)."""
    return tuple(start <= i < end for i in range(FRAMES))
