"""Sampler of scenes: from a seed, a scene in which one given event happens, and others by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attrib.demo.world.scene import (
    COLOURS,
    EVENTS,
    FRAMES,
    OBJECTS,
    PITCH,
    SHAPES,
    SLOTS,
    WOBBLE,
    Entity,
    Impact,
    Kind,
    Point,
    Scene,
    span,
)

CUPS = (2, 3, 4)
HEAD_START = 4  # frames between the first and the second mover
CONTACT = 46.0  # pixels between the centres of two entities that touch
_MOTIONS = ("move", "first", "hit")
Cell = tuple[int, int]


def sample(seed: int, event: str) -> Scene:
    """Return a scene in which `event` happens; events of other families happen by chance, to other objects.

    Cards and cups never occur together, for lack of space. Entities without an event shake for a while, so that motion
    alone does not reveal the answer.
    """
    rng = np.random.default_rng([seed, EVENTS.index(event)])
    return _Table(rng).lay(seed, _choose_events(rng, event), _cup_count(seed))


def _choose_events(rng: np.random.Generator, event: str) -> frozenset[str]:
    events = {event}
    if event not in _MOTIONS:
        events |= (set(), {"move"}, {"hit"})[rng.choice(3, p=(0.3, 0.4, 0.3))]
    if rng.random() < 0.5:
        events.add("appear")
    if event == "hit" and rng.random() < 0.5:
        events.add("move")
    if event not in ("cards", "cups"):
        events |= (set(), {"cards"}, {"cups"})[rng.integers(3)]
    if "move" in events and "hit" not in events and rng.random() < 0.3:
        events.add("behind")  # the mover ends behind a screen, where it hits something unseen
    return frozenset(events)


def _cup_count(seed: int) -> int:
    """Number of cups: each count once in every three scenes of the family, in random order."""
    block, turn = divmod(seed // len(EVENTS), len(CUPS))
    return CUPS[np.random.default_rng([block, 31]).permutation(len(CUPS))[turn]]


class _Table:
    """Builder of a scene; it assigns each slot, colour, shape and id at most once."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.free = {(row, column) for row in range(SLOTS) for column in range(SLOTS)}
        self.colours = [str(name) for name in rng.permutation(list(COLOURS))]
        self.shapes = [str(name) for name in rng.permutation(list(SHAPES))]
        self.entities: list[Entity] = []
        self.impacts: list[Impact] = []

    def lay(self, seed: int, events: frozenset[str], cups: int) -> Scene:
        """Place all entities, moving ones first since they need three free slots in a line."""
        if "hit" in events:
            self._hit()
        if "first" in events:
            self._two_movers()
        if "move" in events:
            self._mover(behind="behind" in events)
        if "appear" in events:
            self._visitor()
        while sum(e.kind == "object" for e in self.entities) < OBJECTS + ("behind" in events):
            self.entities.append(self._shaking(self._object([self._free_point()] * FRAMES)))
        if "cards" in events:
            self._cards()
        if "cups" in events:
            colour = self.colours.pop()
            self.entities += [self._shaking(self._entity("cup", "cup", colour, self._rest())) for _ in range(cups)]
        return self._numbered(seed)

    def _numbered(self, seed: int) -> Scene:
        """Return the scene with random ids, so that an id does not reveal the kind of entity."""
        order = self.rng.permutation(len(self.entities)).tolist()
        new = {old: i for i, old in enumerate(order)}
        impacts = tuple(replace(i, hitter=new[i.hitter], struck=new[i.struck]) for i in self.impacts)
        return Scene(seed, tuple(replace(self.entities[old], id=i) for i, old in enumerate(order)), impacts)

    def _hit(self) -> None:
        cells = self._line()
        start, length = self._start(4, 6, after=4)
        goal = self._near(cells[2])
        route = np.subtract(goal, begin := self._near(cells[0]))
        touch = goal - route * CONTACT / np.linalg.norm(route)
        self.entities += [
            self._object(_path(begin, (float(touch[0]), float(touch[1])), start, length)),
            self._object([goal] * FRAMES),
        ]
        contact = start + length - 1
        self.impacts.append(Impact(len(self.entities) - 2, len(self.entities) - 1, contact, contact + 4))

    def _two_movers(self) -> None:
        early = int(self.rng.integers(1, 4))
        late = int(self.rng.integers(early + HEAD_START, 9))
        for start in (early, late):
            cells = self._line()
            self.entities.append(self._object(_path(self._near(cells[0]), self._near(cells[2]), start, 6)))

    def _mover(self, behind: bool) -> None:
        cells = self._line()
        start, length = self._start(6, 9)
        goal = _middle(cells[2]) if behind else self._near(cells[2])
        self.entities.append(self._object(_path(self._near(cells[0]), goal, start, length)))
        if behind:
            self.entities.append(self._object([goal] * FRAMES))
            contact = start + length - 1
            self.impacts.append(
                Impact(len(self.entities) - 2, len(self.entities) - 1, contact, min(contact + 4, FRAMES))
            )
            self.entities.append(self._entity("screen", "screen", "", [goal] * FRAMES))

    def _visitor(self) -> None:
        start, length = self._start(4, 7)
        end = start + length
        coming_or_going = tuple(a or b for a, b in zip(span(start, start + 2), span(end - 2, end), strict=True))
        visitor = self._object(self._rest())
        self.entities.append(replace(visitor, present=span(start, end), sparkling=coming_or_going))

    def _cards(self) -> None:
        gap = self.rng.integers(0, 2, 3)
        start = int(gap[0])
        for shape, pause in zip(self.rng.permutation(list(SHAPES))[:3], (*gap[1:], 0), strict=True):
            card = self._entity("card", str(shape), "white", self._rest())
            self.entities.append(replace(card, turned=span(start, start + 4)))
            start += 4 + int(pause)

    def _shaking(self, entity: Entity) -> Entity:
        start, length = self._start(6, 10)
        shakes = span(start, start + length)
        return replace(entity, wobble=tuple((-1) ** i * WOBBLE * here for i, here in enumerate(shakes)))

    def _object(self, path: Sequence[Point]) -> Entity:
        return self._entity("object", self.shapes.pop(), self.colours.pop(), path)

    def _entity(self, kind: Kind, shape: str, colour: str, path: Sequence[Point]) -> Entity:
        radius = int(self.rng.integers(22, 26))
        return Entity(-1, kind, shape, colour, radius, tuple(path), (True,) * FRAMES)

    def _start(self, shortest: int, longest: int, after: int = 0) -> tuple[int, int]:
        """Return start and length of a random interval without the first and last frames; `after` reserves more."""
        length = int(self.rng.integers(shortest, longest + 1))
        return int(self.rng.integers(1, FRAMES - 1 - length - max(after - 2, 0))), length

    def _rest(self) -> list[Point]:
        return [self._free_point()] * FRAMES

    def _free_point(self) -> Point:
        free = sorted(self.free)
        slot = free[int(self.rng.integers(len(free)))]
        self.free.remove(slot)
        return self._near(slot)

    def _near(self, slot: Cell) -> Point:
        x, y = _middle(slot)
        jitter = self.rng.integers(-5, 6, 2)
        return x + float(jitter[0]), y + float(jitter[1])

    def _line(self) -> list[Cell]:
        """Take three free slots of a row or column, in either direction."""
        rows = [[(line, first + i) for i in range(3)] for line in range(SLOTS) for first in range(2)]
        lines = rows + [[(b, a) for a, b in cells] for cells in rows]
        fitting = [cells for cells in lines if self.free.issuperset(cells)]
        cells = fitting[int(self.rng.integers(len(fitting)))]
        self.free -= set(cells)
        return cells if self.rng.random() < 0.5 else cells[::-1]


def _middle(slot: Cell) -> Point:
    return (slot[1] + 0.5) * PITCH, (slot[0] + 0.5) * PITCH


def _path(begin: Point, goal: Point, start: int, length: int) -> list[Point]:
    """Positions in whole pixels: at rest, moving at constant speed in frames [start, start + length), at rest."""
    share = np.clip((np.arange(FRAMES) - start + 1) / length, 0, 1)[:, None]
    points = (1 - share) * np.array(begin) + share * np.array(goal)
    return [(float(round(x)), float(round(y))) for x, y in points]
