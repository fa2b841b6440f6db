"""Captum's attribution methods that need only a forward function."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import captum.attr
import torch

from attrib.errors import InputError, nearest
from attrib.inputs.monte_carlo import report_of_halves, report_of_runs
from attrib.inputs.space import Baseline, Inputs, Space, baseline_of, require_space
from attrib.method import Attribution, Method, require_at_least, require_choice
from attrib.model import TokenGrid
from attrib.types.footprint import Footprint

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from attrib.subject import Subject

GRADIENT = ("Saliency", "InputXGradient", "IntegratedGradients", "GradientShap")
PERTURBATION = ("FeatureAblation", "Occlusion", "ShapleyValueSampling", "ShapleyValues", "Lime", "KernelShap")
AVERAGED = "ShapleyValueSampling"  # a mean over permutations, drawn one after the other
REPEATED = ("GradientShap", "Lime", "KernelShap")  # half of their samples would make another map
OURS = frozenset({"self", "inputs", "target", "additional_forward_args", "return_convergence_delta", "kwargs"})


@dataclass(frozen=True)
class Captum(Method):
    """The attribution class `name` of Captum (Kokhlikyan et al. 2020), its `attribute` called with `arguments`.

    Where the class takes baselines or a feature mask and `arguments` has none, they default to `baseline` and to a grid
    of `cells` x `cells` features per frame or token step (0: one feature per token of the model). Sampled classes
    report `monte_carlo_agreement`, the rank correlation to expect between this map and one of another seed:
    `ShapleyValueSampling` from two halves of its permutations; `GradientShap`, `Lime` and `KernelShap` from a second
    run with other draws, which takes as long again and is left out with `repeat` false.
    """

    reference: ClassVar[str] = "Kokhlikyan et al. 2020"

    name: str = "IntegratedGradients"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    space: Space = "pixels"
    baseline: Baseline = "blur"
    cells: int = 0
    repeat: bool = True

    def __post_init__(self) -> None:
        require_choice("name", self.name, (*GRADIENT, *PERTURBATION))
        require_space(self.space, self.baseline)
        require_at_least("cells", self.cells, 0)
        for key in self.arguments:
            if key not in self._parameters:
                raise ValueError(f"arguments.{key}: unknown argument of {self.name}; {nearest(key, self._parameters)}")

    @property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(getattr(captum.attr, self.name).attribute)

    @property
    def _parameters(self) -> frozenset[str]:
        return frozenset(self._signature.parameters) - OURS

    @property
    def footprint(self) -> Footprint:
        """Passes of as many versions as the class runs at once."""
        gradients = self.name in GRADIENT
        counts = {**{name: each.default for name, each in self._signature.parameters.items()}, **self.arguments}
        key = {"IntegratedGradients": "n_steps", "GradientShap": "n_samples"}.get(self.name, "perturbations_per_eval")
        versions = counts.get("internal_batch_size") or counts.get(key) or 1
        return Footprint(
            "everything" if gradients else "forward", self.space, int(versions), blurred=self.baseline == "blur"
        )

    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return values in the class's own unit: gradients summed over channels, perturbations as one per feature."""
        return self.values_and_reports(subject).values

    def values_and_reports(self, subject: Subject) -> Attribution:
        """Return the values of a plain call, with `monte_carlo_agreement` if the class draws samples."""
        inputs = Inputs.of(subject, self.space)
        arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in self.arguments.items()}
        if "baselines" in self._parameters:
            arguments.setdefault("baselines", baseline_of(subject, self.space, self.baseline))
        if "feature_mask" in self._parameters:
            arguments.setdefault("feature_mask", self._mask(inputs, subject.grid))
        if self.name == AVERAGED:
            return self._from_halves(inputs, arguments, subject.grid)
        values = self._call(inputs, arguments)
        if not self.repeat or self.name not in REPEATED:
            return Attribution(values)
        began = time.perf_counter()
        reports = report_of_runs(values, self._call(inputs, arguments), subject.grid)
        return Attribution(values, reports, aside=time.perf_counter() - began)

    def _from_halves(self, inputs: Inputs, arguments: dict[str, Any], grid: TokenGrid) -> Attribution:
        """Return the mean over all permutations: the draws of one call, in two."""
        count = arguments.get("n_samples", self._signature.parameters["n_samples"].default)
        if not isinstance(count, int) or count < 2:
            return Attribution(self._call(inputs, arguments))
        counts = (count // 2, count - count // 2)
        first, second = (self._call(inputs, {**arguments, "n_samples": half}) for half in counts)
        return Attribution((counts[0] * first + counts[1] * second) / count, report_of_halves(first, second, grid))

    def _call(self, inputs: Inputs, arguments: Mapping[str, Any]) -> Float[Tensor, "t h w"]:
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
