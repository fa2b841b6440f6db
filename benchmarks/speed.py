"""Time and memory of attention methods beside what people use: `python -m attrib.benchmarks.speed [--json]`.

Each figure is measured in a process of its own, on a random-weight PerceptionLM, so that peaks do not mix. The rival
stores every layer's attention map (eager attention, `output_attentions=True`) and multiplies them to a rollout.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from attrib import registry
from attrib.method import peak_memory
from attrib.models import load
from attrib.models.perception_lm_init import Shape, write_checkpoint
from attrib.subject import Subject
from attrib.types import Clip, Question

# The official pixels, patches and tokens a frame; a decoder small enough to take seconds on two cores.
SHAPE = Shape(
    image_size=448, patch_size=14, tower_width=64, tower_depth=1, tower_heads=2, width=512, layers=8, heads=8,
    kv_heads=2, mlp_width=1024,
)  # fmt: skip
QUESTION = Question("What happens?", ("this", "that", "neither"))
FRAMES = (2, 4, 8)
METHODS = ("raw_attention", "attention_rollout", "attention_gradient", "relevance")
RIVAL = "stored attentions"


@dataclass(frozen=True)
class Measure:
    """One method at one length: seconds and bytes above what the loaded model held; tokens in the sequence."""

    method: str
    frames: int
    tokens: int
    seconds: float
    memory: int


def stored_rollout(subject: Subject) -> Tensor:
    """The usual rollout: all layers' N x N maps, averaged over heads, with the identity, multiplied."""
    network: Any = subject.model.module
    decoder = network.model.language_model
    decoder.set_attn_implementation("eager")
    kept: list[Tensor] = []
    handle = decoder.register_forward_hook(lambda _, __, output: kept.extend(output.attentions))
    opened = decoder.register_forward_pre_hook(
        lambda _, args, kwargs: (args, {**kwargs, "output_attentions": True}), with_kwargs=True
    )
    with torch.no_grad():
        subject.score(subject.pixels[None])
    handle.remove()
    opened.remove()
    product = torch.eye(kept[0].shape[-1])
    for attention in kept:
        product = (attention[0].mean(dim=0) + torch.eye(len(product))) / 2 @ product
    return product[-1]


def measure(checkpoint: str, method: str, frames: int) -> Measure:
    """Run one method once after a short warm-up, in this process."""
    model = load(checkpoint)
    generator = np.random.default_rng(0)
    clip = Clip(
        generator.integers(0, 256, (frames, 448, 448, 3), dtype=np.uint8), np.arange(float(frames)), float(frames)
    )
    subject = Subject.bind(model, clip, QUESTION)
    run: Callable[[], Any] = (
        (lambda: stored_rollout(subject))
        if method == RIVAL
        else (lambda: registry.get("methods", method)().attribute(subject))
    )
    before, began = peak_memory(model.device), time.perf_counter()
    run()
    seconds = time.perf_counter() - began
    tokens = subject.grid.tokens
    return Measure(method, frames, tokens, seconds, max(0, peak_memory(model.device) - before))


def measure_all(frames: tuple[int, ...] = FRAMES) -> list[Measure]:
    """Every method and the rival at every length, each in a fresh process."""
    jobs = [(method, count) for count in frames for method in (RIVAL, *METHODS)]
    context = multiprocessing.get_context("spawn")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = str(write_checkpoint(Path(folder) / "model", SHAPE))
        for method, count in track(jobs, "measuring", console=Console(stderr=True), transient=True):
            with context.Pool(1) as pool:
                found.append(pool.apply(measure, (checkpoint, method, count)))
    return found


def table(found: list[Measure]) -> Table:
    """Rows of seconds and memory, with the ratio to the rival at the same length."""
    shown = Table("frames", "tokens", "method", "seconds", "of rival", "memory", "of rival", box=None)
    shown.columns[2].no_wrap = True
    rivals = {item.frames: item for item in found if item.method == RIVAL}
    for item in found:
        rival = rivals[item.frames]
        shown.add_row(
            str(item.frames), str(item.tokens), item.method, f"{item.seconds:.2f}",
            f"{item.seconds / rival.seconds:.2f}", f"{item.memory / 2**20:.0f} MiB",
            f"{item.memory / max(1, rival.memory):.2f}",
        )  # fmt: skip
    return shown


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only JSON")
    parser.add_argument("--frames", type=int, nargs="+", default=list(FRAMES))
    given = parser.parse_args()
    found = measure_all(tuple(given.frames))
    if given.json:
        print(json.dumps([vars(item) for item in found], indent=2))
    else:
        Console().print(table(found))


if __name__ == "__main__":
    main()
