"""The question families: one fixed question each, a program that answers it from the scene, and the evidence.

A program sees only what a viewer sees. It returns None where the scene gives no single answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from attrib.demo.world.scene import FRAMES, RATE, Entity, Impact, Scene
from attrib.demo.world.table import CUPS, HEAD_START


@dataclass(frozen=True)
class Item:
    """Evidence: track `track` during frames [start, end), and its role (necessary, alternative or context)."""

    track: int
    start: int
    end: int
    role: str = "necessary"

    def seconds(self) -> dict[str, int | float | str]:
        """The item as `evidence_*.json` holds it: half-open seconds."""
        return {"track": self.track, "start": self.start / RATE, "end": self.end / RATE, "role": self.role}


@dataclass(frozen=True)
class Family:
    """One task: its question, and from a scene the answer, the wrong options and the evidence."""

    name: str
    question: str
    request: str  # the same as a grounded question: "Track ..."
    area: str
    tags: tuple[str, ...]
    answer: Callable[[Scene], str | None]
    others: Callable[[Scene], list[str]]
    rivals: Callable[[Scene], int]  # so many of the first `others` always stand among the options
    evidence: Callable[[Scene], list[Item]]

    def options(self, scene: Scene, rng: np.random.Generator, place: int) -> tuple[str, ...]:
        """Three options with the right one at `place`; the wrong ones are really to be seen, in random order."""
        answer = self.answer(scene)
        if answer is None:
            raise ValueError(f"{self.name}: this scene has no single answer")
        others = [o for o in self.others(scene) if o != answer]
        rivals = min(self.rivals(scene), 2)
        chance = [str(o) for o in rng.permutation(others[rivals:])]
        wrong = [str(o) for o in rng.permutation([*others[:rivals], *chance][:2])]
        return (*wrong[:place], answer, *wrong[place:])


Found = tuple[Entity, list[Item]] | None  # what is asked about, and the evidence, the thing itself first


def runs(flags: Sequence[bool]) -> tuple[int, int]:
    """First true frame and the frame after the last true one."""
    true = np.flatnonzero(flags)
    return int(true[0]), int(true[-1]) + 1


def _of_kind(scene: Scene, kind: str) -> list[Entity]:
    """Things of a kind that are to be seen at some time."""
    return [e for e in scene.entities if e.kind == kind and any(scene.seen(e))]


def _moves(entity: Entity) -> list[bool]:
    return [entity.moving(i) for i in range(FRAMES)]


def _way(entity: Entity) -> tuple[int, int]:
    """Frames [start, end) of its way, with the frame before it, in which it still lies where it came from."""
    start, end = runs(_moves(entity))
    return start - 1, end


def _movers(scene: Scene) -> list[Entity]:
    """Objects that move to another place, in the order in which they leave."""
    return sorted((e for e in _of_kind(scene, "object") if any(_moves(e))), key=_way)


def _flash(scene: Scene, impact: Impact) -> list[bool]:
    """The frames in which a viewer sees it: hitter and struck thing in sight, the hitter having come to it."""
    by_id = {e.id: e for e in scene.entities}
    if impact.struck not in by_id or impact.hitter not in by_id or scene.hidden(by_id[impact.hitter], impact.start):
        return [False] * FRAMES
    struck = by_id[impact.struck]
    return [scene.struck(struck, i) and not scene.hidden(struck, i) for i in range(FRAMES)]


def impacts(scene: Scene) -> list[tuple[Impact, bool]]:
    """Impacts that take place, and whether a viewer sees them."""
    there = {e.id: e for e in scene.entities}
    real = [i for i in scene.impacts if i.struck in there and scene.struck(there[i.struck], i.start)]
    return [(i, any(_flash(scene, i))) for i in real]


def _moved(scene: Scene) -> Found:
    movers = _movers(scene)
    return (movers[0], [Item(movers[0].id, *_way(movers[0]))]) if len(movers) == 1 else None


def _moved_first(scene: Scene) -> Found:
    movers = _movers(scene)
    if not movers or any(_way(e)[0] < _way(movers[0])[0] + HEAD_START for e in movers[1:]):
        return None
    return movers[0], [Item(e.id, *_way(e), role) for e, role in zip(movers, ("necessary", "context"), strict=False)]


def _hit(scene: Scene) -> Found:
    seen = [impact for impact, visible in impacts(scene) if visible]
    if len(seen) != 1:
        return None
    by_id = {e.id: e for e in scene.entities}
    struck, hitter = by_id[seen[0].struck], by_id[seen[0].hitter]
    return struck, [Item(struck.id, *runs(_flash(scene, seen[0]))), Item(hitter.id, *_way(hitter))]


def _appeared(scene: Scene) -> Found:
    visitors = [e for e in _of_kind(scene, "object") if not e.present[0] and not e.present[-1]]
    return (visitors[0], [Item(visitors[0].id, *runs(visitors[0].present))]) if len(visitors) == 1 else None


def _turned_last(scene: Scene) -> Found:
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
    find: Callable[[Scene], Found], attribute: str, name: str, question: str, request: str, area: str,
    tags: tuple[str, ...], kind: str = "object",
) -> Family:  # fmt: skip
    """A question for the colour or the shape of the one thing that `find` finds, among others of its kind."""

    def value(entity: Entity) -> str:
        return str(getattr(entity, attribute))

    def answer(scene: Scene) -> str | None:
        found = find(scene)
        return None if found is None else value(found[0])

    def evidence(scene: Scene) -> list[Item]:
        found = find(scene)
        return [] if found is None else found[1]

    def others(scene: Scene) -> list[str]:
        # whatever else takes part stands among the options, so that it takes more than a glance to tell
        taking_part = {item.track for item in evidence(scene)}
        seen = sorted(_of_kind(scene, kind), key=lambda e: (e.id not in taking_part, value(e)))
        return [value(e) for e in seen if value(e) != answer(scene)]

    def rivals(scene: Scene) -> int:
        return len({item.track for item in evidence(scene)}) - 1

    return Family(name, question, request, area, tags, answer, others, rivals, evidence)


def _ask(name: str, attribute: str) -> Family:
    """The family's question for one attribute."""
    find, verb, area, tag = _OBJECTS[name]
    question, request = f"What {attribute} is the object that {verb}?", f"Track the object that {verb}."
    return _about(find, attribute, name, question, request, area, (f"{attribute} recognition", tag))


_OBJECTS: dict[str, tuple[Callable[[Scene], Found], str, str, str]] = {
    "move": (_moved, "moves away", "physics", "motion"),
    "first": (_moved_first, "moves away first", "memory", "sequencing"),
    "hit": (_hit, "gets hit", "physics", "collision"),
    "appear": (_appeared, "appears for a while", "memory", "change detection"),
}
_ASKED = {"move": "colour", "first": "colour", "hit": "shape", "appear": "colour"}

FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        *(_ask(name, attribute) for name, attribute in _ASKED.items()),
        _about(_turned_last, "shape", "cards", "Which shape is on the card that is turned over last?",
               "Track the card that is turned over last.", "memory", ("shape recognition", "sequencing"), "card"),
        Family("cups", "How many cups are on the table?", "Track the cups.", "abstraction", ("object counting",),
               _cup_count, lambda scene: [str(n) for n in CUPS], lambda scene: 0,
               lambda scene: [Item(c.id, 0, FRAMES) for c in _of_kind(scene, "cup")]),
    )
}  # fmt: skip

# asked in training only: the other attribute of the same object
AUXILIARY: tuple[Family, ...] = tuple(
    replace(_ask(name, other), name=f"{name}_{other}")
    for name, other in (("move", "shape"), ("first", "shape"), ("hit", "colour"), ("appear", "shape"))
)
