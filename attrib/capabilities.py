"""Optional capabilities of a model, each an abstract class that its adapter derives from, and `require`."""

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
from attrib.types import Question, Reply

if TYPE_CHECKING:
    from jaxtyping import Float

Part = Literal["vision", "language"]


class Capability(ABC):
    """Something that some models can do; `lacks` says in words what a model without it does not do."""

    lacks: ClassVar[str]


C = TypeVar("C", bound=Capability)


def require(model: VideoModel, capability: type[C], who: str) -> C:
    """Return the model as one with the capability that `who` needs. Raises UnsupportedModel when it has not."""
    if isinstance(model, capability):
        return model
    raise UnsupportedModel(f"{who}: model {model.name!r} {capability.lacks}")


class EncodesSteps(Capability):
    """A model whose vision encoder sees one step of the token grid at a time, wherever in the clip it stands."""

    lacks = "does not encode one step at a time"

    @abstractmethod
    def encode_steps(self, pixels: Float[Tensor, "m f 3 h w"]) -> Float[Tensor, "m k d"]:
        """The tokens of m steps of f frames each, as `encode` gives them for a clip that has these steps."""


class AnswersFreely(Capability):
    """A model that answers without options, and gives the log-probabilities of any answer's tokens."""

    lacks = "answers with one of several options only"

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


class ReadsTokens(Capability):
    """A model whose head can be read at every place."""

    lacks = "does not expose its LM head at intermediate positions"

    @abstractmethod
    def token_lens(self, tokens: Float[Tensor, "1 n d"], question: Question, reply: Reply) -> TokenLens:
        """Of the question with its options, if it has any, and `reply` as the answer."""


class RecordsAttention(Capability):
    """A model whose decoder attention can be seen and cut beside its ordinary forward."""

    lacks = "does not give its attention"

    @abstractmethod
    def record_attention(self, record: AttentionRecord) -> AbstractContextManager[None]:
        """Within this context forwards fill the record; the model is left as it was found."""

    @abstractmethod
    def knock_out(self, cut: Knockout) -> AbstractContextManager[None]:
        """Within this context that attention is cut. Raises InputError for a layer or head that is not there."""

    @abstractmethod
    def read_out(self, states: Float[Tensor, "b r d"], question: Question) -> Float[Tensor, "b o"]:
        """As `score_tokens`, read by the model's head from any layer's output at all answer rows."""


class RecordsVisionAttention(Capability):
    """A model whose vision encoder's own attention can be seen beside its ordinary forward."""

    lacks = "does not give its vision encoder's attention"

    @abstractmethod
    def record_vision_attention(self, record: AttentionRecord) -> AbstractContextManager[None]:
        """Within this context `encode` shows the record each layer, frames as the batch; `visual` are the places."""


class HasVisionLayers(Capability):
    """A model with named layers that hold one feature map per frame: its vision encoder's, and its decoder's."""

    lacks = "does not name its vision layers"

    @abstractmethod
    def vision_layers(self) -> Mapping[str, nn.Module]:
        """Layers by name, first to last. Each outputs one tensor."""

    @abstractmethod
    def feature_map(self, layer: str, activation: Tensor) -> Float[Tensor, "bt c h w"]:
        """A layer's output as a map per frame; tokens that stand for no place (class token, text) are left out."""

    @abstractmethod
    def from_feature_map(self, layer: str, features: Float[Tensor, "bt c h w"], activation: Tensor) -> Tensor:
        """The inverse: `activation` with its places replaced by `features`."""


class NamesBlocks(Capability):
    """A model whose parameters are named block by block, so that they can be made random one block after another."""

    lacks = "does not name the blocks of its parameters"

    @abstractmethod
    def parameter_blocks(self) -> Mapping[Part, Mapping[str, Sequence[nn.Parameter]]]:
        """Of the vision encoder and of the language model: blocks by name, from the input up, each parameter once."""


class RepairsGradients(Capability):
    """A model whose backward pass can hold softmax weights, gates and normalisation denominators constant."""

    lacks = "cannot repair its gradients"

    @abstractmethod
    def repaired_gradients(self) -> AbstractContextManager[None]:
        """Within this context gradients are repaired; outputs are the same to the last bit."""
