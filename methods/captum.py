"""Captum's attribution methods that need only a forward function."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import captum.attr
import torch

from attrib.errors import InputError, nearest
from attrib.inputs.space import Baseline, Inputs, Space, baseline_of, require_space
from attrib.method import Method, require_at_least, require_choice
from attrib.model import TokenGrid

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from attrib.subject import Subject

GRADIENT = ("Saliency", "InputXGradient", "IntegratedGradients", "GradientShap")
PERTURBATION = ("FeatureAblation", "Occlusion", "ShapleyValueSampling", "ShapleyValues", "Lime", "KernelShap")
OURS = frozenset({"self", "inputs", "target", "additional_forward_args", "return_convergence_delta", "kwargs"})


@dataclass(frozen=True)
class Captum(Method):
    """The attribution class `name` of Captum (Kokhlikyan et al. 2020), its `attribute` called with `arguments`.

    Where the class takes baselines or a feature mask and `arguments` has none, they default to `baseline` and to a grid
    of `cells` x `cells` features per frame or token step (0: one feature per token of the model).
    """

    reference: ClassVar[str] = "Kokhlikyan et al. 2020"

    name: str = "IntegratedGradients"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    space: Space = "pixels"
    baseline: Baseline = "blur"
    cells: int = 0

    def __post_init__(self) -> None:
        require_choice("name", self.name, (*GRADIENT, *PERTURBATION))
        require_space(self.space, self.baseline)
        require_at_least("cells", self.cells, 0)
        for key in self.arguments:
            if key not in self._parameters:
                raise ValueError(f"arguments.{key}: unknown argument of {self.name}; {nearest(key, self._parameters)}")

    @property
    def _parameters(self) -> frozenset[str]:
        signature = inspect.signature(getattr(captum.attr, self.name).attribute)
        return frozenset(signature.parameters) - OURS

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return values in the class's own unit: gradients summed over channels, perturbations as one per feature."""
        inputs = Inputs.of(subject, self.space)
        arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in self.arguments.items()}
        if "baselines" in self._parameters:
            arguments.setdefault("baselines", baseline_of(subject, self.space, self.baseline))
        if "feature_mask" in self._parameters:
            arguments.setdefault("feature_mask", self._mask(inputs, subject.grid))
        attribution = getattr(captum.attr, self.name)(inputs.score)
        with torch.set_grad_enabled(self.name in GRADIENT):
            try:
                attributed: Tensor = attribution.attribute(inputs.variable, **arguments)
            except (AssertionError, TypeError, ValueError) as error:
                raise InputError(f"captum: {self.name}: {' '.join(str(error).split())}") from error
        return inputs.volume(attributed.sum(dim=2) if self.name in GRADIENT else attributed.mean(dim=2))

    def _mask(self, inputs: Inputs, grid: TokenGrid) -> Int[Tensor, "1 t 3 h w"] | Int[Tensor, "1 n d"]:
        """Return the index of the feature that each pixel or token channel belongs to."""
        pixels = inputs.values.ndim == 5
        height, width = inputs.values.shape[3:] if pixels else (grid.rows, grid.columns)
        rows, columns = min(self.cells or grid.rows, height), min(self.cells or grid.columns, width)
        time = torch.arange(grid.frames) // grid.frames_per_step if pixels else torch.arange(grid.steps)
        y, x = torch.arange(height) * rows // height, torch.arange(width) * columns // width
        index = ((time[:, None, None] * rows + y[:, None]) * columns + x).to(inputs.values.device)
        mask = index[None, :, None] if pixels else index.flatten()[None, :, None]
        return mask.expand_as(inputs.values).contiguous()  # Captum takes views of the mask
