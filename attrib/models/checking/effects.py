"""Effects that a sound adapter has, whatever the answer: each a number, as a function of a case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from attrib.attention_record import Knockout
from attrib.errors import UnsupportedModel
from attrib.models.checking.equality import deviation
from attrib.models.checking.official import Case
from attrib.propagation.rules import propagating
from attrib.subject import Target

if TYPE_CHECKING:
    from jaxtyping import Float

CELLS = 64  # that are changed one by one
STEP = 0.08  # nats: expected change of the score at the first of the steps, each a quarter of the one before
STEPS = 6
SETTLED = 0.03  # relative: estimates by two steps that agree so well are taken


def slope(case: Case) -> float:
    """Return the relative difference of the derivative along the gradient to central differences.

    Raises UnsupportedModel where rounding hides the differences.
    """
    subject = case.subject
    with torch.enable_grad():
        pixels = subject.pixels[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(subject.score(pixels).sum(), pixels)
    if not bool((gradient[0].abs().amax(dim=(1, 2, 3)) > 0).all()):
        return 1.0  # a frame without any
    size = gradient.double().norm()
    direction = gradient / size
    changes = [_change(case, direction, STEP / float(size) / 4**step) for step in range(STEPS)]
    ratios = [change / float(size) for change in changes]
    best = min(pairwise(ratios), key=lambda pair: abs(pair[0] - pair[1]))
    found = min(abs(ratio - 1) for ratio in best)
    if found > SETTLED and (abs(best[0] - best[1]) > SETTLED or case.rough):
        raise UnsupportedModel("rounding hides the small differences; float32 may show them")
    return found


@torch.no_grad()
def _change(case: Case, direction: Float[Tensor, "1 t 3 h w"], step: float) -> float:
    """Return the central difference of the score for one step, in nats a unit."""
    score, pixels = case.subject.score, case.subject.pixels[None]
    ends = [float(score(pixels + sign * step * direction)) for sign in (1, -1)]
    return (ends[0] - ends[1]) / (2 * step)


def cells(case: Case) -> float:
    """Return the share of cells in which noise does not change the cell's own token most."""
    grid, pixels = case.subject.grid, case.subject.pixels
    height, width = pixels.shape[2] // grid.rows, pixels.shape[3] // grid.columns
    generator = torch.Generator().manual_seed(0)
    count = min(CELLS, grid.tokens)
    chosen = [index * grid.tokens // count for index in range(count)]
    strayed = 0
    for token in chosen:
        step, cell = divmod(token, grid.rows * grid.columns)
        y, x = (cell // grid.columns) * height, (cell % grid.columns) * width
        version = pixels.clone()
        frames = slice(step * grid.frames_per_step, (step + 1) * grid.frames_per_step)
        part = version[frames, :, y : y + height, x : x + width]
        part.copy_(torch.rand(part.shape, generator=generator))
        with torch.no_grad():
            moved = (case.model.encode(version[None]) - case.tokens).float().norm(dim=2)
        strayed += int(moved.argmax()) != token
    return strayed / count


def _noise(like: Tensor, seed: int) -> Tensor:
    """Return tokens of the same spread."""
    noise = torch.randn(like.shape, generator=torch.Generator().manual_seed(seed))
    return (noise * float(like.float().std())).to(like)


@torch.no_grad()
def batches(case: Case) -> float:
    """Return the difference of a log-probability between two clips at once and one by one, in nats."""
    pixels, question = case.subject.pixels, case.subject.question
    both = torch.stack([pixels, 1 - pixels])
    apart = torch.cat([case.model.option_logprobs(one[None], question) for one in both])
    return float((case.model.option_logprobs(both, question) - apart).abs().max())


@torch.no_grad()
def dropped_tokens(case: Case) -> float:
    """Return the change of a log-probability, in nats, by noise in dropped tokens or by keeping all explicitly."""
    keep = torch.rand(case.tokens.shape[1], generator=torch.Generator().manual_seed(2)) < 0.5
    keep[0], keep[-1] = True, False
    stays = keep.to(case.tokens.device)[None, :, None]
    noisy = torch.where(stays, case.tokens, _noise(case.tokens, 1))
    score, question = case.model.score_tokens, case.subject.question
    kept, other = score(case.tokens, question, keep), score(noisy, question, keep)
    whole, every = score(case.tokens, question), score(case.tokens, question, torch.ones_like(keep))
    return float(torch.stack([kept - other, whole - every]).abs().max())


@torch.no_grad()
def video_hidden(case: Case) -> float:
    """Return the change of a log-probability by other visual tokens while no text attends to any, in nats."""
    question, asked = case.subject.question, case.prompt
    every = (*asked.visual.tolist(), *asked.extra.tolist())
    rows = tuple(row for row in range(len(asked.ids)) if row not in set(every))
    own, other = case.tokens, _noise(case.tokens, 1)
    with case.model.knock_out(Knockout(every, rows)):
        change = case.model.score_tokens(own, question) - case.model.score_tokens(other, question)
    return float(change.abs().max())


@torch.no_grad()
def knockout_changes(case: Case) -> float:
    """Return the change of a log-probability when the answer attends to no visual token, in nats."""
    question, tokens = case.subject.question, case.tokens
    with case.model.knock_out(Knockout(tuple(case.prompt.visual.tolist()))):
        cut = case.model.score_tokens(tokens, question)
    return float((cut - case.model.score_tokens(tokens, question)).abs().max())


@contextmanager
def without_biases(case: Case) -> Iterator[None]:
    """Set all biases, which take a share of their own, to 0 in the context."""
    biases = [each for name, each in case.network.named_parameters() if name.endswith("bias")]
    before = [each.clone() for each in biases]
    try:
        with torch.no_grad():
            for each in biases:
                each.zero_()
        yield
    finally:
        with torch.no_grad():
            for each, value in zip(biases, before, strict=True):
                each.copy_(value)


def shares(case: Case) -> float:
    """Return the relative difference of all tokens' shares by the rule `cp`, without biases, to the log-odds.

    Learnt tokens of the network itself, such as one at the clip's end, and embeddings that its layers read have a share
    too, as have placeholders to whose embeddings the visual tokens are added.
    """
    subject = case.subject.aimed(Target("contrast", (0, 1)))
    learnt = list(case.network.model.parameters(recurse=False))
    inputs = [case.tokens.clone().requires_grad_(), *learnt]
    embeddings = [each for each in case.model.family.decoder.modules() if isinstance(each, nn.Embedding)]
    hooks = [each.register_forward_hook(lambda _, __, out: inputs.append(out.requires_grad_())) for each in embeddings]
    try:
        with without_biases(case), torch.enable_grad(), propagating(case.network, "cp"):
            for each in learnt:
                each.requires_grad_()
            score = subject.score_tokens(inputs[0])
            gradients = torch.autograd.grad(score.sum(), inputs, materialize_grads=True)
    finally:
        for hook in hooks:
            hook.remove()
        for each in learnt:
            each.requires_grad_(False)
    shared = torch.stack([(at.detach() * by).float().sum() for at, by in zip(inputs, gradients, strict=True)])
    return deviation(shared.sum(), score.detach(), 0.01)
