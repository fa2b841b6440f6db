"""Time of an answer and three attention methods, with one encoding of the clip and with one each.

`python -m tools.speed.sharing [--frames 4]` takes a random-weight PerceptionLM of the 1B shape in bfloat16. The two
ways take turns; frames that pass the vision tower are counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from attrib import registry
from attrib.models.family_model import FamilyModel
from attrib.models.perception_lm_init import LARGE_1B
from attrib.subject import Subject
from tools.speed.attention import QUESTION, model_of, subject_of

METHODS = ("raw_attention", "attention_rollout", "relevance")


@dataclass(frozen=True)
class Timing:
    """Frames through the vision tower, and seconds of the answer and of each method, in their order."""

    shared: bool
    encoded: int
    seconds: tuple[float, ...]


def timed(model: FamilyModel, frames: int, shared: bool, methods: Sequence[str] = METHODS) -> Timing:
    """Ask the model about a clip of noise and run the methods; unless `shared`, each encodes the clip by itself."""
    clip, encoded = subject_of(model, frames).clip, 0

    def count(_: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        nonlocal encoded
        encoded += len(arguments[0])

    tower = next(part for name, part in model.module.named_modules() if name.endswith("patch_embed"))
    handle = tower.register_forward_pre_hook(count)
    marks = [time.process_time()]
    subject = Subject.bind(model, clip, QUESTION)
    marks.append(time.process_time())
    for method in methods:
        own = subject if shared else replace(subject, pixels=subject.pixels.clone())
        registry.get("methods", method)().values(own)
        marks.append(time.process_time())
    handle.remove()
    return Timing(shared, encoded, tuple(after - before for before, after in pairwise(marks)))


def table(timings: Sequence[Timing]) -> Table:
    """Return a row for each way: processor seconds of the answer, each method, and all."""
    shown = Table("clip encoded", "frames encoded", "answer", *METHODS, "all", box=None)
    for timing in timings:
        name = "once" if timing.shared else "by each"
        seconds = (*timing.seconds, sum(timing.seconds))
        shown.add_row(name, str(timing.encoded), *(f"{each:.1f}" for each in seconds))
    return shown


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=4)
    frames = parser.parse_args().frames
    model = model_of(LARGE_1B)
    timed(model, 1, shared=True)  # first use of libraries does not count
    Console().print(table([timed(model, frames, shared) for shared in (False, True, False, True)]))


if __name__ == "__main__":
    main()
