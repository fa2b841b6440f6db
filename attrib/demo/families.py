"""The question families: one fixed question each, a program that answers it from the scene, and the evidence.

A program sees only what a viewer sees. It returns None where the scene gives no single answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attrib.demo.world import FRAMES, RATE, Entity, Scene

CUP_COUNTS = ("2", "3", "4")


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
    evidence: Callable[[Scene], list[Item]]

    def options(self, scene: Scene, rng: np.random.Generator, place: int) -> tuple[str, ...]:
        """Three options with the right one at `place`; the wrong ones are really to be seen, in random order."""
        answer = self.answer(scene)
        if answer is None:
            raise ValueError(f"{self.name}: this scene has no single answer")
        wrong = [str(o) for o in rng.permutation([o for o in self.others(scene) if o != answer])[:2]]
        return (*wrong[:place], answer, *wrong[place:])


def _runs(flags: list[bool]) -> tuple[int, int]:
    """First true frame and the frame after the last true one."""
    true = np.flatnonzero(flags)
    return int(true[0]), int(true[-1]) + 1


def _single(found: list[Entity]) -> Entity | None:
    return found[0] if len(found) == 1 else None


def _of_kind(scene: Scene, kind: str) -> list[Entity]:
    return [e for e in scene.entities if e.kind == kind]


def _moves(e: Entity) -> list[bool]:
    return [e.moving(i) for i in range(FRAMES)]


def _comes_and_goes(e: Entity) -> list[bool]:
    return [not e.present[0] and not e.present[-1] and here for here in e.present]


def _mover(scene: Scene) -> Entity | None:
    return _single([e for e in _of_kind(scene, "object") if any(_moves(e))])


def _lit(scene: Scene) -> Entity | None:
    return _single([e for e in _of_kind(scene, "object") if any(e.lit)])


def _visitor(scene: Scene) -> Entity | None:
    return _single([e for e in _of_kind(scene, "object") if any(_comes_and_goes(e))])


def _turned_cards(scene: Scene) -> list[Entity]:
    """Cards whose face is shown at some time, in the order in which they are turned over."""
    return sorted((e for e in _of_kind(scene, "card") if any(e.turned)), key=lambda e: e.turned.index(True))


def _last_card(scene: Scene) -> str | None:
    cards = _turned_cards(scene)
    return cards[-1].shape if cards else None


def _card_evidence(scene: Scene) -> list[Item]:
    *rest, last = _turned_cards(scene)
    return [Item(last.id, *_runs(list(last.turned)))] + [Item(c.id, *_runs(list(c.turned)), "context") for c in rest]


def _cup_count(scene: Scene) -> str | None:
    count = str(len(_of_kind(scene, "cup")))
    return count if count in CUP_COUNTS else None


def _object_family(
    name: str, verb: str, find: Callable[[Scene], Entity | None], when: Callable[[Entity], list[bool]], **rest: str
) -> Family:
    """A question for the colour or the shape of the one object that does something."""
    attribute = rest["attribute"]

    def answer(scene: Scene) -> str | None:
        found = find(scene)
        return None if found is None else str(getattr(found, attribute))

    def evidence(scene: Scene) -> list[Item]:
        found = find(scene)
        return [] if found is None else [Item(found.id, *_runs(when(found)))]

    return Family(
        name, f"What {attribute} is the object that {verb}?", f"Track the object that {verb}.", rest["area"],
        (attribute + " recognition", rest["tag"]), answer,
        lambda scene: sorted({str(getattr(e, attribute)) for e in _of_kind(scene, "object")}), evidence,
    )  # fmt: skip


FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        _object_family("move", "moves", _mover, _moves, attribute="colour", area="physics", tag="motion"),
        _object_family("light", "lights up", _lit, lambda e: list(e.lit), attribute="shape", area="semantics",
                       tag="event recall"),
        _object_family("appear", "appears for a while", _visitor, _comes_and_goes, attribute="colour", area="memory",
                       tag="change detection"),
        Family("cards", "Which shape is on the card that is turned over last?", "Track the card that is turned over "
               "last.", "memory", ("shape recognition", "sequencing"), _last_card,
               lambda scene: [c.shape for c in _turned_cards(scene)], _card_evidence),
        Family("cups", "How many cups are on the table?", "Track the cups.", "abstraction",
               ("object counting",), _cup_count, lambda scene: list(CUP_COUNTS),
               lambda scene: [Item(c.id, 0, FRAMES) for c in _of_kind(scene, "cup")]),
    )
}  # fmt: skip

# asked in training only: the other attribute of the same object
AUXILIARY: tuple[Family, ...] = (
    _object_family("move_shape", "moves", _mover, _moves, attribute="shape", area="physics", tag="motion"),
    _object_family("light_colour", "lights up", _lit, lambda e: list(e.lit), attribute="colour", area="semantics",
                   tag="event recall"),
    _object_family("appear_shape", "appears for a while", _visitor, _comes_and_goes, attribute="shape", area="memory",
                   tag="change detection"),
)  # fmt: skip
