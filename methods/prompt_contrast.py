"""Contrast of two prompts: a method's map minus its map for a neutral question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import torch

from attrib import config
from attrib.method import Method, require_choice
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from attrib.subject import Subject

Scale = Literal["raw", "mass"]


@dataclass(frozen=True)
class PromptContrast(Method):
    r"""Map of the registered method `name` minus its map for a neutral question with the same options or answer.

    What any question draws out of the video, such as sinks, edges and the person in the middle, is in both maps and
    leaves; contrasts of prompts localise objects in pictures and videos without training (Li et al. 2024, CLIP Surgery;
    Han et al. 2025, DecAF). Costs both maps, and one forward pass for the answer to the neutral question. `arguments`
    are the method's parameters. Two maps of equal strength, `scale: mass`, are compared by where they lie alone.

    $$M_i = \frac{M_i(q)}{s(q)} - \frac{M_i(q_0)}{s(q_0)}, \quad s = 1 \text{ or } \sum_j |M_j|$$
    """

    reference: ClassVar[str] = "defined here, after Li et al. 2024, arXiv 2304.05653, redundant features"

    name: str = "relevance"  # the registered method
    arguments: Mapping[str, Any] = field(default_factory=dict)  # its parameters
    neutral: str = "Describe the video."  # text of the neutral question
    scale: Scale = "raw"  # maps as they are, or each over its sum of absolute values

    def __post_init__(self) -> None:
        require_choice("scale", self.scale, get_args(Scale))
        if not self.neutral.strip():
            raise ValueError("neutral: expected the text of a question, got an empty one")
        _ = self.method

    @cached_property
    def method(self) -> Method:
        """The method. Raises UnknownName with the nearest name, and ConfigError for a bad parameter."""
        method: Method = config.build("methods", self.name, self.arguments).item
        return method

    @property
    def footprint(self) -> Footprint | None:
        """Largest pass of the method."""
        return self.method.footprint

    def check(self, subject: Subject) -> None:
        """Raise InputError for a parameter of the method that does not fit the model."""
        self.method.check(subject)

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return the difference of the maps, signed, in the method's unit or as shares."""
        state = torch.get_rng_state()
        own = self.method.values(subject)
        torch.set_rng_state(state)  # both maps draw the same samples
        return self._scaled(own) - self._scaled(self.method.values(subject.asked(self.neutral)))

    def _scaled(self, values: Tensor) -> Tensor:
        mass = values.abs().sum()
        return values / mass if self.scale == "mass" and mass > 0 else values
