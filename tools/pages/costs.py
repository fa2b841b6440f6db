"""Passes of each method through the built-in model: `python -m tools.pages.costs` counts them into costs.json.

A pass is one version of the clip through the language model. Layers that a method computes again are not counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attrib import registry
from attrib.config import ExplainConfig
from attrib.demo.dataset import Demo
from attrib.explaining.binding import bind_sample, load
from attrib.runtime.files import write_text
from attrib.subject import Subject

FILE = Path(__file__).with_name("costs.json")
VIDEOS = 3  # the first is explained; priors need others


@dataclass
class Passes:
    """Versions of the clip that went through the language model: without gradients, and with a backward pass."""

    forward: int = 0
    backward: int = 0


@contextmanager
def counted(subject: Subject) -> Iterator[Passes]:
    """Count the passes through the decoder of the subject's model in the context."""
    found = Passes()
    decoder: torch.nn.Module = getattr(subject.model, "family").decoder  # noqa: B009  # models of families have one

    def note(_module: torch.nn.Module, _given: Any, output: Any) -> None:
        states: Tensor = output.last_hidden_state
        name = "backward" if states.requires_grad else "forward"
        setattr(found, name, getattr(found, name) + len(states))

    handle = decoder.register_forward_hook(note)
    try:
        yield found
    finally:
        handle.remove()


def subject() -> Subject:
    """Return the built-in model on a video of the built-in world, with the annotation and other videos."""
    samples = tuple(Demo(videos=VIDEOS, counterfactuals=False))
    settings = ExplainConfig()
    bound = bind_sample(load(settings.model), settings, samples[0], peers=samples[1:])
    return replace(bound, sample=samples[0])


def passes(name: str, explained: Subject) -> Passes:
    """Count the passes of a method with its default parameters."""
    method = registry.get("methods", name)()
    _ = explained.visual  # the clip is encoded once for all methods
    with counted(explained) as found:
        method.attribute(explained, name)
    return found


def main() -> None:
    """Write the passes of every registered method."""
    explained = subject()
    table = {name: vars(passes(name, explained)) for name in registry.names("methods")}
    write_text(FILE, json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
