"""Greedy search for the regions that keep the answer alone, and without which it falls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from attrib.inputs.players import CellPlayers
from attrib.inputs.removal import Absence, Cells, Removal, require_removal, seen_imputers
from attrib.inputs.space import Space
from attrib.method import Attribution, Batched, Method, Searched, require_at_least
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class GreedyRegions(Batched, Method):
    r"""Order in which a greedy search takes cells to raise f(only S) - f(without S) (EAGLE, Chen et al. 2025).

    The first of `regions` rounds tries all n cells; the others try the `candidates` best cells of the first that are
    not yet taken, each with the region S so far (all cells, if `candidates` is n). The map is the order: from 1 for the
    first cell taken in equal steps to 2 / (regions + 1); the other cells lie below, within 1 / (regions + 2), by their
    gain in the first round. Takes 1 + 2 (n + (c - 1) + ... + (c - regions + 1)) forward passes for c candidates,
    reported as `forward_evaluations`; from visual tokens by default, where no frame is encoded again. Also reports
    `objective`, f(only S) - f(without S) in nats of the region found.

    It searches for what removal metrics measure, so a benchmark scores it only with imputers that it did not see.

    $$S_{k+1} = S_k \cup \mathrm{argmax}_{i \notin S_k}
    \left[ f(x_{S_k \cup i}) - f(x_{\setminus (S_k \cup i)}) \right]$$
    """

    reference: ClassVar[str] = "Chen et al. 2025, arXiv 2509.22496 (EAGLE)"
    optimises: ClassVar[frozenset[Searched]] = frozenset({"deletion", "insertion"})

    regions: int = 8  # cells that are taken
    candidates: int = 24  # cells that are tried from the second round on
    cells: int = 4
    space: Space = "tokens"
    baseline: Absence = "mean_token"  # what stands for an absent video; tokens also: `dropped` from the sequence
    batch: int = 8  # versions of the clip per forward pass

    def __post_init__(self) -> None:
        require_removal(self.space, self.baseline)
        for name in ("regions", "candidates", "cells", "batch"):
            require_at_least(name, getattr(self, name), 1)

    @property
    def seen_imputers(self) -> frozenset[str]:
        """Imputers like the removal that the search tried."""
        return seen_imputers(self.baseline)

    @property
    def footprint(self) -> Footprint:
        """Forward passes of a batch."""
        return Footprint("forward", self.space, self.batch, blurred=self.baseline == "blur")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return the order of the cells from 1 down; negative where a cell alone speaks against the answer."""
        return self.values_and_reports(subject).values

    def values_and_reports(self, subject: Subject) -> Attribution:
        """Return the values with `objective` and the number of forward passes."""
        removal = Removal.of(subject, self.space, self.baseline)
        players = CellPlayers(Cells.of(removal.inputs, subject.grid, self.cells))
        search = Search(removal, players, self.batch)
        whole = float(subject.log_odds(subject.logprobs[None]))
        nothing = float(search.scores(torch.ones(1, players.count, dtype=torch.bool))[0]) - whole
        pool = list(range(players.count))
        first = search.objectives([], pool)
        taken, best = [], first
        while True:
            taken.append(pool[int(best.argmax())])
            objective = float(best.max())
            ranked = first.argsort(descending=True, stable=True).tolist()
            pool = [index for index in ranked[: max(self.candidates, 1)] if index not in taken]
            if len(taken) == self.regions or not pool:
                break
            best = search.objectives(taken, pool)
        reports = {"objective": objective, "forward_evaluations": float(search.forwards)}
        return Attribution(players.volume(ordered(first - nothing, taken)), reports)


@dataclass(eq=False)
class Search:
    """Objective of regions; counts its forward passes."""

    removal: Removal
    players: CellPlayers
    batch: int
    forwards: int = 0

    def scores(self, removed: Bool[Tensor, "k n"]) -> Float[Tensor, " k"]:
        """Return the score without the cells of each row, on the CPU."""
        self.forwards += len(removed)
        scores = self.removal.scores(len(removed), lambda index: self.players.mask(removed[index]), self.batch)
        return scores.cpu().double()

    def objectives(self, taken: list[int], pool: list[int]) -> Float[Tensor, " k"]:
        """Return f(only S) - f(without S) for the region taken with each cell of the pool."""
        regions = torch.zeros(len(pool), self.players.count, dtype=torch.bool)
        regions[:, taken] = True
        regions[range(len(pool)), pool] = True
        kept, lost = self.scores(torch.cat([~regions, regions])).view(2, -1)
        return kept - lost


def ordered(gains: Float[Tensor, " n"], taken: list[int]) -> Float[Tensor, " n"]:
    """Return values from 1 down in the order of the cells taken, and below them those of the others by their gains."""
    steps = len(taken) + 1
    values = gains / gains.abs().max().clamp(min=torch.finfo(gains.dtype).tiny) / (steps + 1)
    values[taken] = torch.arange(steps, 1, -1, dtype=values.dtype) / steps
    return values
