"""Time and memory of attention methods beside what people use, on a random-weight PerceptionLM in bfloat16.

Each figure is measured in a process of its own, forked from one that holds the model, so that its peak counts from the
weights up; a tiny model goes through it first, so that code and threads do not count. The video is encoded once, in a
row of its own; methods and rivals go on from its tokens. The rival stores every layer's attention map (eager attention,
`output_attentions=True`, autograd where gradients are asked for) and multiplies whole matrices in float32. The floor is
what the network's own products, forward and where needed backward, would take at the speed of one large product on the
same machine.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor

from attrib import registry
from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.family_model import FamilyModel
from attrib.models.perception_lm_init import SYSTEM_PROMPT, Shape, build, processor, word_tokenizer
from attrib.models.prompting import option_prompt
from attrib.runtime.memory import peak_memory
from attrib.subject import Subject, Target
from attrib.types import Clip, Question, Shot
from tools.speed.operations import matrix_speed, operations, side

QUESTION = Question("What happens?", ("this", "that", "neither"))
FRAMES = (4, 8, 16, 32)
TOWER = "vision tower"
METHODS = ("raw_attention", "attention_rollout", "attention_gradient", "relevance", "legrad")
RIVALS = METHODS[:4]  # whose stored form is one forward and one backward
BACKWARD = METHODS[2:]  # which need the decoder's backward pass
STORED = 10  # bytes that the rival needs for each probability, measured at 4 frames


@dataclass(frozen=True)
class Measure:
    """One method at one length: seconds and bytes above what the loaded model held; tokens in the sequence.

    Without seconds it was not run, and `memory` is what it would need at least. `floor`: the least seconds.
    """

    method: str
    stored: bool
    frames: int
    tokens: int
    seconds: float | None
    memory: int
    floor: float = 0.0


def model_of(shape: Shape, dtype: torch.dtype = torch.bfloat16) -> FamilyModel:
    """Random weights, and a tokenizer with one token for each word of the prompt."""
    words = re.findall(r"\w+|[^\w\s]", f"{SYSTEM_PROMPT} system user assistant {option_prompt(QUESTION)}")
    tokenizer = word_tokenizer(words)
    return FamilyModel(PerceptionLM(build(shape, tokenizer, dtype=dtype), processor(shape, tokenizer)), "random")


class Encoded(FamilyModel):
    """The same network with one video's tokens at hand: methods and rivals alike go on from there."""

    def __init__(self, model: FamilyModel, tokens: Tensor) -> None:
        super().__init__(model.family, model.name)
        self.tokens = tokens

    def encode(self, pixels: Tensor) -> Tensor:
        """The tokens that were given."""
        return self.tokens.clone()


def subject_of(model: FamilyModel, frames: int) -> Subject:
    """A clip of noise with its first option explained, whatever the model answers."""
    size = side(model)
    noise = np.random.default_rng(0).integers(0, 256, (frames, size, size, 3), dtype=np.uint8)
    clip = Clip(noise, np.arange(float(frames)), float(frames))
    pixels = model.preprocess(clip)
    question = replace(QUESTION, shot=Shot.of(pixels, clip))
    return Subject(model, clip, question, Target("option", (0,)), 0, pixels, torch.zeros(3), (0,), (1, 2))


def shot_of(model: FamilyModel, frames: int) -> Shot:
    """Square clip of one frame a second."""
    return Shot(side(model), side(model), tuple(map(float, range(frames))), float(frames))


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


def encoded(subject: Subject, warm: Subject) -> tuple[Measure, NDArray[np.int16]]:
    """The video through the tower once, and its tokens bit for bit; before that `warm`, as in `measured`."""
    warm.model.encode(warm.pixels[None])
    before, began = peak_memory(subject.model.device), time.perf_counter()
    with torch.no_grad():
        tokens = subject.model.encode(subject.pixels[None])
    seconds, memory = time.perf_counter() - began, peak_memory(subject.model.device) - before
    return Measure(TOWER, False, len(subject.clip), length(subject), seconds, memory), _bits(tokens).numpy()


def _bits(tokens: Tensor) -> Tensor:
    return tokens.view(torch.int16 if tokens.dtype.itemsize == 2 else torch.int32)


def measured(subject: Subject, method: str, stored: bool, warm: Subject) -> Measure:
    """Run one method once on a video that is encoded; before that on the tiny `warm`, for code and threads."""
    run: Callable[[Subject], Any] = partial(stored_attention, method=method)
    if not stored:
        run = registry.get("methods", method)().values
    run(warm)
    before, began = peak_memory(subject.model.device), time.perf_counter()
    run(subject)
    seconds, memory = time.perf_counter() - began, peak_memory(subject.model.device) - before
    return Measure(method, stored, len(subject.clip), length(subject), seconds, memory)


def length(subject: Subject) -> int:
    """Tokens in the sequence."""
    assert isinstance(subject.model, FamilyModel)
    return subject.grid.tokens + subject.model.text_tokens(subject.question)


Found = TypeVar("Found")


def apart(job: Callable[[], Found], threads: int) -> Found | None:
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
        found: Found | None = receiver.recv()
    except EOFError:
        found = None
    process.join()
    return found


def measure_all(
    model: FamilyModel, frames: Sequence[int], methods: Sequence[str] = METHODS, threads: int = 1
) -> list[Measure]:
    """The tower, every method and its rival at every length; rivals only where memory suffices.

    Each in a process of its own with so many `threads`; this one must not have used more than one.
    """
    speed = apart(partial(matrix_speed, model.dtype), threads)
    jobs = [(method, stored) for method in methods for stored in (False, True) if not stored or method in RIVALS]
    shown = Progress(console=Console(stderr=True), transient=True)
    found: list[Measure] = []
    with shown:
        task = shown.add_task("measuring", total=len(frames) * (1 + len(jobs)))
        for count in frames:
            shot = shot_of(model, count)
            length = model.grid(shot).tokens + model.text_tokens(replace(QUESTION, shot=shot))
            least = apart(partial(operations, model, count, length), threads)
            assert speed and least, "counting needs next to no memory"
            for item in _measure_one(model, count, jobs, threads):
                found.append(replace(item, floor=_floor(item, least) / speed))
                shown.console.print(_line(item), highlight=False)  # long before the table
                shown.advance(task)
    return found


def _line(item: Measure) -> str:
    ran = f"{item.seconds:.1f} s, {item.memory / 2**20:.0f} MiB" if item.seconds is not None else "not run"
    return f"{item.frames} frames, {item.method}{', stored' * item.stored}: {ran}"


def _measure_one(model: FamilyModel, frames: int, jobs: Sequence[tuple[str, bool]], threads: int) -> Iterator[Measure]:
    subject, warm = subject_of(model, frames), subject_of(model_of(Shape(), model.dtype), 1)
    done = apart(partial(encoded, subject, warm), threads)
    if done is None:
        raise MemoryError(f"the video's {frames} frames could not be encoded")
    yield done[0]
    tokens = torch.from_numpy(done[1]).view(model.dtype)
    subject = replace(subject, model=Encoded(model, tokens))
    for method, stored in jobs:
        missing = Measure(method, stored, frames, length(subject), None, needed(subject) if stored else 0)
        runs = missing.memory < os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        yield (apart(partial(measured, subject, method, stored, warm), threads) if runs else None) or missing


def needed(subject: Subject) -> int:
    """Bytes of the stored maps of all layers."""
    text = cast(Any, subject.model.module).config.text_config
    return int(STORED * text.num_hidden_layers * text.num_attention_heads * length(subject) ** 2)


def _floor(item: Measure, operations: tuple[int, int, int]) -> float:
    tower, forward, backward = operations
    return tower if item.method == TOWER else forward + backward * (item.method in BACKWARD)


def exponent(found: Sequence[Measure]) -> float:
    """The power of the frame count with which one method's memory grows: the slope of a line through the logarithms."""
    points = np.log([[item.frames, max(1, item.memory)] for item in found])
    return float(np.polyfit(points[:, 0], points[:, 1], 1)[0])


def table(found: Sequence[Measure]) -> Table:
    """Rows of seconds and memory, with the share of the same method's stored form at the same length."""
    shown = Table("frames", "tokens", "method", "seconds", "of stored", "of floor", "memory", "of stored", box=None)
    rivals = {(item.frames, item.method): item for item in found if item.stored}
    for item in found:
        rival = rivals.get((item.frames, item.method))
        name = f"{item.method}, stored" if item.stored else item.method
        ran = item.seconds is not None
        timed = "-" if not (rival and rival.seconds and ran) else f"{(item.seconds or 0) / rival.seconds:.2f}"
        shown.add_row(
            str(item.frames), str(item.tokens), name, f"{item.seconds:.2f}" if ran else "not run", timed,
            f"{(item.seconds or 0) / item.floor:.1f}" if ran and item.floor else "-",
            f"{'' if ran else 'about '}{item.memory / 2**20:.0f} MiB",
            f"{item.memory / max(1, rival.memory):.2f}" if rival else "-",
        )  # fmt: skip
    return shown
