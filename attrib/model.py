"""What attrib asks of a video language model: pixels in, log-probabilities of the options out, differentiable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attrib.types import Clip, Question

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


@dataclass(frozen=True)
class TokenGrid:
    """Which box of normalised frame coordinates and which frames each visual token covers.

    Tokens are numbered row-major within a step and steps follow in time. A step covers `frames_per_step` clip frames.
    The spatial cells tile the whole frame evenly.
    """

    frames: int
    rows: int
    columns: int
    frames_per_step: int = 1

    @property
    def steps(self) -> int:
        """Number of token time steps."""
        return -(-self.frames // self.frames_per_step)

    @property
    def tokens(self) -> int:
        """Number of visual tokens of the whole clip."""
        return self.steps * self.rows * self.columns

    def to_volume(self, values: Float[Tensor, "*b n"]) -> Float[Tensor, "*b t h w"]:
        """Per-token values as a volume with one slice per clip frame."""
        shaped = values.unflatten(-1, (self.steps, self.rows, self.columns))
        return shaped.repeat_interleave(self.frames_per_step, dim=-3)[..., : self.frames, :, :]

    def boxes(self) -> NDArray[np.float64]:
        """(rows * columns, 4) normalised xyxy boxes of one step's tokens."""
        y, x = np.divmod(np.arange(self.rows * self.columns), self.columns)
        return np.stack([x / self.columns, y / self.rows, (x + 1) / self.columns, (y + 1) / self.rows], axis=1)


class VideoModel(ABC):
    """A differentiable function from pixels (b, t, 3, h, w), RGB in [0, 1], to option log-probabilities (b, o).

    For a question with a free answer (`AnswersFreely`) these are the log-probabilities of its tokens, (b, k).

    The model is in eval mode and its parameters do not require gradients. Adapters are made by their family's `load`.
    """

    name: str
    revision: str | None
    frames: int  # how many frames the model takes by default

    @property
    @abstractmethod
    def module(self) -> nn.Module:
        """The underlying network."""

    @abstractmethod
    def preprocess(self, clip: Clip) -> Float[Tensor, "t 3 h w"]:
        """The clip at the model's own resolution, float32 RGB in [0, 1], on the model's device."""

    @abstractmethod
    def grid(self, frames: int) -> TokenGrid:
        """The token grid of a clip of `frames` frames."""

    @abstractmethod
    def encode(self, pixels: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b n d"]:
        """Visual tokens as the language model receives them."""

    @abstractmethod
    def score_tokens(
        self, tokens: Float[Tensor, "b n d"], question: Question, keep: Bool[Tensor, " n"] | None = None
    ) -> Float[Tensor, "b o"]:
        """Option log-probabilities, normalised over the option letters only; of a free answer those of its tokens.

        These are teacher-forced in one pass and normalised over the whole vocabulary, the row before each being read.
        `keep` drops the other visual tokens; those that stay keep their positions.
        """

    def option_logprobs(self, pixels: Float[Tensor, "b t 3 h w"], question: Question) -> Float[Tensor, "b o"]:
        """As `score_tokens`, from pixels; differentiable in them."""
        return self.score_tokens(self.encode(pixels), question)

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return next(self.module.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the parameters."""
        return next(self.module.parameters()).dtype
