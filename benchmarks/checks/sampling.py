"""Choice and pairing of samples, by the seed and their names, not by their order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from attrib.benchmarks.jobs.keys import digest
from attrib.types import Sample


def shuffled(samples: Iterable[Sample], seed: int, purpose: str) -> list[Sample]:
    """The samples in an order that the seed and the purpose decide, the same whatever the order they come in."""
    return sorted(samples, key=lambda sample: digest(seed, purpose, sample.id))


def spread_out(samples: Sequence[Sample], count: int, seed: int) -> tuple[Sample, ...]:
    """Choose at most `count` samples of different videos, as many of one task as of another."""
    turns: dict[str, int] = defaultdict(int)
    places: dict[str, tuple[int, str]] = {}
    for sample in shuffled(samples, seed, "spread"):
        if sample.video_id not in places:
            places[sample.video_id] = (turns[sample.task], sample.id)
            turns[sample.task] += 1
    wanted = {name for _, name in sorted(places.values(), key=lambda place: (place[0], digest(seed, place[1])))[:count]}
    return tuple(sample for sample in samples if sample.id in wanted)


def groups(samples: Sequence[Sample], frames: Mapping[str, int], seed: int) -> list[list[Sample]]:
    """Samples of one task whose clips have as many `frames` (by sample id), each group in a seeded order.

    Those whose number of frames is not known are left out.
    """
    found: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for sample in shuffled(samples, seed, "partners"):
        if sample.id in frames:
            found[sample.task, frames[sample.id]].append(sample)
    return list(found.values())


def partners(group: Sequence[Sample], count: int) -> dict[str, tuple[Sample, ...]]:
    """Pair each sample with the next `count` of other videos in a circle, so that all serve about equally often."""
    return {
        sample.id: tuple(
            other for other in (*group[place + 1 :], *group[:place]) if other.video_id != sample.video_id
        )[:count]
        for place, sample in enumerate(group)
    }  # fmt: skip


def swapped(sample: Sample, samples: Sequence[Sample], frames: Mapping[str, int], seed: int) -> Sample | None:
    """A sample of another video with as many frames, of the same task where there is one; None without any."""
    length = frames.get(sample.id)
    fitting = [
        other for other in shuffled(samples, seed, f"swapped {sample.id}")
        if other.video_id != sample.video_id and frames.get(other.id) == length
    ]  # fmt: skip
    return next((other for other in fitting if other.task == sample.task), fitting[0] if fitting else None)


def asks_otherwise(sample: Sample, samples: Sequence[Sample], seed: int) -> Sample | None:
    """A sample whose options are all others than this one's; None without any."""
    own = set(sample.question.options)
    return next(
        (other for other in shuffled(samples, seed, f"question {sample.id}")
         if other.question.options and own.isdisjoint(other.question.options)),
        None,
    )  # fmt: skip
