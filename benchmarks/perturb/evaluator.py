"""The model's answers to versions of a clip with cells removed, each evaluated once per subject.

Versions are cached by imputer and removed cells, so that metrics and volumes share them, and go through the language
model in batches. If the model encodes steps of its token grid separately, encoded steps are cached by their pixels, so
that only new steps go through the vision encoder. Dropped tokens shorten the sequence.

Batches are padded to a multiple of GROUP, so that on the CPU an answer is the same to the last bit regardless of its
batch and of earlier calls.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from attrib.capabilities import EncodesSteps
from attrib.imputer import BoolArray, Canvas, Fill, Imputer, PixelImputer, TokenImputer
from attrib.model import OpaqueModel, VideoModel
from attrib.runtime.memory import BatchSize, fitting
from attrib.subject import Subject

if TYPE_CHECKING:
    from jaxtyping import Float

SIDE = 8  # cells along each side of a frame, where the token grid is not coarser
GROUP = 4  # versions; more at once is no faster on a CPU
ON_GPU = 32  # versions to begin with on a GPU
STEPS_EACH = 8  # steps per vision encoder batch for each version of a batch
BUDGET = 2**28  # bytes of encoded steps cached per subject
WHAT = "answering to a perturbed clip"

Version = tuple[Imputer, bytes]  # its removed cells as bits


class Sizes:
    """Batch sizes of a model: versions through its language model, steps through its vision encoder."""

    def __init__(self, model: VideoModel) -> None:
        versions = GROUP if model.device.type == "cpu" else ON_GPU
        self.versions, self.steps = BatchSize(versions), BatchSize(versions * STEPS_EACH)


class Steps:
    """Cache of encoded steps' tokens by a digest of their pixels; evicts the least recently used."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[bytes, Tensor] = OrderedDict()
        self.bytes = 0

    def get(self, name: bytes) -> Tensor | None:
        """Return the tokens (k, d) if they are cached."""
        if name in self._tokens:
            self._tokens.move_to_end(name)
        return self._tokens.get(name)

    def put(self, name: bytes, tokens: Float[Tensor, "k d"]) -> None:
        """Cache a copy of a new step's tokens; evict old ones beyond BUDGET."""
        self._tokens[name] = tokens.clone()
        self.bytes += tokens.nbytes
        while self.bytes > BUDGET:
            self.bytes -= self._tokens.popitem(last=False)[1].nbytes


@dataclass(eq=False)
class Memory:
    """Cache of one subject: answers (o,) on the CPU, encoded steps, and what its imputers prepared."""

    answers: dict[Version, Tensor] = field(default_factory=dict)
    steps: Steps = field(default_factory=Steps)
    fills: dict[PixelImputer, Fill] = field(default_factory=dict)


# Weak keys by identity: a cache vanishes with its subject or model, and must not refer to it.
_of_subject: WeakKeyDictionary[Subject, Memory] = WeakKeyDictionary()
_of_model: WeakKeyDictionary[VideoModel, Sizes] = WeakKeyDictionary()


def share_steps(subject: Subject, other: Subject) -> None:
    """Let `other`, of the same clip and model, use the encoded steps of `subject`: they do not depend on a question."""
    _of_subject[other] = Memory(steps=_of_subject.setdefault(subject, Memory()).steps)


def cell_shape(subject: Subject) -> tuple[int, int, int]:
    """Return (t, rows, columns) of the perturbation cells: a slice per frame, SIDE x SIDE or the coarser token grid."""
    grid = subject.grid
    return len(subject.clip), min(SIDE, grid.rows), min(SIDE, grid.columns)


@torch.no_grad()
def answers(subject: Subject, imputer: Imputer, removed: BoolArray) -> Float[Tensor, "n o"]:
    """Return log-probabilities of the clip without each of `removed` (n, t, rows, columns), on the CPU.

    They are those of `subject.logprobs`. Raises NotEnoughMemory when a single version does not fit.
    """
    memory = _of_subject.setdefault(subject, Memory())
    names: list[Version] = [(imputer, np.packbits(cells).tobytes()) for cells in removed]
    asked = dict(zip(names, removed, strict=True))
    memory.answers.update((name, subject.logprobs.cpu()) for name, cells in asked.items() if not cells.any())
    todo = {name: cells for name, cells in asked.items() if name not in memory.answers}
    if todo:
        with fitting(subject.model.dtype, WHAT, len(subject.clip)):
            logprobs = _evaluate(subject, memory, imputer, list(todo.values()))
        memory.answers.update(zip(todo, logprobs.float().cpu(), strict=True))
    return torch.stack([memory.answers[name] for name in names])


def _evaluate(subject: Subject, memory: Memory, imputer: Imputer, removed: list[BoolArray]) -> Float[Tensor, "n o"]:
    if isinstance(imputer, PixelImputer):
        return _with_other_pixels(subject, memory, imputer, removed)
    if isinstance(imputer, TokenImputer):
        return _without_tokens(subject, memory, imputer, removed)
    raise TypeError(f"{type(imputer).__name__}: expected a PixelImputer or a TokenImputer")


def _with_other_pixels(
    subject: Subject, memory: Memory, imputer: PixelImputer, removed: list[BoolArray]
) -> Float[Tensor, "n o"]:
    """Return answers to versions whose removed cells show the imputer's pixels."""
    if imputer not in memory.fills:
        memory.fills[imputer] = imputer.prepare(Canvas(subject.pixels, *cell_shape(subject)[1:], subject.seed))
    fill, sizes = memory.fills[imputer], _of_model.setdefault(subject.model, Sizes(subject.model))

    def asked(chunk: slice) -> Tensor:
        return subject.model.option_logprobs(torch.stack([fill(cells) for cells in removed[chunk]]), subject.question)

    def answer(chunk: slice) -> Tensor:
        tokens = _encoded(subject, memory, sizes, [fill(cells) for cells in removed[chunk]])
        count = len(tokens)
        filler = tokens[-1:].expand(-count % min(GROUP, sizes.versions.size), -1, -1)
        return subject.model.score_tokens(torch.cat([tokens, filler]), subject.question)[:count]

    how = asked if isinstance(subject.model, OpaqueModel) else answer
    return torch.cat(list(sizes.versions.run(len(removed), how)))


def _without_tokens(
    subject: Subject, memory: Memory, imputer: TokenImputer, removed: list[BoolArray]
) -> Float[Tensor, "n o"]:
    """Return answers to the clip's tokens that the imputer keeps."""
    sizes = _of_model.setdefault(subject.model, Sizes(subject.model))
    tokens = _encoded(subject, memory, sizes, [subject.pixels])
    masks = [imputer.keep(cells, subject.grid).to(tokens.device) for cells in removed]
    return torch.cat([subject.model.score_tokens(tokens, subject.question, keep) for keep in masks])


def _encoded(subject: Subject, memory: Memory, sizes: Sizes, versions: list[Tensor]) -> Float[Tensor, "b n d"]:
    """Return visual tokens of each version (t, 3, h, w); encodes only steps that are not cached."""
    model = subject.model
    if not isinstance(model, EncodesSteps):
        return model.encode(torch.stack(versions))
    steps = [step for version in versions for step in version.split(subject.grid.frames_per_step)]
    names = [_digest(step) for step in steps]
    cached = {name: memory.steps.get(name) for name in names}
    new = {name: step for name, step in zip(names, steps, strict=True) if cached[name] is None}
    encoded = _encoded_steps(model, sizes.steps, new)
    for name in new:
        memory.steps.put(name, encoded[name])
    encoded.update((name, tokens) for name, tokens in cached.items() if tokens is not None)
    tokens_of_steps = torch.cat([encoded[name] for name in names])
    return tokens_of_steps.reshape(len(versions), -1, tokens_of_steps.shape[-1])


def _encoded_steps(model: EncodesSteps, size: BatchSize, steps: Mapping[bytes, Tensor]) -> dict[bytes, Tensor]:
    """Return tokens (k, d) of steps (f, 3, h, w); the last step of a clip may have fewer frames."""
    encoded: dict[bytes, Tensor] = {}
    for length in sorted({len(step) for step in steps.values()}):
        same_length = {name: step for name, step in steps.items() if len(step) == length}
        pixels = torch.stack(list(same_length.values()))
        tokens = torch.cat(list(size.run(len(pixels), _encoder(model, pixels))))
        encoded.update(zip(same_length, tokens, strict=True))
    return encoded


def _encoder(model: EncodesSteps, pixels: Float[Tensor, "m f 3 h w"]) -> Callable[[slice], Tensor]:
    return lambda chunk: model.encode_steps(pixels[chunk])


def _digest(step: Float[Tensor, "f 3 h w"]) -> bytes:
    """Return the digest of a step's pixels."""
    return hashlib.blake2b(step.contiguous().cpu().numpy().tobytes(), digest_size=16).digest()
