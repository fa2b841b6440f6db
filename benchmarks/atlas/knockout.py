"""Knockouts: what the answer loses when heads may not attend to the evidence, beside random and other tokens.

Attention alone does not show importance. From the rows that give the answer, the attention of
some heads to the evidence's visual tokens is cut, and the fall of the log-odds measured; beside it the same heads
without as many random visual tokens that show no evidence, without as many that show other annotated objects (those
draw attention whatever is asked), and as many random heads without the evidence.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from attrib.attention_record import AttentionRecord, Knockout
from attrib.benchmarks.atlas.selection import Head
from attrib.benchmarks.metrics.objects.ground_truth import HALF, evidence_cells, scored_frames, track_tubes
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.capabilities import RecordsAttention, require
from attrib.subject import Subject
from attrib.types import Sample

NAMES = ("evidence", "random_tokens", "other_objects", "random_heads")
Tokens = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class KnockoutScene:
    """Token sets of a subject, and the positions of tokens and answer in the sequence."""

    subject: Subject
    sets: TokenSets
    visual: torch.Tensor
    queries: tuple[int, ...]
    tokens: torch.Tensor
    score: float

    @staticmethod
    @torch.no_grad()
    def of(subject: Subject, sample: Sample, draws: int, seed: int) -> KnockoutScene:
        """Run one forward pass. Raises UndefinedError where no token shows evidence, or too few do not."""
        sets = token_sets(subject, sample, draws, seed)
        tokens, record = subject.visual, AttentionRecord(tokens=subject.tokens)
        with require(subject.model, RecordsAttention, "knockout").record_attention(record):
            score = float(subject.score_tokens(tokens)[0])
        return KnockoutScene(subject, sets, record.visual, record.explained_rows, tokens, score)

    @torch.no_grad()
    def fall(self, tokens: Tokens, heads: Iterable[Head]) -> float:
        """Nats of log-odds lost when these heads may not attend to these visual tokens."""
        by_layer: dict[int, tuple[int, ...]] = {}
        for layer, head in heads:
            by_layer[layer] = (*by_layer.get(layer, ()), head)
        cut = Knockout(tuple(self.visual[list(tokens)].tolist()), self.queries, by_layer)
        with require(self.subject.model, RecordsAttention, "knockout").knock_out(cut):
            return self.score - float(self.subject.score_tokens(self.tokens)[0])

    def falls(self, heads: Sequence[Head], random: Sequence[Sequence[Head]]) -> tuple[float, ...]:
        """Falls in the order of NAMES: `heads` without evidence or other tokens, `random` heads without evidence."""
        return (
            self.fall(self.sets.evidence, heads),
            *(_mean([self.fall(tokens, heads) for tokens in drawn]) for drawn in (self.sets.random, self.sets.objects)),
            _mean([self.fall(self.sets.evidence, choice) for choice in random]),
        )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


@dataclass(frozen=True)
class TokenSets:
    """Visual tokens that show the evidence, and draws of as many that do not: of all such, and of other objects.

    `objects` is empty where other objects have too few tokens.
    """

    evidence: Tokens
    random: tuple[Tokens, ...]
    objects: tuple[Tokens, ...]


def token_sets(subject: Subject, sample: Sample, draws: int, seed: int) -> TokenSets:
    """Evidence covers its tokens by half or more and the drawn ones not at all; other objects cover theirs by half.

    Tokens of several frames count by their mean over these. Nothing after the cut is drawn. Raises UndefinedError.
    """
    seen, hidden = evidence_cells(subject, sample)
    scored = np.broadcast_to(scored_frames(subject, sample)[:, None, None], seen.shape).astype(np.float64)
    free = (_by_token(subject, seen + hidden) == 0) & (_by_token(subject, scored) == 1)
    named = {item.track for item in sample.evidence}
    other = [track.id not in named for track in sample.tracks]
    objects = free & (_by_token(subject, track_tubes(subject, sample)[other].max(axis=0, initial=0)) >= HALF)
    evidence = np.flatnonzero(_by_token(subject, seen * scored) >= HALF)
    if not len(evidence):
        raise UndefinedError("the evidence covers no visual token by half")
    if int(free.sum()) < len(evidence):
        raise UndefinedError(f"the evidence covers {len(evidence)} visual tokens and only {int(free.sum())} show none")
    generator = np.random.default_rng([seed, zlib.crc32(sample.id.encode())])
    drawn = [_drawn(np.flatnonzero(pool), len(evidence), draws, generator) for pool in (free, objects)]
    return TokenSets(tuple(evidence.tolist()), drawn[0], drawn[1])


def _drawn(pool: NDArray[np.intp], count: int, draws: int, generator: np.random.Generator) -> tuple[Tokens, ...]:
    """Draw sets of `count` tokens; none where the pool is smaller."""
    sets = (generator.choice(pool, count, replace=False) for _ in range(draws if len(pool) >= count else 0))
    return tuple(tuple(sorted(chosen.tolist())) for chosen in sets)


def _by_token(subject: Subject, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) means of values (t, rows, columns) over each token's frames."""
    step = subject.grid.frames_per_step
    return np.concatenate([values[at : at + step].mean(axis=0).ravel() for at in range(0, len(values), step)])


def random_heads(sample: Sample, shape: tuple[int, int], count: int, draws: int, seed: int) -> list[list[Head]]:
    """`draws` choices of `count` of all heads of a decoder of `shape` (layers, heads); other ones for each sample."""
    generator = np.random.default_rng([seed, zlib.crc32(sample.id.encode()), 1])
    chosen = (generator.choice(shape[0] * shape[1], count, replace=False) for _ in range(draws))
    return [[divmod(int(head), shape[1]) for head in choice] for choice in chosen]
