"""The trace of one sample: what each group's states restore at each layer, each step's, and what each edge's cut loses.

Rows are [kind, stream, layer, part, share]. `group`: the part is a group of positions, `random` the mean of draws.
`step`: the part is a step of the clip, counted from the one in which evidence begins. `edge`: see `edges`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.benchmarks.trace.against import BEST, Against
from attrib.benchmarks.trace.edges import lost
from attrib.benchmarks.trace.groups import Groups, Positions
from attrib.benchmarks.trace.patching import STREAMS, Patch, PatchedRuns, Stream
from attrib.errors import UnknownName, UnsupportedModel
from attrib.model import vocabulary_warnings
from attrib.subject import Subject

Row = tuple[str, str, int, str, float]


@dataclass(frozen=True)
class TraceOptions:
    """The corrupt video, and the streams that are patched; the residual stream is always among them."""

    against: Against = BEST
    streams: tuple[Stream, ...] = STREAMS

    @classmethod
    def parse(cls, against: str | None, streams: Sequence[str] | None) -> TraceOptions:
        """Read the words of a command line; None is the default. Raises InputError for a word that is not known."""
        for stream in streams or ():
            if stream not in STREAMS:
                raise UnknownName("stream", stream, STREAMS)
        chosen = tuple(stream for stream in STREAMS if not streams or stream == "residual" or stream in streams)
        return cls(Against.parse(against) if against is not None else BEST, chosen)


def trace_subject(subject: Subject, options: TraceOptions) -> dict[str, Any]:
    """Return plain values for JSON: rows, both runs' log-odds, the answer, the corrupt video and warnings.

    `reason` says why there are no rows. Raises InputError where there is no corrupt video of the clip's shape.
    """
    sample = subject.sample
    assert sample is not None  # the caller binds one
    against = options.against.of(sample)
    runs = PatchedRuns.of(subject, against.pixels(subject, sample))
    warnings = [*subject.clip.warnings, *vocabulary_warnings(subject.model, subject.question)]
    found: dict[str, Any] = {"rows": [], "reason": "", "clean": runs.clean, "corrupt": runs.corrupt,
                             "answer": subject.description, "against": str(against), "warnings": warnings}  # fmt: skip
    try:
        groups = Groups.of(subject, runs.places)
        found["rows"] = [*_groups(runs, groups, options.streams), *_steps(runs, groups)]
    except UndefinedError as case:
        return {**found, "reason": str(case)}
    try:
        found["rows"] += [("edge", "attention", layer, name, share) for name, layer, share in lost(runs, groups)]
    except UnsupportedModel as case:
        found["warnings"].append(f"no edges: {case}")
    return found


def _groups(runs: PatchedRuns, groups: Groups, streams: Sequence[Stream]) -> Iterator[Row]:
    """Patch each group in each stream, and the random draws in the residual stream."""
    named: list[tuple[Stream, str, Sequence[Positions]]] = [
        (stream, name, [places]) for stream in streams for name, places in groups.named.items()
    ]
    if groups.random:
        named.append(("residual", "random", groups.random))
    patches = [Patch(layer, stream, places) for stream, _, draws in named for layer in runs.layers for places in draws]
    shares = iter(runs.restored(patches).tolist())
    for stream, name, draws in named:
        for layer in runs.layers:
            yield "group", stream, layer, name, sum(next(shares) for _ in draws) / len(draws)


def _steps(runs: PatchedRuns, groups: Groups) -> Iterator[Row]:
    """Patch all visual tokens of each step in the residual stream."""
    plan = [(step, layer) for step in range(len(groups.steps)) for layer in runs.layers]
    shares = runs.restored([Patch(layer, "residual", groups.steps[step]) for step, layer in plan]).tolist()
    for (step, layer), share in zip(plan, shares, strict=True):
        yield "step", "residual", layer, str(step - (groups.start or 0)), share
