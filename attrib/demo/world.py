"""Scenes: what lies on the table, and what happens to it in each frame. Everything follows from one seed.

Coordinates are pixels of the rendered 256 x 256 frame, x to the right and y down; time is counted in frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

VERSION = 2  # raised whenever the same seed gives other videos
SIZE = 256
FRAMES = 16
RATE = 4.0  # frames per second
SLOTS = 4  # things lie near the centres of a SLOTS x SLOTS grid, so that none hides another
OBJECTS = 4

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40), "orange": (247, 140, 20), "yellow": (250, 222, 50), "green": (40, 160, 60),
    "blue": (40, 84, 214), "purple": (140, 58, 190), "white": (246, 246, 246), "black": (34, 34, 38),
}  # fmt: skip
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
EVENTS = ("move", "light", "appear", "cards", "cups")

Kind = Literal["object", "cup", "card"]
Flags = tuple[bool, ...]
Point = tuple[float, float]


@dataclass(frozen=True)
class Entity:
    """One thing on the table. Every tuple has one entry per frame.

    `lit`: it glows. `turned`: a card shows its face. `sparkling`: little stars surround it as it comes or goes.
    `shape` of a card is what is printed on its face.
    """

    id: int
    kind: Kind
    shape: str
    colour: str
    radius: int
    centres: tuple[Point, ...]
    present: Flags
    lit: Flags = (False,) * FRAMES
    turned: Flags = (False,) * FRAMES
    sparkling: Flags = (False,) * FRAMES

    def moving(self, frame: int) -> bool:
        """Whether it is in another place than in the frame before, and was to be seen in both."""
        before = max(frame - 1, 0)
        return self.present[before] and self.present[frame] and self.centres[frame] != self.centres[before]


@dataclass(frozen=True)
class Scene:
    """All entities, by rising id, and the seed of the table's look."""

    seed: int
    entities: tuple[Entity, ...]

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

    return replace(
        entity, present=off(entity.present), lit=off(entity.lit), turned=off(entity.turned),
        sparkling=off(entity.sparkling),
    )  # fmt: skip


def span(start: int, end: int) -> Flags:
    """True in frames [start, end)."""
    return tuple(start <= i < end for i in range(FRAMES))


def sample(seed: int, event: str) -> Scene:
    """A scene in which `event` happens; each other event happens too by chance, to another object.

    Cards and cups share the room on the table and never come together.
    """
    rng = np.random.default_rng([seed, EVENTS.index(event)])
    events = _choose_events(rng, event)
    return Scene(seed, _Table(rng).lay(events))


def _choose_events(rng: np.random.Generator, event: str) -> set[str]:
    events = {event} | {name for name in ("move", "light", "appear") if rng.random() < 0.5}
    if event not in ("cards", "cups"):
        events |= (set(), {"cards"}, {"cups"})[rng.integers(3)]
    return events


class _Table:
    """Deals out places, colours, shapes and ids; nothing is dealt twice."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.free = {(row, column) for row in range(SLOTS) for column in range(SLOTS)}
        self.colours = [str(name) for name in rng.permutation(list(COLOURS))]
        self.made: list[Entity] = []

    def lay(self, events: set[str]) -> tuple[Entity, ...]:
        self._objects(events)
        if "cards" in events:
            self._cards()
        if "cups" in events:
            self._cups()
        # ids are dealt at random, so that an id never tells what the thing is
        order = self.rng.permutation(len(self.made))
        return tuple(replace(self.made[j], id=i) for i, j in enumerate(order))

    def _objects(self, events: set[str]) -> None:
        shapes = self.rng.permutation(list(SHAPES))
        roles: list[str] = [name for name in ("move", "light", "appear") if name in events]
        roles += [""] * (OBJECTS - len(roles))
        for role, shape in zip(roles, shapes, strict=False):  # the mover first: it needs three places in line
            entity = self._entity("object", str(shape), self.colours.pop(), self._path() if role == "move" else None)
            self.made.append(self._act(entity, role))

    def _act(self, entity: Entity, role: str) -> Entity:
        if role == "light":
            return replace(entity, lit=span(*self._interval(4, 6)))
        if role == "appear":
            start, end = self._interval(4, 7)
            coming_or_going = tuple(a or b for a, b in zip(span(start, start + 2), span(end - 2, end), strict=True))
            return replace(entity, present=span(start, end), sparkling=coming_or_going)
        return entity

    def _interval(self, shortest: int, longest: int) -> tuple[int, int]:
        """Frames [start, end) that leave out the first and the last two frames."""
        length = int(self.rng.integers(shortest, longest + 1))
        start = int(self.rng.integers(1, FRAMES - 1 - length))
        return start, start + length

    def _cards(self) -> None:
        gap = self.rng.integers(0, 2, 3)
        start = int(gap[0])
        for shape, pause in zip(self.rng.permutation(list(SHAPES))[:3], (*gap[1:], 0), strict=True):
            card = self._entity("card", str(shape), "white")
            self.made.append(replace(card, turned=span(start, start + 4)))
            start += 4 + int(pause)

    def _cups(self) -> None:
        colour = self.colours.pop()
        for _ in range(int(self.rng.integers(2, 5))):
            self.made.append(self._entity("cup", "cup", colour))

    def _entity(self, kind: Kind, shape: str, colour: str, path: list[Point] | None = None) -> Entity:
        radius = int(self.rng.integers(22, 26))
        return Entity(-1, kind, shape, colour, radius, tuple(path or [self._place()] * FRAMES), (True,) * FRAMES)

    def _place(self) -> Point:
        free = sorted(self.free)
        slot = free[int(self.rng.integers(len(free)))]
        self.free.remove(slot)
        return self._near(slot)

    def _near(self, slot: tuple[int, int]) -> Point:
        jitter = self.rng.integers(-5, 6, 2)
        pitch = SIZE / SLOTS
        return float((slot[1] + 0.5) * pitch + jitter[0]), float((slot[0] + 0.5) * pitch + jitter[1])

    def _path(self) -> list[Point]:
        """At rest, then two places along a row or column at even speed, then at rest."""
        line, first = int(self.rng.integers(SLOTS)), int(self.rng.integers(2))
        cells = [(line, first + i) for i in range(3)]
        if self.rng.random() < 0.5:
            cells = [(b, a) for a, b in cells]
        if self.rng.random() < 0.5:
            cells.reverse()
        self.free -= set(cells)
        start, end = self._interval(6, 9)
        share = np.clip((np.arange(FRAMES) - start + 1) / (end - start), 0, 1)[:, None]
        points = (1 - share) * self._near(cells[0]) + share * self._near(cells[2])
        return [(float(round(x)), float(round(y))) for x, y in points]
