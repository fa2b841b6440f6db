"""Seeded selection and pairing of samples, which depends on their names but not on their order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from attrib.benchmarks.jobs.keys import digest
from attrib.types import Sample


def shuffled(samples: Iterable[Sample], seed: int, purpose: str) -> list[Sample]:
    """Order the samples by seed and purpose, independently of their given order."""
    return sorted(samples, key=lambda sample: digest(seed, purpose, sample.id))


def spread_out(samples: Sequence[Sample], count: int, seed: int) -> tuple[Sample, ...]:
    """Select `count` or fewer samples of different videos, balanced over tasks."""
    turns: dict[str, int] = defaultdict(int)
    turn_of: dict[str, tuple[int, str]] = {}  # by video: turn of its task, sample id
    for sample in shuffled(samples, seed, "spread"):
        if sample.video_id not in turn_of:
            turn_of[sample.video_id] = (turns[sample.task], sample.id)
            turns[sample.task] += 1
    ordered = sorted(turn_of.values(), key=lambda turn: (turn[0], digest(seed, turn[1])))
    wanted = {name for _, name in ordered[:count]}
    return tuple(sample for sample in samples if sample.id in wanted)


def groups(samples: Sequence[Sample], frames: Mapping[str, int], seed: int) -> list[list[Sample]]:
    """Group samples of one task whose clips have equally many `frames` (by sample id), each group in a seeded order.

    Samples with an unknown number of frames are omitted.
    """
    by_length: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for sample in shuffled(samples, seed, "partners"):
        if sample.id in frames:
            by_length[sample.task, frames[sample.id]].append(sample)
    return list(by_length.values())


def partners(group: Sequence[Sample], count: int) -> dict[str, tuple[Sample, ...]]:
    """Return, by sample id, the next `count` samples of other videos in circular order.

    Each sample is thereby a partner about as often as it has partners.
    """
    return {
        sample.id: tuple(
            other for other in (*group[index + 1 :], *group[:index]) if other.video_id != sample.video_id
        )[:count]
        for index, sample in enumerate(group)
    }  # fmt: skip


def swapped(sample: Sample, samples: Sequence[Sample], frames: Mapping[str, int], seed: int) -> Sample | None:
    """Return a sample of another video with as many frames, preferably of the same task; None if there is none."""
    length = frames.get(sample.id)
    fitting = [
        other for other in shuffled(samples, seed, f"swapped {sample.id}")
        if other.video_id != sample.video_id and frames.get(other.id) == length
    ]  # fmt: skip
    return next((other for other in fitting if other.task == sample.task), fitting[0] if fitting else None)


def asks_otherwise(sample: Sample, samples: Sequence[Sample], seed: int) -> Sample | None:
    """Return a sample that shares no option with this one; None if there is none."""
    own = set(sample.question.options)
    return next(
        (other for other in shuffled(samples, seed, f"question {sample.id}")
         if other.question.options and own.isdisjoint(other.question.options)),
        None,
    )  # fmt: skip
