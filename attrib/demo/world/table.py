"""Sampler of scenes: from a seed, a scene in which one given event happens, and others by chance.

Whatever tells the right option apart is shared by the wrong ones, except for the event that is asked for: they come,
go, touch and stand side by side at the same times and in the same places. Each event fills two frames, one of which is
even, at a time that varies from scene to scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from attrib.demo.world.scene import (
    COLOURS,
    EVENTS,
    FRAMES,
    MAT,
    OBJECTS,
    PITCH,
    SHADES,
    SHAPES,
    SLOTS,
    WOBBLE,
    Entity,
    Impact,
    Kind,
    Point,
    Scene,
    span,
    union,
)

CUPS = (2, 3, 4)
JUMPS = (1, 2, 3, 4, 5)
CUP_ON_MAT, SMALL_BALL, LARGE_BALL = 19, 11, 20  # radii in pixels
BALL_BELOW = 9.0  # pixels from the centre of a cup to the ball in front of it
BOW = 16.0  # pixels that a cup leaves the line when it changes places
CONTACT = 46.0  # pixels between the centres of two entities that touch
INSTANTS = tuple(range(1, 8))  # an event at instant i is seen in frame 2i and in the frame before or after it
FULL = 11  # slots that a scene's events may take together
_NEEDED = {"move": 6, "first": 6, "hit": 9, "appear": 3, "cards": 3, "cups": 4, "hide": 3, "jumps": 2}
_EXCLUSIVE = ({"move", "first", "hit"}, {"cups", "hide"}, {"hide", "jumps"}, {"hit", "appear"})
# Probability that the first of three events is at instant 1 to 5. It flattens, as far as three events in seven instants
# allow, how often something that acts in a given frame is the first to act.
_FIRST = (0.15, 0.18, 0.21, 0.26, 0.20)
# First frames of the visits of what comes twice and of what comes once, with probabilities that make what one frame
# shows of either as alike as two visits and one can be.
_TWICE, _TWICE_SHARES = (
    ((1, 6), (2, 7), (3, 8), (4, 9), (4, 13), (5, 10), (5, 12)),
    (0.27, 0.1, 0.25, 0.15, 0.05, 0.13, 0.05),
)
_ONCE, _ONCE_SHARES = (2, 4, 6, 8, 10), (0.19, 0.25, 0.25, 0.2, 0.11)
Cell = tuple[int, int]


class _NoRoom(Exception):
    """No free line of slots is left."""


def sample(seed: int, event: str) -> Scene:
    """Return a scene in which `event` happens; events of other families happen by chance, to other objects."""
    for attempt in range(100):
        rng = np.random.default_rng([seed, EVENTS.index(event), attempt])
        try:
            return _Table(rng).lay(seed, event, _choose_events(rng, event))
        except _NoRoom:
            continue
    raise AssertionError(f"no room for {event} with seed {seed}")


def _choose_events(rng: np.random.Generator, event: str) -> frozenset[str]:
    events = {event}
    for other in rng.permutation(EVENTS).tolist():
        exclusive = any({event_there, other} <= group for group in _EXCLUSIVE for event_there in events)
        room = sum(_NEEDED[name] for name in (*events, other)) <= FULL
        if other not in events and not exclusive and room and rng.random() < 0.4:
            events.add(other)
    if "move" in events and event != "move" and rng.random() < 0.3:
        events.add("behind")  # the mover ends behind a screen, where it hits something unseen
    return frozenset(events)


def balanced(seed: int, values: Sequence[int]) -> int:
    """One of `values` for a scene: each once in as many scenes of a family, in random order."""
    block, turn = divmod(seed // len(EVENTS), len(values))
    return values[np.random.default_rng([block, 31]).permutation(len(values))[turn]]


class _Table:
    """Builder of a scene; it assigns each slot and id at most once, and colours and shapes as long as they last."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.free = {(row, column) for row in range(SLOTS) for column in range(SLOTS)}
        self.colours = {kind: self._shuffled(COLOURS) for kind in ("object", "cup", "mat")}
        self.shapes = self._shuffled(SHAPES) + self._shuffled(SHAPES)
        self.entities: list[Entity] = []
        self.impacts: list[Impact] = []

    def _shuffled(self, names: Sequence[str] | dict[str, tuple[int, int, int]]) -> list[str]:
        return [str(name) for name in self.rng.permutation(list(names))]

    def lay(self, seed: int, asked: str, events: frozenset[str]) -> Scene:
        """Place all entities, those first that need several free slots in a line."""
        if "hit" in events:
            self._hits()
        if "hide" in events:
            self._cup_game()
        if "first" in events:
            self._three_movers()
        if "move" in events:
            self._mover(behind="behind" in events)
        if "appear" in events:
            self._visitors()
        if "cards" in events:
            self._cards()
        if "cups" in events:
            count = balanced(seed, CUPS) if asked == "cups" else int(self.rng.choice(CUPS))
            colour = self.colours["cup"].pop()
            self.entities += [self._entity("cup", "cup", colour, self._rest()) for _ in range(count)]
        if "jumps" in events:
            self._jumpers(balanced(seed, JUMPS) if asked == "jumps" else int(self.rng.choice(JUMPS)))
        while sum(e.kind == "object" for e in self.entities) < OBJECTS + ("behind" in events):
            self.entities.append(self._object(self._rest()))
        if "behind" not in events and self.free and self.rng.random() < 0.25:
            place = _middle(sorted(self.free)[int(self.rng.integers(len(self.free)))])
            self.entities.append(self._entity("screen", "screen", "", [place] * FRAMES))  # with nothing behind it
        self.entities = [self._shaking(e) for e in self.entities]
        return self._numbered(seed)

    def _numbered(self, seed: int) -> Scene:
        """Return the scene with random ids, so that an id does not reveal the kind of entity."""
        order = self.rng.permutation(len(self.entities)).tolist()
        new = {old: i for i, old in enumerate(order)}
        impacts = tuple(replace(i, hitter=new[i.hitter], struck=new[i.struck]) for i in self.impacts)
        return Scene(seed, tuple(replace(self.entities[old], id=i) for i, old in enumerate(order)), impacts)

    def _hits(self) -> None:
        """Three objects slide to another each and touch it; one of them hits it."""
        for hits in (True, False, False):
            cells = self._line(3)
            start = int(self.rng.integers(1, 13))
            goal = self._near(cells[2])
            route = np.subtract(goal, begin := self._near(cells[0]))
            touch = goal - route * CONTACT / np.linalg.norm(route)
            mover = self._object(_path(begin, (float(touch[0]), float(touch[1])), start))
            self.entities += [mover, self._object([goal] * FRAMES)]
            if hits:
                self._impact(start + 1)

    def _impact(self, contact: int) -> None:
        """The last but one of the entities hits the last."""
        hitter = len(self.entities) - 2
        self.impacts.append(Impact(hitter, hitter + 1, contact, min(contact + 2, FRAMES)))

    def _three_movers(self) -> None:
        for instant in self._in_turn():
            cells = self._line(2)
            self.entities.append(self._object(_path(self._near(cells[0]), self._near(cells[1]), self._frame(instant))))

    def _mover(self, behind: bool) -> None:
        """Three objects vanish for a moment and end one place further; one of them slides there, and comes back in
        place, the others come back elsewhere.
        """
        for slides in (True, False, False):
            cells, gone = self._line(2), int(self.rng.integers(1, 12))
            back = gone + int(self.rng.integers(2, 4))
            present = tuple(not gone <= i < back for i in range(FRAMES))
            begin, goal = self._near(cells[0]), _middle(cells[1]) if slides and behind else self._near(cells[1])
            path = [begin] * back + [goal] * (FRAMES - back)
            if slides:
                start = int(self.rng.choice([i for i in range(1, FRAMES - 2) if i > back or i + 1 < gone]))
                path = _path(begin, goal, start)
            self.entities.append(replace(self._object(path), present=present, sparkling=span(back, back + 2)))
            if slides and behind:
                self.entities.append(self._object([goal] * FRAMES))
                self._impact(start + 1)
                self.entities.append(self._entity("screen", "screen", "", [goal] * FRAMES))

    def _visitors(self) -> None:
        """Three objects come and go; one comes twice, and stays as long as the others all in all."""
        for comes_twice in (True, False, False):
            if comes_twice:
                first, second = _TWICE[int(self.rng.choice(len(_TWICE), p=_TWICE_SHARES))]
                visits = [(first, first + 3), (second, second + 3)]
            else:
                start = int(self.rng.choice(_ONCE, p=_ONCE_SHARES))
                visits = [(start, start + 6)]
            present = union(*(span(a, b) for a, b in visits))
            arriving = union(*(span(a, a + 2) for a, _ in visits))
            self.entities.append(replace(self._object(self._rest()), present=present, sparkling=arriving))

    def _cards(self) -> None:
        for shape, instant in zip(self._shuffled(SHAPES), self._in_turn(backwards=True), strict=False):
            start = self._frame(instant)
            card = self._entity("card", shape, "white", self._rest())
            self.entities.append(replace(card, turned=span(start, start + 2)))

    def _cup_game(self) -> None:
        """Three cups on mats; a ball disappears in one of them, and pairs of cups change places, one to three times."""
        places = [_middle(cell) for cell in self._line(3)]
        shown = int(self.rng.integers(3, 5))
        swaps = int(self.rng.integers(1, 4))
        spare = FRAMES - 3 - shown - 3 * swaps
        routes, place, frame = [[p] * FRAMES for p in places], [0, 1, 2], shown
        for _ in range(swaps):
            pause = int(self.rng.integers(0, min(spare, 2) + 1))
            spare, frame = spare - pause, frame + pause
            pair = self.rng.permutation(3)[:2].tolist()
            goals = [place[pair[1]], place[pair[0]]]
            side = int(self.rng.choice((-1, 1)))
            for cup, goal in zip(pair, goals, strict=True):
                arc = _arc(places[place[cup]], places[goal], side)
                routes[cup] = [*routes[cup][:frame], *arc, *[places[goal]] * (FRAMES - frame - len(arc))]
                place[cup] = goal
            frame += 3
        chosen = int(self.rng.integers(3))
        cups = [self._entity("cup", "cup", self.colours["cup"].pop(), route, CUP_ON_MAT) for route in routes]
        mats = [self._entity("mat", "mat", self.colours["mat"].pop(), [p] * FRAMES, MAT) for p in places]
        within = [(x, y + BALL_BELOW) for x, y in routes[chosen]]
        ball = self._entity("ball", "ball", "", within, SMALL_BALL)
        self.entities += [*cups, *mats, replace(ball, covered=span(shown, FRAMES))]

    def _jumpers(self, jumps: int) -> None:
        """A ball and an object jump; only the ball is asked about."""
        ball = self._entity("ball", "ball", "", self._rest(), LARGE_BALL)
        other = self._object(self._rest())
        for entity, count in ((ball, jumps), (other, int(self.rng.choice(JUMPS)))):
            instants = self.rng.permutation(INSTANTS)[:count]
            lifted = union(*(span(2 * int(i), 2 * int(i) + 1) for i in instants))
            self.entities.append(replace(entity, lifted=lifted))

    def _shaking(self, entity: Entity) -> Entity:
        """Return the entity; most objects that never vanish shake for a while, where nothing hides them."""
        if entity.kind != "object" or not all(entity.present) or self.rng.random() < 0.25:
            return entity
        length = int(self.rng.integers(4, 9))
        start = int(self.rng.integers(1, FRAMES - length))
        screens = [e.centres[0] for e in self.entities if e.kind == "screen"]
        shakes = [
            start <= i < start + length and all(max(abs(x - a), abs(y - b)) > PITCH / 2 for a, b in screens)
            for i, (x, y) in enumerate(entity.centres)
        ]
        return replace(entity, wobble=tuple((-1) ** i * WOBBLE * here for i, here in enumerate(shakes)))

    def _object(self, path: Sequence[Point]) -> Entity:
        return self._entity("object", self.shapes.pop(), self.colours["object"].pop(), path)

    def _entity(self, kind: Kind, shape: str, colour: str, path: Sequence[Point], radius: int = 0) -> Entity:
        radius = radius or int(self.rng.integers(22, 26))
        shade = int(self.rng.choice(SHADES))
        return Entity(-1, kind, shape, colour, radius, tuple(path), (True,) * FRAMES, shade=shade)

    def _in_turn(self, backwards: bool = False) -> list[int]:
        """Three instants, the one that is asked for (the first or, `backwards`, the last) at the front."""
        first = int(self.rng.choice(INSTANTS[: len(_FIRST)], p=_FIRST))
        later = self.rng.permutation(list(combinations(INSTANTS[first:], 2)))[0].tolist()
        instants = [first, *later]
        return [INSTANTS[-1] + INSTANTS[0] - i for i in instants] if backwards else instants

    def _frame(self, instant: int) -> int:
        """First of the two frames of an event that is seen in frame 2 * instant."""
        return 2 * instant - int(self.rng.integers(2))

    def _rest(self) -> list[Point]:
        return [self._free_point()] * FRAMES

    def _free_point(self) -> Point:
        free = sorted(self.free)
        if not free:
            raise _NoRoom
        slot = free[int(self.rng.integers(len(free)))]
        self.free.remove(slot)
        return self._near(slot)

    def _near(self, slot: Cell) -> Point:
        x, y = _middle(slot)
        jitter = self.rng.integers(-5, 6, 2)
        return x + float(jitter[0]), y + float(jitter[1])

    def _line(self, length: int) -> list[Cell]:
        """Take `length` free slots of a row or column, in either direction."""
        firsts = range(SLOTS - length + 1)
        rows = [[(line, first + i) for i in range(length)] for line in range(SLOTS) for first in firsts]
        lines = rows + [[(b, a) for a, b in cells] for cells in rows]
        fitting = [cells for cells in lines if self.free.issuperset(cells)]
        if not fitting:
            raise _NoRoom
        cells = fitting[int(self.rng.integers(len(fitting)))]
        self.free -= set(cells)
        return cells if self.rng.random() < 0.5 else cells[::-1]


def _middle(slot: Cell) -> Point:
    return (slot[1] + 0.5) * PITCH, (slot[0] + 0.5) * PITCH


def _path(begin: Point, goal: Point, start: int) -> list[Point]:
    """Positions in whole pixels: at rest, moving in frames `start` and `start + 1`, at rest."""
    share = np.clip((np.arange(FRAMES) - start + 1) / 2, 0, 1)[:, None]
    return _whole((1 - share) * np.array(begin) + share * np.array(goal))


def _arc(begin: Point, goal: Point, side: int) -> list[Point]:
    """Positions of a cup in the three frames in which it changes places, on its right or left `side`."""
    share = np.array([1, 2, 3])[:, None] / 3
    across = np.subtract(goal, begin)[::-1] * (1, -1)
    bow = np.sin(np.pi * share) * across / np.linalg.norm(across) * side * BOW
    return _whole((1 - share) * np.array(begin) + share * np.array(goal) + bow)


def _whole(points: np.ndarray) -> list[Point]:
    return [(float(round(x)), float(round(y))) for x, y in points]
