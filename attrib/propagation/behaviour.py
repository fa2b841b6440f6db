"""Behaviour of an operation, measured by running it on scaled and on masked numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

DEGREES = (1.0, 2.0, 3.0, -1.0, 0.5, -0.5)


@dataclass(frozen=True, eq=False)
class Call:
    """A torch function with its arguments."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the operation: `add` for `add_` and for `__radd__`."""
        bare = self._name.strip("_")
        return bare[1:] if self._name.startswith("__r") and bare in ("radd", "rsub", "rmul", "rdiv", "rpow") else bare

    @property
    def in_place(self) -> bool:
        """True for an operation that overwrites its first argument."""
        return self._name == "__setitem__" or (self._name.endswith("_") and not self._name.endswith("__"))

    @property
    def _name(self) -> str:
        return str(getattr(self.function, "__name__", self.function))

    @property
    def inputs(self) -> list[Tensor]:
        """Differentiable arguments, each once."""
        return list({id(x): x for x in differentiable((*self.args, *self.kwargs.values()))}.values())

    def run(self, change: Callable[[Tensor], Tensor] = lambda x: x) -> Any:
        """Return the function's result, with `change` applied to its differentiable arguments."""
        args = (_changed(value, change) for value in self.args)
        return self.function(*args, **{key: _changed(value, change) for key, value in self.kwargs.items()})

    @torch.no_grad()
    def degree(self, output: Any, factor: float, of: Tensor | None = None) -> float | None:
        """Return the d for which f(c x) = c^d f(x), c = `factor` being a power of 4 up to its sign; None without one.

        x is all differentiable arguments, or `of` alone.
        """
        after = tensors(self.run(lambda x: _scaled(x.detach(), factor if of is None or x is of else 1)))
        before = tensors(output)
        degrees = (degree for degree in DEGREES if factor > 0 or degree == int(degree))
        return next((degree for degree in degrees if _equal(before, after, factor**degree)), None)


@torch.no_grad()
def is_activation(function: Callable[[Tensor], Any], x: Tensor, y: Any) -> bool:
    """Tell whether y = f(x) acts on each number by itself, is 0 at 0, and is not linear."""
    if not isinstance(y, Tensor) or y.shape != x.shape or y.dtype != x.dtype:
        return False
    kept = (torch.arange(x.numel(), device=x.device) % 2).bool().view(x.shape)
    alone, exact = function(torch.where(kept, x.detach(), 0.0)), torch.finfo(x.dtype).eps
    if not torch.allclose(alone, torch.where(kept, y, 0.0), rtol=4 * exact, atol=0):
        return False
    return not _equal([y], [function(_scaled(x.detach(), -4))], -4.0)


def tensors(value: Any) -> list[Tensor]:
    """Return a tensor or all tensors of a tuple or list."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in tensors(item)] if isinstance(value, tuple | list) else []


def differentiable(value: Any) -> list[Tensor]:
    """Return those of the tensors that have or lead to a gradient."""
    return [tensor for tensor in tensors(value) if tensor.requires_grad]


def _changed(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value) if value.requires_grad else value
    return type(value)(_changed(item, change) for item in value) if type(value) in (tuple, list) else value


def _scaled(x: Tensor, factor: float) -> Tensor:
    """Return a scaled copy with the same strides where it can: sums and vectorised loops round by them."""
    copy = x * factor
    if copy.stride() == x.stride() or 0 in x.stride():
        return copy
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=x.device).copy_(copy)


def _equal(before: list[Tensor], after: list[Tensor], factor: float) -> bool:
    """Tell whether `after` is `factor` times `before` to the last bit, but for numbers too small for that."""
    return all(_close(x * factor if x.is_floating_point() else x, y) for x, y in zip(before, after, strict=True))


def _close(x: Tensor, y: Tensor) -> bool:
    smallest = torch.finfo(x.dtype).tiny if x.is_floating_point() else 0
    return x.shape == y.shape and torch.allclose(x, y, rtol=0, atol=64 * smallest, equal_nan=True)
