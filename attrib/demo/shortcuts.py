"""Search for shortcuts in the built-in world: `python -m attrib.demo.shortcuts [--scenes N] [--json]`.

Simple readers, which see too little of a video to answer its question, learn to answer it as well as they can. The
table compares their accuracy on other scenes with chance; the exit code is 1 if one of them does better than it may.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby

import numpy as np
from rich.console import Console
from rich.table import Table

from attrib.demo.pool import progress, workers
from attrib.demo.readers.asked import Asked, Sampler, ask
from attrib.demo.readers.declared import DECLARED, Limit
from attrib.demo.readers.learning import score
from attrib.demo.readers.views import READERS, Reader
from attrib.demo.training.labels import READ_FRAMES
from attrib.demo.world.families import FAMILIES
from attrib.demo.world.table import sample

MARGIN = 0.05  # above chance, that a reader needs nobody's leave for
LEAST, MOST = 200, 100_000  # scenes of a family


@dataclass(frozen=True)
class Suspicion:
    """Accuracy of one reader in one family, with its 95 % interval; `frame` is the best one of a single frame.

    `limit` is what the reader may reach where more than chance is declared, for `reason`.
    """

    family: str
    reader: str
    frame: int | None
    scenes: int
    accuracy: float
    low: float
    high: float
    chance: float
    limit: float | None
    reason: str

    @property
    def verdict(self) -> str:
        """Word for the lower end of the interval: "chance", "declared" or "SHORTCUT"."""
        if self.low <= self.chance + MARGIN:
            return "chance"
        return "SHORTCUT" if self.limit is None or self.low > self.limit else "declared"


def search(
    family: str, scenes: int, sampler: Sampler = sample, readers: Sequence[str] = tuple(READERS)
) -> list[Suspicion]:
    """Return a finding for each reader, trained and tested on `scenes` questions of the family."""
    asked = list(ask(family, scenes, sampler))
    return [_finding(READERS[name], asked) for name in readers]


def _finding(reader: Reader, asked: Sequence[Asked]) -> Suspicion:
    family = asked[0].family
    seen = asked[: max(round(len(asked) * reader.share), min(len(asked), LEAST))]
    features = np.stack([reader.view(a) for a in seen])
    by_class = features.shape[2] == 1
    right = np.array([a.number if by_class else a.right for a in seen])
    found = score(features, right)
    limit = DECLARED.get((family.name, reader.name), Limit(0, ""))
    return Suspicion(
        family.name, reader.name, READ_FRAMES[found.view] if features.shape[1] > 1 else None, found.scenes,
        found.accuracy, found.low, found.high, 1 / family.choices, limit.most or None, limit.reason,
    )  # fmt: skip


def search_all(scenes: int) -> list[Suspicion]:
    """Suspicions of all readers in all families, which worker processes share."""
    with workers() as pool:
        results = pool.map(partial(search, scenes=scenes), FAMILIES)
        return [finding for found in progress(results, "searching", len(FAMILIES)) for finding in found]


def table(findings: Sequence[Suspicion]) -> Table:
    """Table of the findings for a terminal; the number after a reader is the frame that it learned to use."""
    out = Table(title="accuracy of readers that should not know the answer")
    for column in ("family", "reader", "chance", "accuracy", "95 %", "limit", "verdict"):
        out.add_column(column, justify="left" if column in ("family", "reader", "verdict") else "right")
    for family, group in groupby(findings, key=lambda finding: finding.family):
        out.add_section()
        for i, f in enumerate(group):
            reader = f.reader if f.frame is None else f"{f.reader}: {f.frame}"
            limit = "" if f.limit is None else f"{f.limit:.2f}"
            numbers = f"{f.chance:.3f}", f"{f.accuracy:.3f}", f"{f.low:.2f}-{f.high:.2f}"
            out.add_row("" if i else family, reader, *numbers, limit, f.verdict)
    return out


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Search for shortcuts to the answers of the built-in world.")
    parser.add_argument("--scenes", type=int, default=4000, help="number of scenes of each family")
    parser.add_argument("--json", action="store_true", help="print only JSON")
    arguments = parser.parse_args()
    if not LEAST <= arguments.scenes <= MOST:
        parser.error(f"--scenes: expected {LEAST} to {MOST}, got {arguments.scenes}")
    findings = search_all(arguments.scenes)
    if arguments.json:
        print(json.dumps([{**asdict(f), "verdict": f.verdict} for f in findings]))
    else:
        Console().print(table(findings))
    if any(f.verdict == "SHORTCUT" for f in findings):
        parser.exit(1)


if __name__ == "__main__":
    main()
