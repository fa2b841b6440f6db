"""Methods that a model can run, and their price in seconds and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import psutil
import torch

from attrib import registry
from attrib.errors import AttributionError, NotEnoughMemory, UnsupportedModel, failure_message
from attrib.method import can_explain
from attrib.subject import Subject

Outcome = Literal["runs", "refused", "failed"]
LEAST = 2**26
INTERVAL = 0.005  # seconds between looks at this process's memory


@dataclass(frozen=True)
class MethodRun:
    """Outcome of one method with its default parameters; `reason` where it gave no map.

    `memory` is the greatest number of bytes in use beyond what was in use before: the weights. `frames` is how many
    frames would fit in the memory that was free then, if `memory` grew in proportion to the frames; None below LEAST
    bytes, which tell too little.
    """

    method: str
    outcome: Outcome
    reason: str = ""
    seconds: float | None = None
    memory: int | None = None
    frames: int | None = None


@dataclass
class _Peak:
    """Bytes in use beyond those at the start, and bytes that were free at the start."""

    free: int
    extra: int = field(default=0)


def run_method(name: str, subject: Subject) -> MethodRun:
    """Compute one map. A model that the method cannot read, too little memory, and missing annotation are refusals."""
    method = registry.get("methods", name)
    if not can_explain(method, annotated=False):
        return MethodRun(name, "refused", f"needs {', '.join(sorted(method.needs))}")
    try:
        with _watching_memory(subject.model.device) as peak:
            started = time.perf_counter()
            method().attribute(subject, name)
            seconds = time.perf_counter() - started
    except (UnsupportedModel, NotEnoughMemory) as error:
        return MethodRun(name, "refused", str(error))
    except Exception as error:  # a method may fail anywhere
        reason = str(error) if isinstance(error, AttributionError) else failure_message(error)
        return MethodRun(name, "failed", reason)
    frames = len(subject.clip) * peak.free // peak.extra if peak.extra >= LEAST else None
    return MethodRun(name, "runs", "", seconds, peak.extra, frames)


@contextmanager
def _watching_memory(device: torch.device) -> Iterator[_Peak]:
    """Measure the memory of the device, or of this process, in the context."""
    with _on_gpu(device) if device.type == "cuda" else _in_process() as peak:
        yield peak


@contextmanager
def _on_gpu(device: torch.device) -> Iterator[_Peak]:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    rest, peak = torch.cuda.memory_allocated(device), _Peak(torch.cuda.mem_get_info(device)[0])
    yield peak
    peak.extra = torch.cuda.max_memory_allocated(device) - rest


@contextmanager
def _in_process() -> Iterator[_Peak]:
    """Look at the process's resident memory from a thread of its own."""
    process = psutil.Process()
    rest, peak, done = process.memory_info().rss, _Peak(psutil.virtual_memory().available), threading.Event()

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
