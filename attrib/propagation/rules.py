"""Layer-wise relevance propagation: a rule for the gradient of each operation; the forward pass stays what it is.

Input times gradient keeps the sum of relevance through an operation that is homogeneous of degree 1 (Euler). So the
gradient of a product of d factors is divided by d, an activation passes on output / input, and attention weights, gates
or denominators are constant where the rule has them so. An operation is known by what it does (`behaviour`), whatever
module it is written in. One that no rule knows is refused, if relevance would flow through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from attrib.errors import UnsupportedModel
from attrib.propagation.behaviour import Call, differentiable, is_activation, tensors
from attrib.propagation.gradients import divided, layer_norm, proportional, rms_norm

Rule = Literal["cp", "libra", "attnlrp"]

# Linear but for constants that they add or put in place: no rule changes their gradient.
AFFINE = {"add", "sub", "cat", "concat", "concatenate", "stack", "where", "masked_fill", "masked_scatter", "setitem",
          "index_add", "index_copy", "index_put", "scatter", "scatter_add", "copy", "pad", "batch_norm"}  # fmt: skip
WEIGHTED = {"linear", "conv1d", "conv2d", "conv3d"}  # affine in their first argument
NATURAL = {"softmax", "log_softmax", "logsumexp", "grad", "backward", "requires_grad"}  # the answer is a log_softmax
NORMALISING: Mapping[str, Callable[..., Tensor]] = {"layer_norm": layer_norm, "rms_norm": rms_norm}
CONSTANT: Mapping[str, tuple[Rule, ...]] = {"softmax": ("cp", "libra"), "sigmoid": ("cp",)}


@contextmanager
def propagating(network: nn.Module, rule: Rule) -> Iterator[None]:
    """Context in which what is computed gets gradients by the rule.

    Computing such a gradient raises UnsupportedModel if it flows through an operation that the rule does not know.
    """
    rules = Rules(rule)
    with ExitStack() as stack:
        for module in network.modules():
            if next(chain(module.children(), module.parameters(), module.buffers()), None) is None:
                stack.enter_context(_whole(module, rules))
        stack.enter_context(rules)
        yield


class Rules(TorchFunctionMode):
    """Rule for every torch function that is called while the mode is on."""

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule
        self._known, self._gates = WeakTensorKeyDictionary(), WeakTensorKeyDictionary()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a function; its result is its own, its gradient the rule's."""
        call = Call(func, args, kwargs or {})
        inputs = call.inputs if torch.is_grad_enabled() else []
        if not inputs:
            return call.run()
        for tensor in inputs:
            if tensor.grad_fn is not None and tensor not in self._known:
                self._refuse(tensor, "an operation that is none of torch's own")
        output = self._ruled(call, inputs)
        for tensor in differentiable((*tensors(output), *(args[:1] if call.in_place else ()))):
            self._known[tensor] = True
        return output

    def _ruled(self, call: Call, inputs: list[Tensor]) -> Any:
        if call.name == "scaled_dot_product_attention":
            return self._attention(*call.args, **call.kwargs)
        if call.name in NORMALISING:
            return NORMALISING[call.name](*call.args, **call.kwargs)
        output = call.run()
        if self.rule in CONSTANT.get(call.name, ()):
            return output.detach()
        weighted = call.name in WEIGHTED and len(inputs) == 1 and inputs[0] is call.args[0]
        if weighted or call.name in AFFINE | NATURAL or not differentiable(output):
            return output
        if not call.in_place:
            return self._by_behaviour(call, inputs, output)
        return output if call.name in ("mul", "div") and len(inputs) == 1 else self._refuse(output, call.name)

    def _by_behaviour(self, call: Call, inputs: list[Tensor], output: Any) -> Any:
        single = inputs[0] if len(inputs) == 1 else None
        degree = call.degree(output, -4.0)
        if degree == 1:
            if single is not None and single in self._gates:
                self._gates.update(dict.fromkeys(tensors(output), True))
            return output
        if single is not None and is_activation(lambda x: call.run(lambda _: x), single, output):
            return self.activation(single, output)
        degree = degree or call.degree(output, 4.0)
        if degree in (2, 3):
            return self._product(call, inputs, output, degree)
        if degree is not None and degree < 0:  # a reciprocal, or that of a root: a normalisation's denominator
            return output.detach()
        denominator = next((x for x in inputs if single is None and call.degree(output, 4.0, of=x) == -1), None)
        if denominator is not None:
            return call.run(lambda x: x.detach() if x is denominator else x)
        return output if degree == 1 else self._refuse(output, call.name)

    def _product(self, call: Call, inputs: list[Tensor], output: Tensor, degree: float) -> Any:
        if self.rule != "cp" or len(inputs) == 1:
            output.register_hook(lambda gradient: gradient / degree)
            return output
        gates = [x for x in inputs if x in self._gates]
        if len(gates) != 1:
            return self._refuse(output, f"{call.name}, unless exactly one of its factors is an activation")
        return call.run(lambda x: x.detach() if x is gates[0] else x)

    def activation(self, x: Tensor, y: Tensor) -> Tensor:
        """Return y with the gradient y / x, known as a possible gate."""
        ruled = proportional(x, y)
        self._gates[ruled] = True
        return ruled

    def _attention(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        """Weights are constant; in AttnLRP softmax has its own gradient, and the products before and after it halve."""
        if self.rule != "attnlrp":
            mask = None if attn_mask is None else attn_mask.detach()
            return scaled_dot_product_attention(query.detach(), key.detach(), value, mask, *args, **kwargs)
        if attn_mask is not None and attn_mask.requires_grad:
            attn_mask = self._refuse(attn_mask.view_as(attn_mask), "an attention mask that depends on the input")
        parts = (divided(query, 4), divided(key, 4), divided(value, 2))
        return scaled_dot_product_attention(*parts, attn_mask, *args, **kwargs)

    def _refuse(self, value: Any, operation: str) -> Any:
        """Return the value, through which no relevance must flow."""
        message = f"lrp: the rules of {self.rule!r} do not cover {operation}, through which relevance would flow"

        def refuse(_: Tensor) -> None:
            raise UnsupportedModel(message)

        for tensor in differentiable(value):
            tensor.register_hook(refuse)
        return value


@contextmanager
def _whole(module: nn.Module, rules: Rules) -> Iterator[None]:
    """Context in which the module counts as one operation if it is an activation, however it computes it."""
    given: list[Tensor] = []

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not torch.is_grad_enabled() or kwargs or len(args) != 1 or not differentiable(args):
            return None
        if not is_activation(module.forward, args[0], module.forward(args[0].detach())):
            return None
        given.append(args[0])
        return (args[0].detach(),), kwargs

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        return rules.activation(given.pop(), output) if given else None

    with ExitStack() as hooks:
        hooks.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
        hooks.callback(module.register_forward_hook(after).remove)
        yield
