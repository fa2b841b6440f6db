"""Shapley values of frames, cells or annotated objects."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING, ClassVar, get_args

import torch

from attrib.errors import InputError
from attrib.inputs.monte_carlo import report_of_halves
from attrib.inputs.path import LEAST
from attrib.inputs.players import PlayerKind, Players, players_of
from attrib.inputs.removal import Absence, Removal, require_removal
from attrib.inputs.space import Space
from attrib.method import Attribution, Batched, Method, require_at_least, require_choice
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class Shapley(Batched, Method):
    r"""Mean drop of the score when a player is removed after others, over all orders (Shapley 1953; Strumbelj 2014).

    Players are `cells` of a frame or step, whole `frames` (token steps), annotated `objects` while they are visible, or
    `object_seconds`: an object during a stretch of `seconds`. Exact where all 2^n - 1 versions are at most `forwards`;
    else pairs of a random order and its reverse, which takes 2 (n - 1) forward passes a pair, and at least one pair.
    Reports `completeness_error`, |sum - (f(x) - f(x without all players))| over that change, and `forward_evaluations`;
    of sampled orders, from two pairs on, `monte_carlo_error`, the L2 norm of the players' standard errors over that of
    their values, and `monte_carlo_agreement` between this map and one of another seed.

    $$M_i = \sum_{S \subseteq N \setminus i} \frac{|S|! \, (n - |S| - 1)!}{n!} \left[ f(x_{\setminus S}) -
    f(x_{\setminus (S \cup i)}) \right]$$
    """

    reference: ClassVar[str] = "Shapley 1953; Strumbelj and Kononenko 2014; antithetic orders: Mitchell et al. 2022"

    players: PlayerKind = "cells"  # what is removed as a whole
    cells: int = 4
    seconds: float = 1.0  # length of a stretch of `object_seconds`
    forwards: int = 600  # most forward passes, if one pair of orders does not take more
    space: Space = "pixels"
    baseline: Absence = "blur"  # what stands for an absent video; tokens also: `dropped` from the sequence
    batch: int = 8  # versions of the clip per forward pass

    def __post_init__(self) -> None:
        require_removal(self.space, self.baseline)
        require_choice("players", self.players, get_args(PlayerKind))
        if self.players.startswith("object") and self.space == "tokens":
            raise ValueError("players: objects are boxes of pixels; set space to 'pixels'")
        for name in ("cells", "forwards", "batch"):
            require_at_least(name, getattr(self, name), 1)
        if not self.seconds > 0:
            raise ValueError(f"seconds: expected more than 0, got {self.seconds}")

    @property
    def footprint(self) -> Footprint:
        """Forward passes of a batch."""
        return Footprint("forward", self.space, self.batch, blurred=self.baseline == "blur")

    def check(self, subject: Subject) -> None:
        """Raise InputError for objects where nothing is annotated."""
        if self.players.startswith("object") and subject.sample is None:
            raise InputError(f"shapley: players {self.players} need an annotated sample; choose cells or frames")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return signed values in nats, which add up to f(x) - f(x without all players)."""
        return self.values_and_reports(subject).values

    def values_and_reports(self, subject: Subject) -> Attribution:
        """Return the values with `completeness_error`, `score_change` and the number of forward passes."""
        removal = Removal.of(subject, self.space, self.baseline)
        players = players_of(subject, removal.inputs, self.players, self.cells, self.seconds)
        if not players.count:
            return Attribution(players.volume(torch.zeros(0)))
        game = Game(removal, players, float(subject.log_odds(subject.logprobs[None])), self.batch)
        if 2**players.count - 1 <= self.forwards:
            values, reports = exact(game), {}
        else:
            pairs = self._pairs(players.count)
            estimates = sampled(game, torch.stack([torch.randperm(players.count) for _ in range(pairs)]))
            values, reports = estimates.mean(dim=0), _errors(estimates)
            if pairs > 1:
                one, two = (players.volume(estimates[start::2].mean(dim=0)) for start in (0, 1))
                reports |= report_of_halves(one, two, subject.grid)
        volume, change = players.volume(values), game.whole - game.empty
        error = abs(float(volume.sum()) - change) / max(abs(change), LEAST)
        sums = {"completeness_error": error, "score_change": change, "forward_evaluations": float(game.forwards)}
        return Attribution(volume, sums | reports)

    def _pairs(self, players: int) -> int:
        return max(1, (self.forwards - 1) // (2 * (players - 1)))


@dataclass(eq=False)
class Game:
    """Scores of a clip without some of its players; `whole` is its own score. Counts its forward passes."""

    removal: Removal
    players: Players
    whole: float
    batch: int
    empty: float = 0.0  # score without all players, once it is known
    forwards: int = 0

    def scores(self, removed: Bool[Tensor, "k n"]) -> Float[Tensor, " k"]:
        """Return the score without the players of each row, on the CPU."""
        self.forwards += len(removed)
        scores = self.removal.scores(len(removed), lambda index: self.players.mask(removed[index]), self.batch)
        return scores.cpu().double()


def exact(game: Game) -> Float[Tensor, " n"]:
    """Return the Shapley values from all subsets."""
    count = game.players.count
    subsets = torch.arange(2**count)
    removed = (subsets[:, None] >> torch.arange(count)) % 2 == 1
    scores = torch.cat([torch.tensor([game.whole], dtype=torch.float64), game.scores(removed[1:])])
    game.empty = float(scores[-1])
    orders = [factorial(size) * factorial(count - size - 1) / factorial(count) for size in range(count)]
    weights = torch.tensor([*orders, 0.0], dtype=torch.float64)[removed.sum(dim=1)]
    gains = [(weights * (scores - scores[subsets | (1 << player)]))[~removed[:, player]] for player in range(count)]
    return torch.stack([gain.sum() for gain in gains])


def sampled(game: Game, orders: Int[Tensor, "p n"]) -> Float[Tensor, "p n"]:
    """Return each pair's estimate: the mean drop along an order and along its reverse."""
    every = torch.stack([orders, orders.flip(1)], dim=1).flatten(0, 1)
    count = every.shape[1]
    place = every.argsort(dim=1)
    removed = (place[:, None] < torch.arange(1, count)[None, :, None]).flatten(0, 1)  # after 1 to n - 1 removals
    everything = torch.ones(1, count, dtype=torch.bool)
    scores = game.scores(torch.cat([everything, removed]))
    game.empty = float(scores[0])
    along = scores[1:].view(len(every), count - 1)
    ends = along.new_tensor([[game.whole, game.empty]]).expand(len(every), 2)
    drops = -torch.cat([ends[:, :1], along, ends[:, 1:]], dim=1).diff(dim=1)
    return drops.gather(1, place).view(len(orders), 2, count).mean(dim=1)


def _errors(estimates: Float[Tensor, "p n"]) -> dict[str, float]:
    """Return the standard errors' norm over the values' norm; nothing for a single pair or values of 0."""
    norm = float(estimates.mean(dim=0).norm())
    if len(estimates) < 2 or not norm:
        return {}
    return {"monte_carlo_error": float(estimates.std(dim=0).norm()) / len(estimates) ** 0.5 / norm}
