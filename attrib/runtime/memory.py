"""Memory of the machine: batch sizes that shrink until they fit, errors that say what would need less, peaks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import torch
from torch import Tensor

from attrib.errors import NotEnoughMemory


class BatchSize:
    """Begins at `size` and is halved, for good, whenever memory is not enough."""

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, count: int, work: Callable[[slice], Tensor]) -> Iterator[Tensor]:
        """`work` on consecutive slices of range(count). Raises what it raises, of memory only for a single item."""
        done = 0
        while done < count:
            part = slice(done, min(done + self.size, count))
            found = self._tried(part, work)
            if found is not None:
                yield found
                done = part.stop

    def _tried(self, part: slice, work: Callable[[slice], Tensor]) -> Tensor | None:
        """The result; None where it did not fit, and the next try is with half as many."""
        count = part.stop - part.start
        try:
            return work(part)
        except Exception as error:
            if count == 1 or not out_of_memory(error):
                raise
        torch.cuda.empty_cache()  # here, where the error no longer holds what was made; nothing without a GPU
        self.size = max(1, count // 2)
        return None


def out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be had: by Python, by torch on the CPU, or by torch on a GPU."""
    refused = "can't allocate memory" in str(error) or "not enough memory" in str(error)
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError) and refused
    )  # fmt: skip


@contextmanager
def fitting(dtype: torch.dtype, what: str, frames: int, batch: int = 1) -> Iterator[None]:
    """Within this context memory that cannot be had raises NotEnoughMemory: what, and what would need less."""
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        torch.cuda.empty_cache()  # nothing without a GPU
        remedies = [f"fewer frames than {frames}"] * (frames > 1) + [f"a smaller batch than {batch}"] * (batch > 1)
        if dtype.itemsize > 2:
            remedies.append("model.dtype bfloat16")
        raise NotEnoughMemory(
            f"{what}: out of memory; {' or '.join(remedies) or 'a shorter prompt'} needs less"
        ) from None


def batches(count: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most `size` that cover range(count)."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def peak_memory(device: torch.device) -> int:
    """Peak bytes so far: on the GPU since the method began, on the CPU of the whole process since it started."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _process_peak()


def _process_peak() -> int:
    """Peak resident bytes of this process; its present ones where the system keeps no peak."""
    try:
        import resource
    except ImportError:  # Windows
        memory = psutil.Process().memory_info()
        return int(getattr(memory, "peak_wset", memory.rss))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kibibytes but on macOS
