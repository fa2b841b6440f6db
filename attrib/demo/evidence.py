"""Evidence made visible: the same video with something taken away, and the check that the evidence is what it says.

`python -m attrib.demo.evidence [--items N]` checks N new items of every family and says what it found.
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

BIN = 4  # frames; what counterfactual videos take away at a time
BINS = tuple((start, start + BIN) for start in range(0, FRAMES, BIN))
CHECK_SEED = 500_000_000  # of the first scene that is checked: in no generated set and not in training


@dataclass(frozen=True)
class Edit:
    """One counterfactual video: `kind` "part" lacks `track` in frames [start, end), "removed" all the evidence, "only"
    all but the evidence.
    """

    kind: str
    scene: Scene
    track: int | None = None
    start: int = 0
    end: int = FRAMES

    @property
    def name(self) -> str:
        """Unique among the edits of a scene."""
        return self.kind if self.track is None else f"{self.track}_{self.start}"

    def seconds(self) -> dict[str, object]:
        """Its entry of `counterfactuals_*.json`, less the file's name."""
        return {"kind": self.kind, "track": self.track, "start": self.start / RATE, "end": self.end / RATE}


def needed(scene: Scene, family: Family) -> list[Item]:
    """The evidence without its context."""
    return [item for item in family.evidence(scene) if item.role != "context"]


def edits(scene: Scene, family: Family) -> Iterator[Edit]:
    """All evidence removed, nothing but the evidence, and each thing absent in each second in which it can be seen."""
    tracks = {item.track for item in needed(scene, family)}
    yield Edit("removed", scene.without(tracks))
    yield Edit("only", scene.only(tracks))
    for entity, (start, end) in product(scene.entities, BINS):
        if any(scene.seen(entity)[start:end]):
            yield Edit("part", scene.without({entity.id}, start, end), entity.id, start, end)


def faults(scene: Scene, family: Family) -> list[str]:
    """List the faults of the evidence that the family names for the scene; empty where it is exact."""
    answer, items = family.answer(scene), needed(scene, family)
    if answer is None or not items:
        return ["no answer" if answer is None else "no evidence"]
    tracks = {item.track for item in items}
    found = [f"not needed: {i}" for i in items if _answer_without(scene, family, i) == answer]
    found += ["the evidence alone gives another answer"] * (family.answer(scene.only(tracks)) != answer)
    found += ["the answer stays without all the evidence"] * (family.answer(scene.without(tracks)) == answer)
    found += [f"needed: {i}" for i in _rest(scene, items) if _answer_without(scene, family, i) != answer]
    return found + [f"not to be seen: {i}" for i in items if not _visible(scene, i)]


def _answer_without(scene: Scene, family: Family, item: Item) -> str | None:
    return family.answer(scene.without({item.track}, item.start, item.end))


def _rest(scene: Scene, items: list[Item]) -> Iterator[Item]:
    """All that is no evidence: other things as a whole, and everything in each second that no evidence touches."""
    for entity in scene.entities:
        own = [item for item in items if item.track == entity.id]
        if not own:
            yield Item(entity.id, 0, FRAMES)
        for start, end in BINS:
            if not any(item.start < end and start < item.end for item in own):
                yield Item(entity.id, start, end)


def _visible(scene: Scene, item: Item) -> bool:
    """Return whether frames of its interval look different when drawn without it."""
    at = [item.start, (item.start + item.end) // 2]
    removed = scene.without({item.track}, item.start, item.end)
    return bool((render.frames(scene, at) != render.frames(removed, at)).any(axis=(1, 2, 3)).all())


def _checked(name: str, seed: int) -> list[str]:
    return [f"{name} {seed}: {fault}" for fault in faults(sample(seed, name), FAMILIES[name])]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Check the evidence of new items of every family.")
    parser.add_argument("--items", type=int, default=1000, help="of each family")
    arguments = parser.parse_args()
    if arguments.items < 1:
        parser.error(f"--items: expected 1 or more, got {arguments.items}")
    table = Table("family", "items", "faults")
    found: list[str] = []
    with workers() as pool:
        for name in FAMILIES:
            seeds = range(CHECK_SEED, CHECK_SEED + arguments.items)
            done = pool.map(partial(_checked, name), seeds, chunksize=25)
            faulty = [fault for fault in progress(done, name, arguments.items) if fault]
            table.add_row(name, str(arguments.items), str(len(faulty)))
            found += [text for fault in faulty for text in fault]
    Console().print("evidence, checked by taking things away and drawing again", table)
    if found:
        parser.exit(1, "\n".join(found[:20]) + "\n")


if __name__ == "__main__":
    main()
