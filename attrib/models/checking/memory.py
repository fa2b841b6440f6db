"""Memory of methods: what they are expected to need, what they are measured to need, and what would fit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import psutil
import torch

from attrib.attention.flows import ELEMENTS
from attrib.capabilities import KnowsSizes
from attrib.method import Method
from attrib.subject import Subject
from attrib.types.footprint import Footprint, LayerStack

INTERVAL = 0.005  # seconds between looks at this process's memory
FLOAT = 4  # bytes of a pixel's colour and of an attention weight
BLUR = 16  # clips' worth of memory that blurring one takes
COPIES = 4  # of the pixels in a pass: resized, rescaled, normalised, cut into patches
BLOCKS = 2  # blocks of attention rows at once: logits and probabilities, or these and their gradient
BACKWARD = 0.6  # gradients within a layer, as a share of what it has while it runs
ATTENDING = 1 / 3  # of what a layer saves, when the gradient has reached its attention


def expected(method: Method, subject: Subject) -> int | None:
    """Return the bytes that a map is expected to need at its peak, beyond weights and what is in use.

    None for a method without a footprint, and for a model whose sizes are not known. See docs/models.md.
    """
    need, model = method.footprint, subject.model
    if need is None or not isinstance(model, KnowsSizes):
        return None
    pixels = FLOAT * subject.pixels.numel()
    if need.held == "pixels":
        return COPIES * pixels
    try:
        vision, language = model.stacks(subject.question)
    except Exception:  # a family of another package may be built of other parts: no forecast must stop the work
        return None
    blur = BLUR * pixels if need.blurred else 0
    step = _step(need, pixels, vision, subject.grid.steps) if need.step else 0
    return max(blur, step, _passes(need, pixels, vision, language))


def _passes(need: Footprint, pixels: int, vision: LayerStack, language: LayerStack) -> int:
    """Return the bytes that passes of the model need from one clip's pixels on, or from its visual tokens."""
    decoder = _held(need, language) + _running(need, language)
    if need.space == "tokens":
        return decoder
    if need.held == "everything":
        return decoder + need.versions * (COPIES * pixels + vision.layers * vision.saved * vision.tokens)
    tokens = need.versions * vision.tokens
    together = min(tokens, vision.together or tokens)
    encoder = together * (COPIES * pixels // vision.tokens + vision.running)
    return need.versions * pixels + max(encoder, decoder)


def _step(need: Footprint, pixels: int, vision: LayerStack, steps: int) -> int:
    """Return the bytes that one step of the clip needs in the vision encoder and back."""
    stack = replace(vision, tokens=-(-vision.tokens // steps))
    return COPIES * pixels // steps + _held(need, stack) + _running(need, stack)


def _held(need: Footprint, stack: LayerStack) -> int:
    """Return the bytes that layers leave behind for later: for gradients, or for attention rows from the top down."""
    token = {
        "one layer": stack.saved,
        "layer inputs": stack.layers * stack.between + stack.saved,
        "everything": stack.layers * stack.saved,
        "queries and keys": (need.stretch or stack.layers) * stack.attended
        + (-(-stack.layers // need.stretch) * stack.between if need.stretch else 0),
    }.get(need.held, 0)
    return need.versions * token * stack.tokens


def _running(need: Footprint, stack: LayerStack) -> int:
    """Return the bytes in use beside: those of a layer, of its gradient, or of blocks of attention rows."""
    running = need.versions * stack.running * stack.tokens
    if need.held in ("layer inputs", "one layer"):
        running = int(BACKWARD * running)
    if not need.rows:
        return 0 if need.held == "everything" else running
    row = stack.heads * stack.tokens
    block = BLOCKS * FLOAT * max(row, min(ELEMENTS, row * stack.tokens))
    saved = stack.saved * stack.tokens if need.held == "layer inputs" else 0
    return max(running, int(block - (1 - ATTENDING) * saved))


def frames_that_fit(frames: int, free: int, needed: int) -> int:
    """Return how many frames would fit in `free` bytes if `needed`, those of `frames`, grew in proportion to them."""
    return frames * free // needed


def free_memory(subject: Subject) -> int:
    """Return the free bytes of the devices that hold the subject's model; for the CPU, of the machine."""
    devices = {each.device for each in subject.model.module.parameters()}
    return sum(map(_free, devices))


def _free(device: torch.device) -> int:
    if device.type != "cuda":
        return int(psutil.virtual_memory().available)
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0] + cached)


@dataclass
class Peak:
    """Bytes in use beyond those at the start, and bytes that were free at the start."""

    free: int
    extra: int = field(default=0)


@contextmanager
def watching_memory(device: torch.device) -> Iterator[Peak]:
    """Measure the memory of the device, or of this process, in the context."""
    with _on_gpu(device) if device.type == "cuda" else _in_process() as peak:
        yield peak


@contextmanager
def _on_gpu(device: torch.device) -> Iterator[Peak]:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    rest, peak = torch.cuda.memory_allocated(device), Peak(_free(device))
    yield peak
    peak.extra = torch.cuda.max_memory_allocated(device) - rest


@contextmanager
def _in_process() -> Iterator[Peak]:
    """Look at the process's resident memory from a thread of its own."""
    process = psutil.Process()
    rest, peak, done = process.memory_info().rss, Peak(_free(torch.device("cpu"))), threading.Event()

    def look() -> None:
        while not done.wait(INTERVAL):
            peak.extra = max(peak.extra, process.memory_info().rss - rest)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
