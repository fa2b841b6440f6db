"""Input spaces of gradient methods, the clip's pixels or its visual tokens, and their baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from attrib.method import require_choice
from attrib.model import TokenGrid
from attrib.subject import Subject

if TYPE_CHECKING:
    from jaxtyping import Float

Space = Literal["pixels", "tokens"]
Baseline = Literal["blur", "black", "mean", "frozen", "mean_token"]
BLUR = 0.1  # sigma as a share of the frame's height


@dataclass(frozen=True, eq=False)
class Inputs:
    """One clip as a batch of one, (1, t, 3, h, w) or (1, n, d), and the score function of such batches.

    Axis 2 holds features (colours or token channels), which a map sums or reduces.
    """

    values: Tensor
    score: Callable[[Tensor], Tensor]
    grid: TokenGrid | None  # None for pixels

    @staticmethod
    def of(subject: Subject, space: Space) -> Inputs:
        """Return the subject's pixels, or its visual tokens in at least float32."""
        if space == "pixels":
            return Inputs(subject.pixels[None], subject.score, None)
        return Inputs(_exact(subject.visual), subject.score_tokens, subject.grid)

    @property
    def variable(self) -> Tensor:
        """Copy of the values that requires a gradient."""
        return self.values.detach().clone().requires_grad_()

    @property
    def scale(self) -> float:
        """Unit of a noise level: the [0, 1] range of pixels, or the standard deviation of the tokens."""
        return 1.0 if self.grid is None else float(self.values.std())

    def volume(self, values: Tensor) -> Float[Tensor, "t h w"]:
        """Return values with features reduced, (1, t, h, w) or (1, n), as a volume."""
        return (values if self.grid is None else self.grid.to_volume(values))[0].detach()


def require_space(space: str, *baselines: str) -> None:
    """Raise ValueError for an unknown space or baseline, or an impossible pair; for a method's `__post_init__`."""
    require_choice("space", space, get_args(Space))
    for baseline in baselines:
        require_choice("baseline", baseline, get_args(Baseline))
        if space == "pixels" and baseline == "mean_token":
            raise ValueError("baseline: 'mean_token' is a baseline of tokens; set space to 'tokens'")


def baseline_of(subject: Subject, space: Space, kind: Baseline) -> Tensor:
    """Return a clip without evidence, shaped like `Inputs.values`; for tokens, a pixel baseline is encoded.

    `blur`: each frame blurred; `black`: zeros; `mean`: the video's mean colour; `frozen`: its first frame at all times;
    `mean_token`: the mean visual token at every position.
    """
    if kind == "mean_token":
        tokens = _exact(subject.visual)
        return tokens.mean(dim=1, keepdim=True).expand_as(tokens).contiguous()
    pixels = _pixel_baseline(subject.pixels, kind)
    if space == "pixels":
        return pixels[None]
    with torch.no_grad():
        return _exact(subject.model.encode(pixels[None]))


def _exact(tokens: Float[Tensor, "1 n d"]) -> Float[Tensor, "1 n d"]:
    """Return the tokens in at least float32."""
    return tokens.to(torch.promote_types(tokens.dtype, torch.float32))


def _pixel_baseline(pixels: Float[Tensor, "t 3 h w"], kind: Baseline) -> Float[Tensor, "t 3 h w"]:
    if kind == "black":
        return torch.zeros_like(pixels)
    if kind == "mean":
        return pixels.mean(dim=(0, 2, 3), keepdim=True).expand_as(pixels).contiguous()
    if kind == "frozen":
        return pixels[:1].expand_as(pixels).contiguous()
    sigma = BLUR * pixels.shape[2]
    reach = min(int(3 * sigma), min(pixels.shape[2:]) - 1)  # reflection needs a reach below the frame's size
    along_x = gaussian_blur(pixels, [2 * reach + 1, 1], [sigma, sigma])  # one axis at a time: far fewer multiplications
    return gaussian_blur(along_x, [1, 2 * reach + 1], [sigma, sigma])
