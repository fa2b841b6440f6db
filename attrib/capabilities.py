"""Optional capabilities of a model, each an abstract base class for its adapter, and `require` to check for one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from torch import Tensor, nn

from attrib.attention_record import AttentionRecord, Knockout
from attrib.errors import UnsupportedModel
from attrib.model import VideoModel
from attrib.types import Question, Reply, Shot
from attrib.types.footprint import LayerStack

if TYPE_CHECKING:
    from jaxtyping import Float

ModelPart = Literal["vision", "language"]


class Capability(ABC):
    """Base of the capabilities; `lacks` completes the message "model NAME ..." for a model without the capability."""

    lacks: ClassVar[str]


C = TypeVar("C", bound=Capability)


def require(model: VideoModel, capability: type[C], who: str) -> C:
    """Return the model as one with the capability that `who` needs. Raises UnsupportedModel for a model without it."""
    if isinstance(model, capability):
        return model
    raise UnsupportedModel(f"{who}: model {model.name!r} {capability.lacks}")


class EncodesSteps(Capability):
    """Model whose vision encoder processes each step of the token grid independently of its position in the clip."""

    lacks = "does not encode one step at a time"

    @abstractmethod
    def encode_steps(self, pixels: Float[Tensor, "m f 3 h w"]) -> Float[Tensor, "m k d"]:
        """Compute the tokens of m steps of f frames each, equal to those of `encode` for a clip with these steps."""


class WeighsLetters(Capability):
    """Model that tells how probable the option letters are among all that it could say."""

    lacks = "does not tell how probable its option letters are"

    @abstractmethod
    def letter_mass(self, tokens: Float[Tensor, "1 n d"], question: Question) -> float:
        """Share, in [0, 1], of the whole vocabulary's probability that the letters of the options have."""


class AnswersFreely(Capability):
    """Model that answers without options, and computes the log-probabilities of any answer's tokens."""

    lacks = "answers with one of several options only"

    @abstractmethod
    def reply(self, text: str) -> Reply:
        """Tokenise an answer. Raises InputError if it is empty or cannot be expressed in the model's tokens."""

    @abstractmethod
    def generate(self, pixels: Float[Tensor, "t 3 h w"], question: Question) -> Reply:
        """Generate the model's greedy answer to a question without options. Raises InputError if it is empty."""


@dataclass(frozen=True, eq=False)
class TokenLens:
    """Logits of the LM head at every position of the last layer, for the tokens of the text only.

    ids (m,): tokens of the user's words after the video, then the `answer` tokens of the answer. visual (n, m): logit
    of each of these at each visual token; text (m - 1, m): at each text token except the last.
    """

    ids: tuple[int, ...]
    answer: int
    visual: Tensor
    text: Tensor


class ReadsTokens(Capability):
    """Model whose LM head can be applied at every position."""

    lacks = "does not expose its LM head at intermediate positions"

    @abstractmethod
    def token_lens(self, tokens: Float[Tensor, "1 n d"], question: Question, reply: Reply) -> TokenLens:
        """Compute the logits for the question (with its options, if any) and `reply` as the answer."""


class RecordsAttention(Capability):
    """Model whose decoder attention can be recorded and cut during an ordinary forward pass."""

    lacks = "does not expose its attention"

    @abstractmethod
    def record_attention(self, record: AttentionRecord) -> AbstractContextManager[None]:
        """Fill the record during forward passes within the context; restore the model after it."""

    @abstractmethod
    def knock_out(self, *cuts: Knockout) -> AbstractContextManager[None]:
        """Cut all this attention within the context. Raises InputError for a layer or head that does not exist."""

    @abstractmethod
    def read_out(self, states: Float[Tensor, "b r d"], question: Question) -> Float[Tensor, "b o"]:
        """Log-probabilities as in `score_tokens`, by the LM head from a layer's output `states` at all answer rows."""


@dataclass(frozen=True, eq=False)
class DecoderLayer:
    """Modules of a decoder layer whose outputs (b, n, d) are its attention's and its MLP's.

    `after` is what takes the residual stream after the layer as its input: the next layer, or the last norm.
    """

    index: int
    attention: nn.Module
    mlp: nn.Module
    after: nn.Module


@dataclass(frozen=True)
class Places:
    """Positions in the sequence of a question: visual tokens in the grid's order, the text around them, the answer's.

    `last` are the rows that produce the answer's tokens; `text` is every position that is neither.
    """

    visual: tuple[int, ...]
    text: tuple[int, ...]
    last: tuple[int, ...]


class NamesLayers(Capability):
    """Model whose decoder is a residual stream through layers, so that states can be carried from run to run."""

    lacks = "does not name the layers of its decoder"

    @abstractmethod
    def decoder_layers(self) -> Sequence[DecoderLayer]:
        """Return the layers after which the residual stream holds all that later ones read of a clip.

        Raises UnsupportedModel where there is no such layer but the last.
        """

    @abstractmethod
    def places(self, question: Question) -> Places:
        """Return the positions of a question about a clip, or of its reply."""


class RecordsVisionAttention(Capability):
    """Model whose vision encoder's attention can be recorded during an ordinary forward pass."""

    lacks = "does not expose its vision encoder's attention"

    @abstractmethod
    def record_vision_attention(self, record: AttentionRecord, shot: Shot) -> AbstractContextManager[None]:
        """Record each layer of `encode` in the context, with frames as the batch and `visual` as the positions.

        Sets `cells` to the rows and columns of these positions. A record with `on_gradient` is shown each call of
        attention by itself, frames or windows, with its `start` among the places of the layer; `visual` are places of
        the first step.
        """


class HasVisionLayers(Capability):
    """Model with named layers of one feature map per frame, in its vision encoder and its decoder."""

    lacks = "does not name its vision layers"

    @abstractmethod
    def vision_layers(self) -> Mapping[str, nn.Module]:
        """Return the layers by name, from first to last. Each outputs one tensor."""

    @abstractmethod
    def feature_map(self, layer: str, activation: Tensor, shot: Shot) -> Float[Tensor, "steps c h w"]:
        """Arrange a layer's output for one clip as a map for each of its time steps.

        Tokens that have no position, such as a class token and text, are left out.
        """

    @abstractmethod
    def from_feature_map(
        self, layer: str, features: Float[Tensor, "steps c h w"], activation: Tensor, shot: Shot
    ) -> Tensor:
        """Invert `feature_map`: return `activation` with the tokens at its positions replaced by `features`."""


class NamesBlocks(Capability):
    """Model whose parameters are named by block, so that they can be randomised one block after another."""

    lacks = "does not name the blocks of its parameters"

    @abstractmethod
    def parameter_blocks(self) -> Mapping[ModelPart, Mapping[str, Sequence[nn.Parameter]]]:
        """Return the blocks of vision encoder and language model by name, from the input up, each parameter once."""


class KnowsSizes(Capability):
    """Model that tells how large its layers are, so that the memory of a pass can be forecast.

    `bounds_pixels`: the setting `model.pixels` bounds what it makes of a clip.
    """

    lacks = "does not tell how large its layers are"

    @property
    @abstractmethod
    def bounds_pixels(self) -> bool:
        """True where `model.pixels` bounds the size of a clip."""

    @abstractmethod
    def stacks(self, question: Question) -> tuple[LayerStack, LayerStack]:
        """Return the layers of the vision encoder and of the decoder, with the tokens of a clip and its question."""
