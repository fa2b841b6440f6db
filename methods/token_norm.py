"""Control: norm of the visual tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from attrib.inputs.space import Inputs
from attrib.method import Control

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject


@dataclass(frozen=True)
class TokenNorm(Control):
    r"""2-norm of each visual token: the encoder's response to the picture, independent of the question.

    $$M_i = \sqrt{\sum_c z_{ci}^2}$$
    """

    reference: ClassVar[str] = "defined here"

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return norms, 0 or more, in the unit of the tokens."""
        inputs = Inputs.of(subject, "tokens")
        return inputs.volume(inputs.values.norm(dim=2))
