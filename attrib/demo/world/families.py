"""Question families: a fixed question each, a function that answers it from the scene, and the evidence.

The functions use only what a viewer can see. They return None if the scene has no unique answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from attrib.demo.world.scene import FRAMES, RATE, Entity, Impact, Scene
from attrib.demo.world.table import CUPS, HEAD_START


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
    """Task: a question, and functions that compute the answer, the wrong options and the evidence from a scene."""

    name: str
    question: str
    request: str  # the corresponding grounded question: "Track ..."
    area: str
    tags: tuple[str, ...]
    answer: Callable[[Scene], str | None]
    others: Callable[[Scene], list[str]]
    rivals: Callable[[Scene], int]  # how many of the first `others` are always options
    evidence: Callable[[Scene], list[Item]]

    def options(self, scene: Scene, rng: np.random.Generator, right: int) -> tuple[str, ...]:
        """Return three options with the answer at index `right`; the wrong ones occur in the scene, in random order."""
        answer = self.answer(scene)
        if answer is None:
            raise ValueError(f"{self.name}: expected a scene with a unique answer")
        others = [o for o in self.others(scene) if o != answer]
        rivals = min(self.rivals(scene), 2)
        chance = [str(o) for o in rng.permutation(others[rivals:])]
        wrong = [str(o) for o in rng.permutation([*others[:rivals], *chance][:2])]
        return (*wrong[:right], answer, *wrong[right:])


EntityAndEvidence = tuple[Entity, list[Item]] | None  # the entity in question, and the evidence, its own item first


def runs(flags: Sequence[bool]) -> tuple[int, int]:
    """Return the first true frame and the frame after the last true one."""
    true = np.flatnonzero(flags)
    return int(true[0]), int(true[-1]) + 1


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
    """Objects that move to another position, in the order in which they start."""
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


def _moved(scene: Scene) -> EntityAndEvidence:
    movers = _movers(scene)
    return (movers[0], [Item(movers[0].id, *_motion(movers[0]))]) if len(movers) == 1 else None


def _moved_first(scene: Scene) -> EntityAndEvidence:
    movers = _movers(scene)
    if not movers or any(_motion(e)[0] < _motion(movers[0])[0] + HEAD_START for e in movers[1:]):
        return None
    return movers[0], [Item(e.id, *_motion(e), role) for e, role in zip(movers, ("necessary", "context"), strict=False)]


def _hit(scene: Scene) -> EntityAndEvidence:
    visible_impacts = [impact for impact, visible in impacts(scene) if visible]
    if len(visible_impacts) != 1:
        return None
    (impact,), by_id = visible_impacts, {e.id: e for e in scene.entities}
    struck, hitter = by_id[impact.struck], by_id[impact.hitter]
    return struck, [Item(struck.id, *runs(_flash(scene, impact))), Item(hitter.id, *_motion(hitter))]


def _appeared(scene: Scene) -> EntityAndEvidence:
    visitors = [e for e in _of_kind(scene, "object") if not e.present[0] and not e.present[-1]]
    return (visitors[0], [Item(visitors[0].id, *runs(visitors[0].present))]) if len(visitors) == 1 else None


def _turned_last(scene: Scene) -> EntityAndEvidence:
    cards = [e for e in _of_kind(scene, "card") if any(e.turned)]
    if not cards:
        return None
    *rest, last = sorted(cards, key=lambda e: e.turned.index(True))
    items = [Item(last.id, *runs(last.turned))] + [Item(c.id, *runs(c.turned), "context") for c in rest]
    return last, items


def _cup_count(scene: Scene) -> str | None:
    count = len(_of_kind(scene, "cup"))
    return str(count) if count in CUPS else None


def _about(
    find: Callable[[Scene], EntityAndEvidence], attribute: str, name: str, question: str, request: str, area: str,
    tags: tuple[str, ...], kind: str = "object",
) -> Family:  # fmt: skip
    """Return a family that asks for an attribute of the one entity that `find` returns, among others of its kind."""

    def value(entity: Entity) -> str:
        return str(getattr(entity, attribute))

    def answer(scene: Scene) -> str | None:
        result = find(scene)
        return None if result is None else value(result[0])

    def evidence(scene: Scene) -> list[Item]:
        result = find(scene)
        return [] if result is None else result[1]

    def others(scene: Scene) -> list[str]:
        # entities that take part in the event come first: as options, they make guessing harder
        participants = {item.track for item in evidence(scene)}
        entities = sorted(_of_kind(scene, kind), key=lambda e: (e.id not in participants, value(e)))
        return [value(e) for e in entities if value(e) != answer(scene)]

    def rivals(scene: Scene) -> int:
        return len({item.track for item in evidence(scene)}) - 1

    return Family(name, question, request, area, tags, answer, others, rivals, evidence)


def _ask(name: str, attribute: str) -> Family:
    """Return the family that asks for one attribute in the event `name`."""
    find, verb, area, tag = _OBJECTS[name]
    question, request = f"What {attribute} is the object that {verb}?", f"Track the object that {verb}."
    return _about(find, attribute, name, question, request, area, (f"{attribute} recognition", tag))


_OBJECTS: dict[str, tuple[Callable[[Scene], EntityAndEvidence], str, str, str]] = {
    "move": (_moved, "moves away", "physics", "motion"),
    "first": (_moved_first, "moves away first", "memory", "sequencing"),
    "hit": (_hit, "gets hit", "physics", "collision"),
    "appear": (_appeared, "appears for a while", "memory", "change detection"),
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
    )
}  # fmt: skip

# used in training only: the other attribute of the same object
AUXILIARY: tuple[Family, ...] = tuple(
    replace(_ask(name, other), name=f"{name}_{other}")
    for name, other in (("move", "shape"), ("first", "shape"), ("hit", "colour"), ("appear", "shape"))
)
