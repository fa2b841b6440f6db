"""Counterfactual edits of a scene, and the check that its evidence is exact.

`python -m attrib.demo.evidence [--items N]` checks N new items of every family and lists the faults.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product

from rich.console import Console
from rich.table import Table

from attrib.demo.pool import progress, workers
from attrib.demo.world import render
from attrib.demo.world.families import FAMILIES, Family, Item
from attrib.demo.world.scene import FRAMES, RATE, Scene
from attrib.demo.world.table import sample

BIN = 4  # frames that one counterfactual video removes
BINS = tuple((start, start + BIN) for start in range(0, FRAMES, BIN))
CHECK_SEED = 500_000_000  # of the first checked scene; used by no generated set and not in training


@dataclass(frozen=True)
class Edit:
    """Counterfactual scene. `kind` "part" lacks `track` in frames [start, end), "removed" lacks the evidence, "only"
    lacks everything else.
    """

    kind: str
    scene: Scene
    track: int | None = None
    start: int = 0
    end: int = FRAMES

    @property
    def name(self) -> str:
        """Name that is unique among the edits of a scene."""
        return self.kind if self.track is None else f"{self.track}_{self.start}"

    def seconds(self) -> dict[str, object]:
        """Entry of `counterfactuals_*.json` without the file's name."""
        return {"kind": self.kind, "track": self.track, "start": self.start / RATE, "end": self.end / RATE}


def needed(scene: Scene, family: Family) -> list[Item]:
    """Evidence items except those with the role "context"."""
    return [item for item in family.evidence(scene) if item.role != "context"]


def edits(scene: Scene, family: Family) -> Iterator[Edit]:
    """Yield the scene without its evidence, with nothing else, and without each entity in each second it is visible."""
    tracks = {item.track for item in needed(scene, family)}
    yield Edit("removed", scene.without(tracks))
    yield Edit("only", scene.only(tracks))
    for entity, (start, end) in product(scene.entities, BINS):
        if any(scene.seen(entity)[start:end]):
            yield Edit("part", scene.without({entity.id}, start, end), entity.id, start, end)


def faults(scene: Scene, family: Family) -> list[str]:
    """List the faults of the family's evidence for the scene; empty if it is exact."""
    answer, items = family.answer(scene), needed(scene, family)
    if answer is None or not items:
        return ["no answer" if answer is None else "no evidence"]
    tracks = {item.track for item in items}
    others = _rest(scene, items)
    messages = [f"not needed for the answer: {i}" for i in items if _answer_without(scene, family, i) == answer]
    messages += ["the evidence alone gives another answer"] * (family.answer(scene.only(tracks)) != answer)
    messages += ["the answer is the same without the evidence"] * (family.answer(scene.without(tracks)) == answer)
    messages += [f"needed, but not evidence: {i}" for i in others if _answer_without(scene, family, i) != answer]
    return messages + [f"not visible: {i}" for i in items if not _visible(scene, i)]


def _answer_without(scene: Scene, family: Family, item: Item) -> str | None:
    return family.answer(scene.without({item.track}, item.start, item.end))


def _rest(scene: Scene, items: list[Item]) -> Iterator[Item]:
    """Yield what is not evidence: other entities as a whole, and each entity in each second without evidence."""
    for entity in scene.entities:
        own = [item for item in items if item.track == entity.id]
        if not own:
            yield Item(entity.id, 0, FRAMES)
        for start, end in BINS:
            if not any(item.start < end and start < item.end for item in own):
                yield Item(entity.id, start, end)


def _visible(scene: Scene, item: Item) -> bool:
    """Return whether the first and the middle frame of the interval change when drawn without the item."""
    at = [item.start, (item.start + item.end) // 2]
    removed = scene.without({item.track}, item.start, item.end)
    return bool((render.frames(scene, at) != render.frames(removed, at)).any(axis=(1, 2, 3)).all())


def _checked(name: str, seed: int) -> list[str]:
    return [f"{name} {seed}: {fault}" for fault in faults(sample(seed, name), FAMILIES[name])]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Check the evidence of new items of every family.")
    parser.add_argument("--items", type=int, default=1000, help="number of items of each family")
    arguments = parser.parse_args()
    if arguments.items < 1:
        parser.error(f"--items: expected 1 or more, got {arguments.items}")
    table = Table("family", "items", "faults")
    messages: list[str] = []
    with workers() as pool:
        for name in FAMILIES:
            seeds = range(CHECK_SEED, CHECK_SEED + arguments.items)
            results = pool.map(partial(_checked, name), seeds, chunksize=25)
            faulty = [item_faults for item_faults in progress(results, name, arguments.items) if item_faults]
            table.add_row(name, str(arguments.items), str(len(faulty)))
            messages += [message for item_faults in faulty for message in item_faults]
    Console().print("evidence, checked by removing entities and drawing the scene again", table)
    if messages:
        parser.exit(1, "\n".join(messages[:20]) + "\n")


if __name__ == "__main__":
    main()
