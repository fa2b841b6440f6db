"""Methods that a model can run, and their price in seconds and memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from attrib import registry
from attrib.errors import AttributionError, NotEnoughMemory, UnsupportedModel, failure_message
from attrib.method import can_explain
from attrib.models.checking.memory import expected, frames_that_fit, watching_memory
from attrib.subject import Subject

Outcome = Literal["runs", "refused", "failed"]
LEAST = 2**26


@dataclass(frozen=True)
class MethodRun:
    """Outcome of one method with its default parameters; `reason` where it gave no map.

    `memory` is the greatest number of bytes in use beyond what was in use before: the weights; `expected` is its
    forecast, None where there is none. `frames` is how many
    frames would fit in the memory that was free then, if `memory` grew in proportion to the frames; None below LEAST
    bytes, which tell too little.
    """

    method: str
    outcome: Outcome
    reason: str = ""
    seconds: float | None = None
    memory: int | None = None
    expected: int | None = None
    frames: int | None = None


def run_method(name: str, subject: Subject) -> MethodRun:
    """Compute one map. A model that the method cannot read, too little memory, and missing annotation are refusals."""
    method = registry.get("methods", name)
    if not can_explain(method, annotated=False):
        return MethodRun(name, "refused", f"needs {', '.join(sorted(method.needs))}")
    try:
        forecast = expected(method(), subject)
        with watching_memory(subject.model.device) as peak:
            started = time.perf_counter()
            method().attribute(subject, name)
            seconds = time.perf_counter() - started
    except (UnsupportedModel, NotEnoughMemory) as error:
        return MethodRun(name, "refused", str(error))
    except Exception as error:  # a method may fail anywhere
        reason = str(error) if isinstance(error, AttributionError) else failure_message(error)
        return MethodRun(name, "failed", reason)
    frames = frames_that_fit(len(subject.clip), peak.free, peak.extra) if peak.extra >= LEAST else None
    return MethodRun(name, "runs", "", seconds, peak.extra, forecast, frames)
