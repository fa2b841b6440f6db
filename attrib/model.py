"""What attrib asks of a video language model: pixels in, log-probabilities of the options out, differentiable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attrib.attention_record import AttentionRecord, Knockout
from attrib.errors import NotEnoughMemory, UnsupportedModel, out_of_memory
from attrib.types import Clip, Question
from attrib.types.reply import Reply

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


Part = Literal["vision", "language"]


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


class EncodesSteps(ABC):
    """A model whose vision encoder sees one step of the token grid at a time, wherever in the clip it stands."""

    @abstractmethod
    def encode_steps(self, pixels: Float[Tensor, "m f 3 h w"]) -> Float[Tensor, "m k d"]:
        """The tokens of m steps of f frames each, as `encode` gives them for a clip that has these steps."""


class AnswersFreely(ABC):
    """A model that answers without options, and gives the log-probabilities of any answer's tokens."""

    @abstractmethod
    def reply(self, text: str) -> Reply:
        """A given answer in the model's tokens. Raises InputError when it is empty or cannot be said in them."""

    @abstractmethod
    def generate(self, pixels: Float[Tensor, "t 3 h w"], question: Question) -> Reply:
        """What the model itself answers to a question without options, greedily. Raises InputError for nothing."""


@dataclass(frozen=True, eq=False)
class TokenLens:
    """What a model's head makes of its last layer's states at every place, for the tokens of the text alone: logits.

    ids (m,): tokens of the user's words that follow the video, then those of the answer, the last `answer` ones.
    visual (n, m): the logit of each of them at each visual token; text (m - 1, m): at these tokens but the last.
    """

    ids: tuple[int, ...]
    answer: int
    visual: Tensor
    text: Tensor


class ReadsTokens(ABC):
    """A model whose head can be read at every place."""

    @abstractmethod
    def token_lens(self, tokens: Float[Tensor, "1 n d"], question: Question, reply: Reply) -> TokenLens:
        """Of the question with its options, if it has any, and `reply` as the answer."""


class RecordsAttention(ABC):
    """A model whose decoder attention can be seen and cut beside its ordinary forward."""

    @abstractmethod
    def record_attention(self, record: AttentionRecord) -> AbstractContextManager[None]:
        """Within this context forwards fill the record; the model is left as it was found."""

    @abstractmethod
    def knock_out(self, cut: Knockout) -> AbstractContextManager[None]:
        """Within this context that attention is cut. Raises InputError for a layer or head that is not there."""

    @abstractmethod
    def read_out(self, states: Float[Tensor, "b r d"], question: Question) -> Float[Tensor, "b o"]:
        """As `score_tokens`, read by the model's head from any layer's output at all answer rows."""


class RecordsVisionAttention(ABC):
    """A model whose vision encoder's own attention can be seen beside its ordinary forward."""

    @abstractmethod
    def record_vision_attention(self, record: AttentionRecord) -> AbstractContextManager[None]:
        """Within this context `encode` shows the record each layer, frames as the batch; `visual` are the places."""


class HasVisionLayers(ABC):
    """A model with named layers that hold one feature map per frame: its vision encoder's, and its decoder's."""

    @abstractmethod
    def vision_layers(self) -> Mapping[str, nn.Module]:
        """Layers by name, first to last. Each outputs one tensor."""

    @abstractmethod
    def feature_map(self, layer: str, activation: Tensor) -> Float[Tensor, "bt c h w"]:
        """A layer's output as a map per frame; tokens that stand for no place (class token, text) are left out."""

    @abstractmethod
    def from_feature_map(self, layer: str, features: Float[Tensor, "bt c h w"], activation: Tensor) -> Tensor:
        """The inverse: `activation` with its places replaced by `features`."""


class NamesBlocks(ABC):
    """A model whose parameters are named block by block, so that they can be made random one block after another."""

    @abstractmethod
    def parameter_blocks(self) -> Mapping[Part, Mapping[str, Sequence[nn.Parameter]]]:
        """Of the vision encoder and of the language model: blocks by name, from the input up, each parameter once."""


class RepairsGradients(ABC):
    """A model whose backward pass can hold softmax weights, gates and normalisation denominators constant."""

    @abstractmethod
    def repaired_gradients(self) -> AbstractContextManager[None]:
        """Within this context gradients are repaired; outputs are the same to the last bit."""


def require_free_answers(model: VideoModel) -> AnswersFreely:
    """The model as AnswersFreely. Raises UnsupportedModel when it is not one."""
    if isinstance(model, AnswersFreely):
        return model
    raise UnsupportedModel(f"model {model.name!r} answers with one of several options only")


def require_attention(model: VideoModel, method: str) -> RecordsAttention:
    """The model as RecordsAttention. Raises UnsupportedModel when it is not one."""
    if isinstance(model, RecordsAttention):
        return model
    raise UnsupportedModel(f"{method}: model {model.name!r} does not give its attention")


def require_vision_attention(model: VideoModel, method: str) -> RecordsVisionAttention:
    """The model as RecordsVisionAttention. Raises UnsupportedModel when it is not one."""
    if isinstance(model, RecordsVisionAttention):
        return model
    raise UnsupportedModel(f"{method}: model {model.name!r} does not give its vision encoder's attention")


def require_vision_layers(model: VideoModel, method: str) -> HasVisionLayers:
    """The model as HasVisionLayers. Raises UnsupportedModel when it is not one."""
    if isinstance(model, HasVisionLayers):
        return model
    raise UnsupportedModel(f"{method}: model {model.name!r} does not name its vision layers")


def require_blocks(model: VideoModel, what: str) -> NamesBlocks:
    """The model as NamesBlocks. Raises UnsupportedModel when it is not one."""
    if isinstance(model, NamesBlocks):
        return model
    raise UnsupportedModel(f"{what}: model {model.name!r} does not name the blocks of its parameters")


def require_token_lens(model: VideoModel, method: str) -> ReadsTokens:
    """The model as ReadsTokens. Raises UnsupportedModel when it is not one."""
    if isinstance(model, ReadsTokens):
        return model
    raise UnsupportedModel(f"{method}: model {model.name!r} does not let its head be read at every place")


def require_gradient_repair(model: VideoModel, method: str) -> RepairsGradients:
    """The model as RepairsGradients. Raises UnsupportedModel when it is not one."""
    if isinstance(model, RepairsGradients):
        return model
    raise UnsupportedModel(f"{method}: model {model.name!r} cannot repair its gradients")


@contextmanager
def fitting(model: VideoModel, what: str, frames: int, batch: int = 1) -> Iterator[None]:
    """Within this context memory that cannot be had raises NotEnoughMemory: what, and what would need less."""
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        torch.cuda.empty_cache()  # nothing without a GPU
        remedies = [f"fewer frames than {frames}"] * (frames > 1) + [f"a smaller batch than {batch}"] * (batch > 1)
        if model.dtype.itemsize > 2:
            remedies.append("model.dtype bfloat16")
        raise NotEnoughMemory(
            f"{what}: out of memory; {' or '.join(remedies) or 'a shorter prompt'} needs less"
        ) from None


def batches(count: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most `size` that cover range(count)."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
