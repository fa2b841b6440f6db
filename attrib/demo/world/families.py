"""Question families: a fixed question each, a function that answers it from the scene, and the evidence.

The functions use only what a viewer can see. They return None if the scene has no unique answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from attrib.demo.world.scene import COLOURS, FRAMES, RATE, Entity, Impact, Scene
from attrib.demo.world.table import CONTACT, CUPS, JUMPS


@dataclass(frozen=True)
class Item:
    """Evidence item: `track` during frames [start, end), with its role (necessary, alternative or context)."""

    track: int
    start: int
    end: int
    role: str = "necessary"

    def seconds(self) -> dict[str, int | float | str]:
        """Entry of `evidence_*.json`, in half-open seconds."""
        return {"track": self.track, "start": self.start / RATE, "end": self.end / RATE, "role": self.role}


@dataclass(frozen=True)
class Family:
    """Task: a question, and functions that compute the answer, the wrong options and the evidence from a scene.

    `others` come in the order in which they are taken as wrong options; the first `rivals` of them always are, since
    they share most with the right one. `choices` is the number of options.
    """

    name: str
    question: str
    request: str  # the corresponding grounded question: "Track ..."
    area: str
    tags: tuple[str, ...]
    answer: Callable[[Scene], str | None]
    others: Callable[[Scene], list[str]]
    rivals: Callable[[Scene], int]
    evidence: Callable[[Scene], list[Item]]
    choices: int = 3

    def options(self, scene: Scene, rng: np.random.Generator, right: int) -> tuple[str, ...]:
        """Return the options with the answer at index `right`; the wrong ones occur in the scene, in random order."""
        answer = self.answer(scene)
        if answer is None:
            raise ValueError(f"{self.name}: expected a scene with a unique answer")
        others, count = [o for o in self.others(scene) if o != answer], self.choices - 1
        rivals = min(self.rivals(scene), count)
        chance = [str(o) for o in rng.permutation(others[rivals:])]
        wrong = [str(o) for o in rng.permutation([*others[:rivals], *chance][:count])]
        return (*wrong[:right], answer, *wrong[right:])


class Match(NamedTuple):
    """Entity in question, the evidence, its own item first, and the entities that are most like it."""

    entity: Entity
    items: list[Item]
    rivals: list[Entity]


def runs(flags: Sequence[bool]) -> tuple[int, int]:
    """Return the first true frame and the frame after the last true one."""
    true = np.flatnonzero(flags)
    return int(true[0]), int(true[-1]) + 1


def onsets(flags: Sequence[bool], frames: Sequence[int] = range(FRAMES)) -> list[int]:
    """Return those of the given frames in which a flag is true and was not in the one before."""
    return [after for before, after in pairwise(frames) if flags[after] and not flags[before]]


def _of_kind(scene: Scene, kind: str) -> list[Entity]:
    """Entities of a kind that are visible in some frame."""
    return [e for e in scene.entities if e.kind == kind and any(scene.seen(e))]


def _moves(entity: Entity) -> list[bool]:
    return [entity.moving(i) for i in range(FRAMES)]


def _motion(entity: Entity) -> tuple[int, int]:
    """Frames [start, end) of its motion, including the frame before, in which it is still at its origin."""
    start, end = runs(_moves(entity))
    return start - 1, end


def _movers(scene: Scene) -> list[Entity]:
    """Objects that slide to another position, in the order in which they start."""
    return sorted((e for e in _of_kind(scene, "object") if any(_moves(e))), key=_motion)


def _flash(scene: Scene, impact: Impact) -> list[bool]:
    """Flags of the frames in which the impact is visible: neither entity is hidden and the hitter has arrived."""
    by_id = {e.id: e for e in scene.entities}
    if impact.struck not in by_id or impact.hitter not in by_id or scene.hidden(by_id[impact.hitter], impact.start):
        return [False] * FRAMES
    struck = by_id[impact.struck]
    return [scene.struck(struck, i) and not scene.hidden(struck, i) for i in range(FRAMES)]


def impacts(scene: Scene) -> list[tuple[Impact, bool]]:
    """Impacts that happen in the scene, each with whether it is visible."""
    by_id = {e.id: e for e in scene.entities}
    happening = [i for i in scene.impacts if i.struck in by_id and scene.struck(by_id[i.struck], i.start)]
    return [(i, any(_flash(scene, i))) for i in happening]


def _moved(scene: Scene) -> Match | None:
    movers = _movers(scene)
    if len(movers) != 1:
        return None
    elsewhere = [e for e in _of_kind(scene, "object") if e.id != movers[0].id and e.centres[0] != e.centres[-1]]
    return Match(movers[0], [Item(movers[0].id, *_motion(movers[0]))], elsewhere)


def _moved_first(scene: Scene) -> Match | None:
    movers = _movers(scene)
    if not movers or any(_motion(e)[0] <= _motion(movers[0])[0] for e in movers[1:]):
        return None
    context = [Item(e.id, *_motion(e), "context") for e in movers[1:]]
    return Match(movers[0], [Item(movers[0].id, *_motion(movers[0])), *context], movers[1:])


def _hit(scene: Scene) -> Match | None:
    visible_impacts = [impact for impact, visible in impacts(scene) if visible]
    if len(visible_impacts) != 1:
        return None
    (impact,), by_id = visible_impacts, {e.id: e for e in scene.entities}
    struck, hitter = by_id[impact.struck], by_id[impact.hitter]
    items = [Item(struck.id, *runs(_flash(scene, impact))), Item(hitter.id, *_motion(hitter))]
    ends = [e.centres[-1] for e in _movers(scene)]
    touched = [
        e for e in _of_kind(scene, "object") if any(1 < _distance(e.centres[-1], end) < CONTACT + 2 for end in ends)
    ]
    return Match(struck, items, [e for e in touched if e.id not in (struck.id, hitter.id) and not any(_moves(e))])


def _distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))


def _came_twice(scene: Scene) -> Match | None:
    visitors = [e for e in _of_kind(scene, "object") if onsets(e.sparkling)]
    twice = [e for e in visitors if len(onsets(e.sparkling)) == 2]
    if len(twice) != 1:
        return None
    starts = onsets(twice[0].sparkling)
    ends = [_left(twice[0], start) for start in starts]
    items = [Item(twice[0].id, start, end) for start, end in zip(starts, ends, strict=True)]
    return Match(twice[0], items, [e for e in visitors if e.id != twice[0].id and not e.present[0]])


def _left(entity: Entity, start: int) -> int:
    """Return the first frame after `start` in which the entity is absent."""
    return next((i for i in range(start, FRAMES) if not entity.present[i]), FRAMES)


def _turns(card: Entity) -> list[int]:
    """Return the frames in which the card is turned over."""
    return onsets(card.turned, [i for i in range(FRAMES) if card.present[i]])


def _turned_last(scene: Scene) -> Match | None:
    turns = {e.id: _turns(e) for e in _of_kind(scene, "card")}
    turned = sorted((e for e in _of_kind(scene, "card") if turns[e.id]), key=lambda e: turns[e.id][-1])
    if not turned or any(turns[e.id][-1] == turns[turned[-1].id][-1] for e in turned[:-1]):
        return None
    *rest, last = turned
    items = [Item(last.id, *runs(last.turned))] + [Item(c.id, *runs(c.turned), "context") for c in rest]
    return Match(last, items, rest)


def _mat_under(scene: Scene, cup: Entity) -> Match | None:
    """Find the mat on which a cup stands after all cups have come to rest."""
    mats = _of_kind(scene, "mat")
    rest = max((runs(_moves(e))[1] for e in _of_kind(scene, "cup") if any(_moves(e))), default=0)
    times = [i for i in range(rest, FRAMES) if cup.present[i]]
    under = [e for e in mats if any(e.present[i] and e.at(i) == cup.at(i) for i in times)]
    if len(under) != 1:
        return None
    items = [Item(e.id, rest, FRAMES) for e in (under[0], cup)]
    return Match(under[0], items, [e for e in mats if e.id != under[0].id])


def _cup_of_ball(scene: Scene) -> Match | None:
    """Find the cup in which the ball disappeared."""
    cups, balls = _of_kind(scene, "cup"), [e for e in scene.entities if e.kind == "ball" and any(e.covered)]
    if len(balls) != 1:
        return None
    (ball,) = balls
    shown = [i for i in range(FRAMES) if ball.present[i] and not ball.covered[i]]
    with_it = [e for e in cups if any(e.present[i] and _distance(e.at(i), ball.at(i)) < e.radius for i in shown)]
    if len(with_it) != 1:
        return None
    items = [Item(e.id, shown[0], shown[-1] + 1) for e in (with_it[0], ball)]
    return Match(with_it[0], items, [e for e in cups if e.id != with_it[0].id])


def _hidden_under(scene: Scene) -> Match | None:
    """Find the mat with the cup in which the ball disappeared, after the cups have come to rest."""
    hiding = _cup_of_ball(scene)
    standing = None if hiding is None else _mat_under(scene, hiding.entity)
    if hiding is None or standing is None:
        return None
    return Match(standing.entity, standing.items + hiding.items, standing.rivals)


def _mat_of(colour: str) -> Callable[[Scene], Match | None]:
    """Return a function that finds the mat under the only cup of a colour."""

    def find(scene: Scene) -> Match | None:
        cups = [e for e in _of_kind(scene, "cup") if e.colour == colour]
        return _mat_under(scene, cups[0]) if len(cups) == 1 and _of_kind(scene, "mat") else None

    return find


def _jumping_ball(scene: Scene) -> tuple[Entity, list[int]] | None:
    """Return the ball that jumps, and the frames in which it leaves the table."""
    balls = [(e, onsets(e.lifted)) for e in _of_kind(scene, "ball")]
    jumping = [(e, frames) for e, frames in balls if frames]
    return jumping[0] if len(jumping) == 1 else None


def _jump_count(scene: Scene) -> str | None:
    found = _jumping_ball(scene)
    return None if found is None else str(len(found[1]))


def _jump_evidence(scene: Scene) -> list[Item]:
    found = _jumping_ball(scene)
    return [] if found is None else [Item(found[0].id, i, i + 1) for i in found[1]]


def _cup_count(scene: Scene) -> str | None:
    count = len(_of_kind(scene, "cup"))
    return str(count) if count in CUPS and not _of_kind(scene, "mat") else None


def _about(
    find: Callable[[Scene], Match | None], attribute: str, name: str, question: str, request: str, area: str,
    tags: tuple[str, ...], kind: str = "object",
) -> Family:  # fmt: skip
    """Return a family that asks for an attribute of the one entity that `find` returns, among others of its kind."""

    def value(entity: Entity) -> str:
        return str(getattr(entity, attribute))

    def answer(scene: Scene) -> str | None:
        found = find(scene)
        return None if found is None else value(found.entity)

    def evidence(scene: Scene) -> list[Item]:
        found = find(scene)
        return [] if found is None else found.items

    def rivals(scene: Scene) -> list[str]:
        found = find(scene)
        return [] if found is None else [v for v in dict.fromkeys(map(value, found.rivals)) if v != answer(scene)]

    def others(scene: Scene) -> list[str]:
        values = sorted(value(e) for e in _of_kind(scene, kind))
        return [v for v in dict.fromkeys([*rivals(scene), *values]) if v != answer(scene)]

    return Family(name, question, request, area, tags, answer, others, lambda scene: len(rivals(scene)), evidence)


def _ask(name: str, attribute: str) -> Family:
    """Return the family that asks for one attribute in the event `name`."""
    find, verb, area, tag = _OBJECTS[name]
    question, request = f"What {attribute} is the object that {verb}?", f"Track the object that {verb}."
    return _about(find, attribute, name, question, request, area, (f"{attribute} recognition", tag))


_OBJECTS: dict[str, tuple[Callable[[Scene], Match | None], str, str, str]] = {
    "move": (_moved, "slides away", "physics", "motion"),
    "first": (_moved_first, "slides away first", "memory", "sequencing"),
    "hit": (_hit, "gets hit", "physics", "collision"),
    "appear": (_came_twice, "comes twice", "memory", "event recall"),
}
_ATTRIBUTES = {"move": "colour", "first": "colour", "hit": "shape", "appear": "colour"}

FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        *(_ask(name, attribute) for name, attribute in _ATTRIBUTES.items()),
        _about(_turned_last, "shape", "cards", "Which shape is on the card that is turned over last?",
               "Track the card that is turned over last.", "memory", ("shape recognition", "sequencing"), "card"),
        Family("cups", "How many cups are on the table?", "Track the cups.", "abstraction", ("object counting",),
               _cup_count, lambda scene: [str(n) for n in CUPS], lambda scene: 0,
               lambda scene: [Item(c.id, 0, FRAMES) for c in _of_kind(scene, "cup")]),
        _about(_hidden_under, "colour", "hide", "What colour is the mat under the ball at the end?",
               "Track the ball, its cup and the mat under it at the end.", "memory", ("object permanence", "tracking"),
               "mat"),
        Family("jumps", "How many times does the ball jump?", "Track the ball that jumps.", "abstraction",
               ("event counting",), _jump_count, lambda scene: [str(n) for n in JUMPS], lambda scene: 0,
               _jump_evidence, choices=len(JUMPS)),
    )
}  # fmt: skip

# used in training only: the other attribute of the same object, and the two steps of the cup game
AUXILIARY: tuple[Family, ...] = (
    *(
        replace(_ask(name, other), name=f"{name}_{other}")
        for name, other in (("move", "shape"), ("first", "shape"), ("hit", "colour"), ("appear", "shape"))
    ),
    _about(_cup_of_ball, "colour", "hide_cup", "What colour is the cup with the ball?", "", "", (), "cup"),
    *(
        _about(
            _mat_of(colour),
            "colour",
            "hide_mat",
            f"What colour is the mat under the {colour} cup at the end?",
            "",
            "",
            (),
            "mat",
        )
        for colour in COLOURS
    ),
)
