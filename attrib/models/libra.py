"""Gradient repair (Libragrad: Mehri et al. 2024, arXiv 2411.16760) by hooks; the forward pass stays what it is.

Each part of the network becomes affine in what flows through it, so that input times gradient is complete but for
biases: softmax weights (queries and keys), gates and the denominators of normalisations count as constants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]


@contextmanager
def repaired(network: nn.Module) -> Iterator[None]:
    """Context in which backward passes through a Llama decoder and a timm tower are repaired."""
    handles = []
    try:
        for name, module in network.named_modules():
            hook = _hook(name.rpartition(".")[2], module)
            if hook is not None:
                handles.append(module.register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(name: str, module: nn.Module) -> Hook | None:
    if name in ("q_proj", "k_proj", "act_fn"):  # the gate of a gated feed-forward layer is its activation
        return _constant
    if name == "qkv":
        return _constant_queries_and_keys
    kinds: dict[type[nn.Module], Hook] = {LlamaRMSNorm: _rms_norm, nn.LayerNorm: _layer_norm, nn.GELU: _self_gated}
    return next((hook for kind, hook in kinds.items() if isinstance(module, kind)), None)


def _constant(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output.detach()


def _constant_queries_and_keys(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
    query, key, value = output.chunk(3, dim=-1)
    return torch.cat([query.detach(), key.detach(), value], dim=-1)


def _rms_norm(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    x = _precise(inputs[0])
    scale = torch.rsqrt(x.detach().square().mean(dim=-1, keepdim=True) + module.variance_epsilon)
    return _with_gradient_of(x * scale * module.weight, output)


def _layer_norm(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    x = _precise(inputs[0])
    scale = torch.rsqrt(x.detach().var(dim=-1, keepdim=True, correction=0) + module.eps)
    centred = (x - x.mean(dim=-1, keepdim=True)) * scale
    return _with_gradient_of(centred if module.weight is None else centred * module.weight, output)


def _self_gated(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    x = _precise(inputs[0])
    at = x.detach()
    gate = torch.where(at == 0, 0.5, output.detach() / at)  # GELU(x) = x * gate(x), gate(0) = 1/2
    return _with_gradient_of(x * gate, output)


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _with_gradient_of(stand_in: Tensor, output: Tensor) -> Tensor:
    """The output to the last bit, with the stand-in's gradient."""
    return output.detach() + (stand_in - stand_in.detach()).to(output.dtype)
