"""Token activation map: logits at the visual tokens, minus the interference of earlier text tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view

from attrib.capabilities import AnswersFreely, ReadsTokens, TokenLens, require
from attrib.method import Method, require_at_least
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray
    from torch import Tensor

    from attrib.subject import Subject

LEAST = 1e-12  # divisor where it would vanish; the dividend vanishes too


@dataclass(frozen=True)
class TAM(Method):
    r"""Token activation map (Li et al. 2025, arXiv 2506.23270) of the explained option's text or of a free answer.

    The map is the mean over the text's tokens, not the option's letter, which names nothing that a video could show.
    `kernel` is the width of the paper's rank Gaussian filter, 3 there. The default 1 disables the filter, which treats
    evidence on a single token as noise.

    $$M_i = \frac{1}{K} \sum_k \max(0, z_{ki} - \beta_k b_{ki}), \quad b_{ki} = \frac{\sum_{j<k} w_{jk}
    z_{ji}}{\sum_{j<k} w_{jk}}$$
    """

    reference: ClassVar[str] = "Li et al. 2025, arXiv 2506.23270"

    kernel: int = 1

    def __post_init__(self) -> None:
        require_at_least("kernel", self.kernel, 1)
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel: expected an odd width, got {self.kernel}")

    @property
    def footprint(self) -> Footprint:
        """One forward pass from the visual tokens."""
        return Footprint("forward")

    @torch.no_grad()
    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return logits, 0 or more. Raises UnsupportedModel without logits at intermediate positions (ReadsTokens)."""
        question, model = subject.question, require(subject.model, ReadsTokens, "tam")
        reply = question.reply or require(subject.model, AnswersFreely, "free answers").reply(
            question.options[subject.option]
        )
        lens = model.token_lens(subject.visual, question, reply)
        explained = subject.explained if question.reply else range(lens.answer)
        first = len(lens.ids) - lens.answer
        maps = torch.stack([activation(lens, first + token) for token in explained])
        volume = subject.grid.to_volume(maps).cpu().numpy()
        filtered_maps = [[filtered(frame, self.kernel) for frame in frames] for frames in volume]
        return torch.from_numpy(np.stack(filtered_maps).mean(0))


def activation(lens: TokenLens, token: int) -> Float[Tensor, " n"]:
    """Return the map of one text token without the interference of earlier tokens (eq. 1, 2, 4 and 5).

    The interference is the mean of the earlier tokens' rectified maps, each weighted by this token's rectified logit
    at that token; its least-squares multiple is subtracted. Tokens of the same id do not interfere.
    """
    maps, at_text = (each.cpu().double().clamp(min=0) for each in (lens.visual, lens.text))
    context = [other for other in range(token) if lens.ids[other] != lens.ids[token]]
    weights = at_text[context, token]
    interference = maps[:, context] @ (weights / weights.sum().clamp(min=LEAST))
    scale = (maps[:, token] @ interference) / interference.square().sum().clamp(min=LEAST)
    return (maps[:, token] - scale * interference).clamp(min=0)


def filtered(frame: NDArray[np.float64], kernel: int) -> NDArray[np.float64]:
    """Apply the rank Gaussian filter (eq. 6 and 7): sorted windows, weighted by a Gaussian at the middle rank.

    Its sigma in ranks is the window's standard deviation over its mean. Borders are mirrored.
    """
    padded = np.pad(frame, kernel // 2, mode="reflect")
    ranked = np.sort(sliding_window_view(padded, (kernel, kernel)).reshape(*frame.shape, -1), axis=-1)
    sigma = ranked.std(axis=-1, keepdims=True) / np.maximum(ranked.mean(axis=-1, keepdims=True), LEAST)
    ranks = np.arange(kernel**2) - kernel**2 // 2
    weights = np.exp(-(ranks**2) / (2 * np.maximum(sigma, 1e-3) ** 2))
    return (ranked * weights).sum(axis=-1) / weights.sum(axis=-1)
