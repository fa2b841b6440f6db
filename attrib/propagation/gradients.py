"""Operations with their own result and another gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def with_gradient_of(ruled: Tensor, output: Tensor) -> Tensor:
    """Return the output to the last bit, with the gradient of `ruled`."""
    return output.detach() + (ruled - ruled.detach()).to(output.dtype)


def proportional(x: Tensor, y: Tensor) -> Tensor:
    """Return y with the gradient y / x; an x of 0 passes nothing on."""
    wide, at = _precise(x), _precise(x.detach())
    return with_gradient_of(wide * torch.where(at == 0, 0.0, _precise(y.detach()) / at), y)


def divided(x: Tensor, divisor: float) -> Tensor:
    """Return a view of x whose gradient is divided."""
    if not x.requires_grad:
        return x
    view = x.view_as(x)
    view.register_hook(lambda gradient: gradient / divisor)
    return view


def layer_norm(
    x: Tensor,
    shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Tensor:
    """Return torch's layer_norm, whose denominator counts as constant."""
    axes, wide = tuple(range(-len(shape), 0)), _precise(x)
    scale = torch.rsqrt(wide.detach().var(dim=axes, keepdim=True, correction=0) + eps)
    ruled = (wide - wide.mean(dim=axes, keepdim=True)) * scale * (1 if weight is None else weight)
    return with_gradient_of(ruled, functional.layer_norm(x, shape, weight, bias, eps))


def rms_norm(x: Tensor, shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """Return torch's rms_norm, whose denominator counts as constant."""
    axes, wide = tuple(range(-len(shape), 0)), _precise(x)
    square = wide.detach().square().mean(dim=axes, keepdim=True)
    scale = torch.rsqrt(square + (torch.finfo(x.dtype).eps if eps is None else eps))
    return with_gradient_of(
        wide * scale * (1 if weight is None else weight), functional.rms_norm(x, shape, weight, eps)
    )


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
