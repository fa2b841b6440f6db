"""Time and memory of attention methods beside what people use: `python -m attrib.benchmarks.speed [--json]`.

A random-weight PerceptionLM of the 1B shape in bfloat16. Each figure is measured in a process of its own, forked from
one that holds the model, so that its peak counts from the weights up. The rival stores every layer's attention map
(eager attention, `output_attentions=True`, autograd where gradients are asked for) and multiplies whole matrices.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from attrib import registry
from attrib.method import peak_memory
from attrib.models.perception_lm import PerceptionLM, option_prompt
from attrib.models.perception_lm_init import LARGE_1B, SYSTEM_PROMPT, Shape, build, processor, word_tokenizer
from attrib.subject import Subject
from attrib.types import Clip, Question

QUESTION = Question("What happens?", ("this", "that", "neither"))
FRAMES = (4, 8, 16, 32)
METHODS = ("raw_attention", "attention_rollout", "attention_gradient", "relevance", "legrad")
RIVALS = METHODS[:4]  # whose stored form is one forward and one backward
STORED = 10  # bytes that the rival needs for each probability, measured at 4 frames


@dataclass(frozen=True)
class Measure:
    """One method at one length: seconds and bytes above what the loaded model held; tokens in the sequence.

    Without seconds it was not run, and `memory` is what it would need at least.
    """

    method: str
    stored: bool
    frames: int
    tokens: int
    seconds: float | None
    memory: int


def model_of(shape: Shape, dtype: torch.dtype = torch.bfloat16) -> PerceptionLM:
    """Random weights, and a tokenizer with one token for each word of the prompt."""
    words = re.findall(r"\w+|[^\w\s]", f"{SYSTEM_PROMPT} system user assistant {option_prompt(QUESTION)}")
    tokenizer = word_tokenizer(words)
    return PerceptionLM(build(shape, tokenizer, dtype=dtype), processor(shape, tokenizer), "random")


def subject_of(model: PerceptionLM, frames: int) -> Subject:
    """A clip of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (frames, model.size, model.size, 3), dtype=np.uint8)
    return Subject.bind(model, Clip(pixels, np.arange(float(frames)), float(frames)), QUESTION)


def stored_attention(subject: Subject, method: str) -> Tensor:
    """The answer's row of `method`, by the usual way: all layers' N x N maps and, where needed, their gradients."""
    network: Any = subject.model.module
    decoder = network.model.language_model
    kept: list[Tensor] = []
    decoder.set_attn_implementation("eager")
    handles = [layer.self_attn.register_forward_hook(lambda _, __, output: kept.append(output[1]))
               for layer in decoder.layers]  # fmt: skip
    with torch.no_grad():
        tokens = subject.model.encode(subject.pixels[None])
    needed = method in ("attention_gradient", "relevance")
    try:
        with torch.enable_grad() if needed else torch.no_grad():
            score = subject.score_tokens(tokens.requires_grad_(needed))
            slopes = torch.autograd.grad(score.sum(), kept) if needed else [torch.ones(())] * len(kept)
    finally:
        decoder.set_attn_implementation("sdpa")
        for handle in handles:
            handle.remove()
    flows = [(part.detach() * slope).clamp(min=0)[0].float() for part, slope in zip(kept, slopes, strict=True)]
    return _combined(flows, method)


def _combined(flows: list[Tensor], method: str) -> Tensor:
    if method in ("raw_attention", "attention_gradient"):
        rows = torch.stack([flow[:, -1].mean(dim=0) for flow in flows])
        return rows.mean(dim=0) if method == "raw_attention" else rows.sum(dim=0)
    product = identity = torch.eye(flows[0].shape[-1])
    for flow in flows:
        step = (flow.mean(dim=0) + identity) / (2 if method == "attention_rollout" else 1)
        product = step @ product
    return product[-1]


def measured(model: PerceptionLM, frames: int, method: str, stored: bool) -> Measure:
    """Run one method once; memory counts the first forward too, which settles what is explained."""
    before = peak_memory(model.device)
    subject = subject_of(model, frames)
    run: Callable[[], Any] = partial(stored_attention, subject, method)
    if not stored:
        run = partial(registry.get("methods", method)().values, subject)
    began = time.perf_counter()
    run()
    seconds = time.perf_counter() - began
    return Measure(method, stored, frames, length(subject), seconds, peak_memory(model.device) - before)


def length(subject: Subject) -> int:
    """Tokens in the sequence."""
    assert isinstance(subject.model, PerceptionLM)
    return subject.grid.tokens + subject.model.text_tokens(subject.question)


def apart(job: Callable[[], Measure], threads: int) -> Measure | None:
    """The job's result from a forked process; None when it died, as of too little memory."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def work() -> None:
        torch.set_num_threads(threads)
        sender.send(job())

    process = context.Process(target=work)
    gc.collect()  # what the forked process would free would hide what it makes
    process.start()
    sender.close()
    try:
        found: Measure | None = receiver.recv()
    except EOFError:
        found = None
    process.join()
    return found


def measure_all(
    model: PerceptionLM, frames: Sequence[int], methods: Sequence[str] = METHODS, threads: int = 1
) -> list[Measure]:
    """Every method and its rival at every length; rivals only where memory suffices. `threads` of each process."""
    jobs = [(count, method, stored) for count in frames for method in methods for stored in (False, True)
            if not stored or method in RIVALS]  # fmt: skip
    found, network = [], cast(Any, model.module)
    for count, method, stored in track(jobs, "measuring", console=Console(stderr=True), transient=True):
        tokens = model.grid(count).tokens + model.text_tokens(QUESTION)
        text = network.config.text_config
        needed = STORED * text.num_hidden_layers * text.num_attention_heads * tokens**2 if stored else 0
        missing = Measure(method, stored, count, tokens, None, needed)
        if needed > os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
            found.append(missing)
            continue
        done = apart(partial(measured, model, count, method, stored), threads)
        found.append(done or missing)
    return found


def exponent(found: Sequence[Measure]) -> float:
    """The power of the frame count with which one method's memory grows: the slope of a line through the logarithms."""
    points = np.log([[item.frames, max(1, item.memory)] for item in found])
    return float(np.polyfit(points[:, 0], points[:, 1], 1)[0])


def table(found: Sequence[Measure]) -> Table:
    """Rows of seconds and memory, with the share of the same method's stored form at the same length."""
    shown = Table("frames", "tokens", "method", "seconds", "of stored", "memory", "of stored", box=None)
    rivals = {(item.frames, item.method): item for item in found if item.stored}
    for item in found:
        rival = rivals.get((item.frames, item.method))
        name = f"{item.method}, stored" if item.stored else item.method
        ran = item.seconds is not None
        timed = "-" if not (rival and rival.seconds and ran) else f"{(item.seconds or 0) / rival.seconds:.2f}"
        shown.add_row(
            str(item.frames), str(item.tokens), name, f"{item.seconds:.2f}" if ran else "not run", timed,
            f"{'' if ran else 'about '}{item.memory / 2**20:.0f} MiB",
            f"{item.memory / max(1, rival.memory):.2f}" if rival else "-",
        )  # fmt: skip
    return shown


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only JSON")
    parser.add_argument("--frames", type=int, nargs="+", default=list(FRAMES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    given = parser.parse_args()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a pool of threads would not survive the fork: a child that needs it waits for ever
    found = measure_all(model_of(LARGE_1B), given.frames, given.methods, threads)
    if given.json:
        print(json.dumps([vars(item) for item in found], indent=2))
        return
    Console().print(table(found))
    for method in given.methods if len(given.frames) > 1 else ():
        own = [item for item in found if item.method == method and not item.stored]
        print(f"{method}: memory grows with frames to the power {exponent(own):.2f}")


if __name__ == "__main__":
    main()
