"""Memory that explaining an answer is expected to need, said before the work begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrib import registry
from attrib.capabilities import KnowsSizes
from attrib.explaining.binding import placement
from attrib.method import Control, Method, can_explain
from attrib.models.checking.memory import expected, frames_that_fit, free_memory
from attrib.runtime.memory import bytes_text
from attrib.subject import Subject


def memory_note(subject: Subject, methods: Iterable[tuple[str, Method]]) -> str:
    """Return where the model runs, the most that a method is expected to need, and how much is free."""
    labelled = [(label, expected(method, subject)) for label, method in methods]
    known = [(need, label) for label, need in labelled if need is not None]
    if not known:
        return placement(subject)
    most, label = max(known)
    unknown = list(dict.fromkeys(label for label, need in labelled if need is None))
    return (
        f"{placement(subject)}; expects {bytes_text(most)} more ({label}), {bytes_text(free_memory(subject))} are free"
        + (f"; not known for: {', '.join(unknown)}" if unknown else "")
    )


def memory_warnings(subject: Subject, methods: Iterable[tuple[str, Method]]) -> tuple[str, ...]:
    """Return one warning that names the methods that are expected not to fit, and what needs less; none if all fit."""
    free = free_memory(subject)
    needs = [(expected(method, subject) or 0, label) for label, method in methods]
    large = dict.fromkeys(label for need, label in needs if need > free)
    if not large:
        return ()
    most = max(needs)[0]
    remedies = [*_smaller_input(subject, free, most), *_smaller_method(subject, free)]
    return (
        f"{', '.join(large)}: expected to need {bytes_text(most)} beyond the weights, and {bytes_text(free)} are free; "
        f"{' or '.join(remedies) or 'a smaller model'} would need less",
    )


def _smaller_input(subject: Subject, free: int, most: int) -> Iterator[str]:
    frames = len(subject.clip)
    if frames > 1:
        fitting = frames_that_fit(frames, free, most)
        yield f"--frames {fitting}" if fitting else "fewer frames"
    if isinstance(subject.model, KnowsSizes) and subject.model.bounds_pixels:
        yield "model.pixels"
    if subject.model.dtype.itemsize > 2:
        yield "model.dtype: bfloat16"


def _smaller_method(subject: Subject, free: int) -> Iterator[str]:
    """Yield the method that is expected to need least, of those that explain the model's answer, if it fits."""
    needs = []
    for name in registry.names("methods"):
        method = registry.get("methods", name)
        if not issubclass(method, Control) and can_explain(method, annotated=False):
            needs.append((expected(method(), subject) or free + 1, name))
    least, name = min(needs, default=(free + 1, ""))
    if least <= free:
        yield f"--method {name} ({bytes_text(least)})"
