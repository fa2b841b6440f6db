"""Interface of a video language model: a differentiable function from pixels to log-probabilities of the options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attrib.errors import UnsupportedModel
from attrib.types import Clip, Question, Shot

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

MOST_WORDS = 20  # named in a warning


@dataclass(frozen=True)
class TokenGrid:
    """Box in normalised frame coordinates, and frames, that each visual token covers.

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
        """Arrange per-token values as a volume with one slice per clip frame."""
        shaped = values.unflatten(-1, (self.steps, self.rows, self.columns))
        return shaped.repeat_interleave(self.frames_per_step, dim=-3)[..., : self.frames, :, :]

    def boxes(self) -> NDArray[np.float64]:
        """(rows * columns, 4) normalised xyxy boxes of one step's tokens."""
        y, x = np.divmod(np.arange(self.rows * self.columns), self.columns)
        return np.stack([x / self.columns, y / self.rows, (x + 1) / self.columns, (y + 1) / self.rows], axis=1)


class VideoModel(ABC):
    """A differentiable function from pixels (b, t, 3, h, w), RGB in [0, 1], to option log-probabilities (b, o).

    For a question with a free answer (`AnswersFreely`) these are the log-probabilities of its tokens, (b, k).

    The model is in eval mode and its parameters do not require gradients. The `load` function
    of an adapter's family constructs it.
    """

    name: str
    revision: str | None
    frames: int  # default number of frames of a clip

    @property
    @abstractmethod
    def module(self) -> nn.Module:
        """Underlying network."""

    @abstractmethod
    def preprocess(self, clip: Clip) -> Float[Tensor, "t 3 h w"]:
        """Convert the clip to the model's own resolution, float32 RGB in [0, 1], on the model's device."""

    @abstractmethod
    def grid(self, shot: Shot) -> TokenGrid:
        """Return the token grid of a clip."""

    @abstractmethod
    def encode(self, pixels: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b n d"]:
        """Compute the visual tokens that the language model receives."""

    @abstractmethod
    def score_tokens(
        self, tokens: Float[Tensor, "b n d"], question: Question, keep: Bool[Tensor, " n"] | None = None
    ) -> Float[Tensor, "b o"]:
        """Log-probabilities of the options, normalised over the option letters only, or of a free answer's tokens.

        Tokens of a free answer are teacher-forced in one pass and normalised over the whole vocabulary. Visual tokens
        outside the mask `keep` are dropped; the remaining ones retain their positions.
        """

    def unknown_words(self, question: Question) -> tuple[str, ...]:
        """Return words of the question and its options that no token of the vocabulary stands for; mostly none."""
        del question
        return ()

    def option_logprobs(self, pixels: Float[Tensor, "b t 3 h w"], question: Question) -> Float[Tensor, "b o"]:
        """Log-probabilities as in `score_tokens`, computed from pixels and differentiable in them."""
        return self.score_tokens(self.encode(pixels), question)

    @property
    def code(self) -> tuple[type, ...]:
        """Classes whose code decides the model's answers."""
        return (type(self),)

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return next(self.module.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the parameters."""
        return next(self.module.parameters()).dtype


class OpaqueModel(VideoModel):
    """A model that is asked in pixels only: neither its visual tokens nor its gradients are known."""

    def encode(self, pixels: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b n d"]:
        """Raise UnsupportedModel."""
        raise self._opaque()

    def score_tokens(
        self, tokens: Float[Tensor, "b n d"], question: Question, keep: Bool[Tensor, " n"] | None = None
    ) -> Float[Tensor, "b o"]:
        """Raise UnsupportedModel."""
        raise self._opaque()

    def _opaque(self) -> UnsupportedModel:
        return UnsupportedModel(f"model {self.name!r} is a black box to attrib: its visual tokens are not known")

    @abstractmethod
    def option_logprobs(self, pixels: Float[Tensor, "b t 3 h w"], question: Question) -> Float[Tensor, "b o"]:
        """Log-probabilities as in `VideoModel.score_tokens`, computed from pixels, without gradients."""


def vocabulary_warnings(model: VideoModel, question: Question) -> tuple[str, ...]:
    """Return a warning that names the words of the question and its options that the model does not know, if any."""
    words = model.unknown_words(question)
    name = "the built-in model" if model.name == "demo" else f"model {model.name}"
    named = [*words[:MOST_WORDS], *["..."] * (len(words) > MOST_WORDS)]
    return (f"{name} does not know: {', '.join(named)}",) if words else ()
