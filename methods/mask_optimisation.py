"""Extremal masks: smooth space-time masks of fixed areas that keep, and whose complements lose, the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import torch
from torch.nn.functional import interpolate

from attrib.inputs.removal import Removal, seen_imputers
from attrib.inputs.space import Baseline, Space, require_space
from attrib.method import Attribution, Batched, Method, Searched, require_at_least, require_choice
from attrib.runtime.memory import batches
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

Objective = Literal["both", "preserve", "delete"]
START, SHRINKING = 0.5, 0.6  # least area at the first step, and the share of the steps in which it shrinks to its size
RATE = 0.3  # of Adam, in logits of the mask
HALVINGS = 60  # of the interval that holds a mask's threshold


@dataclass(frozen=True)
class MaskOptimisation(Batched, Method):
    r"""Mean of optimised masks, one for each of `areas` (Fong et al. 2019; in time, Li et al. 2021; iGOS++, 2021).

    A mask m on the token grid is a sigmoid of smoothed logits (a Gaussian of `sigma` cells) above a threshold at which
    its mean is exactly the area; Adam raises f(x kept where m is 1), lowers f(x without it), or both. The area shrinks
    from a half to its size during the first 60 % of the steps: the gradient of a clip that is almost removed misleads.
    `steps` x areas x 2 forward and backward passes for `both`, and 2 x areas forward passes, from visual tokens by
    default. Reports `preserved` and `deleted`, f(x) minus the mean score of the optimised masks' two versions in nats.

    It searches for what removal metrics measure, so a benchmark scores it only with imputers that it did not see.

    $$m_a = \mathrm{argmax}_{\bar m = a} f(x \odot m) - f(x \odot (1 - m)), \quad M_i = \frac{1}{A} \sum_a m_{ai}$$
    """

    reference: ClassVar[str] = "Fong et al. 2019, section 3; Li et al. 2021; Khorram et al. 2021"
    optimises: ClassVar[frozenset[Searched]] = frozenset({"deletion", "insertion"})

    areas: tuple[float, ...] = (0.05, 0.2)  # shares of the clip that the masks keep
    steps: int = 40  # of the optimiser
    objective: Objective = "both"  # preserve the answer with what the mask keeps, delete it without that, or both
    sigma: float = 0.5  # of the smoothing, in cells of the token grid and in token steps
    space: Space = "tokens"
    baseline: Baseline = "mean_token"
    batch: int = 4  # versions of the clip per forward and backward pass

    def __post_init__(self) -> None:
        require_space(self.space, self.baseline)
        require_choice("objective", self.objective, get_args(Objective))
        require_at_least("number of areas", len(self.areas), 1)
        for name, least in (("steps", 1), ("sigma", 0), ("batch", 1)):
            require_at_least(name, getattr(self, name), least)
        for area in self.areas:
            if not 0 < area < 1:
                raise ValueError(f"areas: expected shares between 0 and 1, got {area}")

    @property
    def seen_imputers(self) -> frozenset[str]:
        """Imputers like the removal that the masks were optimised with."""
        return seen_imputers(self.baseline)

    @property
    def footprint(self) -> Footprint:
        """Backward passes of a batch."""
        return Footprint("everything", self.space, self.batch, blurred=self.baseline == "blur")

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return the mean of the masks, in [0, 1]."""
        return self.values_and_reports(subject).values

    def values_and_reports(self, subject: Subject) -> Attribution:
        """Return the values with `preserved` and `deleted`."""
        grid, removal = subject.grid, Removal.of(subject, self.space, self.baseline)
        shape = (grid.steps, grid.rows, grid.columns)
        smoothing = [gaussian(size, self.sigma) for size in shape]
        logits = torch.zeros(len(self.areas), *shape, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.Adam([logits], lr=RATE)

        def masks(progress: float) -> Tensor:
            areas = tuple(max(area, START) * (area / max(area, START)) ** min(progress, 1) for area in self.areas)
            return of_area(torch.einsum("atyx,tT,yY,xX->aTYX", logits, *smoothing), areas)

        for step in range(self.steps):
            with torch.enable_grad():
                current = masks(step / (SHRINKING * self.steps))
            (logits.grad,) = torch.autograd.grad(current, logits, self._slope(removal, subject, current.detach()))
            optimiser.step()
        found = masks(1).detach()
        whole = float(subject.log_odds(subject.logprobs[None]))
        kept, lost = (self._scores(removal, subject, each) for each in (1 - found, found))
        return Attribution(found.mean(dim=0), {"preserved": whole - kept, "deleted": whole - lost})

    def _slope(self, removal: Removal, subject: Subject, masks: Tensor) -> Float[Tensor, "a t r c"]:
        """Return the gradient of the objective, to be lowered, with respect to the masks."""
        signs = {"preserve": (-1,), "delete": (1,), "both": (-1, 1)}[self.objective]
        versions = [(sign, index) for index in range(len(masks)) for sign in signs]
        slope = torch.zeros_like(masks)
        for chunk in batches(len(versions), self.batch):
            with torch.enable_grad():
                leaf = masks.clone().requires_grad_()
                removed = torch.stack([leaf[index] if sign > 0 else 1 - leaf[index] for sign, index in versions[chunk]])
                scores = removal.without(self._shares(subject, removed))
                weights = scores.new_tensor([sign for sign, _ in versions[chunk]])
                (gradient,) = torch.autograd.grad((weights * scores).sum(), leaf)
            slope += gradient
        return slope

    @torch.no_grad()
    def _scores(self, removal: Removal, subject: Subject, removed: Tensor) -> float:
        shares = self._shares(subject, removed)
        return float(torch.cat([removal.without(shares[chunk]) for chunk in batches(len(shares), self.batch)]).mean())

    def _shares(self, subject: Subject, removed: Float[Tensor, "b t r c"]) -> Tensor:
        """Return removed shares of cells as those of tokens, or of pixels between the cells' middles."""
        if self.space == "tokens":
            return removed.flatten(1)
        grid = subject.grid
        frames = removed.repeat_interleave(grid.frames_per_step, dim=1)[:, : grid.frames]
        return interpolate(frames, tuple(subject.pixels.shape[2:]), mode="bilinear")


def of_area(logits: Float[Tensor, "a t r c"], areas: tuple[float, ...]) -> Float[Tensor, "a t r c"]:
    """Return sigmoid(logits - threshold) whose means are the areas, with the threshold's share of the gradient."""
    flat, wanted = logits.flatten(1), logits.new_tensor(areas)[:, None]
    with torch.no_grad():
        odds = torch.logit(wanted)
        low, high = flat.amin(dim=1, keepdim=True) - odds, flat.amax(dim=1, keepdim=True) - odds
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            above = torch.sigmoid(flat - middle).mean(dim=1, keepdim=True) > wanted
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        at = torch.sigmoid(flat - middle)
        slope = (at * (1 - at)).mean(dim=1, keepdim=True)
    excess = torch.sigmoid(flat - middle).mean(dim=1, keepdim=True) - wanted  # about 0: Newton's step to the threshold
    return torch.sigmoid(flat - middle - excess / slope).view(logits.shape)


def gaussian(size: int, sigma: float) -> Float[Tensor, "size size"]:
    """Return the matrix that smooths `size` values by a Gaussian, renormalised at the ends; with sigma 0, identity."""
    if not sigma:
        return torch.eye(size, dtype=torch.float64)
    places = torch.arange(size, dtype=torch.float64)
    weights = torch.exp(-((places[:, None] - places) ** 2) / (2 * sigma**2))
    return weights / weights.sum(dim=0)
