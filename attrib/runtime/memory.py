"""Memory use: batch sizes that shrink until they fit, errors that suggest how to need less, peak memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import torch
from torch import Tensor

from attrib.errors import NotEnoughMemory


class BatchSize:
    """Batch size that starts at `size` and is halved permanently whenever memory is not enough."""

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, count: int, work: Callable[[slice], Tensor]) -> Iterator[Tensor]:
        """Yield the results of `work` on consecutive slices of range(count).

        Raises the errors of `work`, but out-of-memory errors only if even a single item does not fit.
        """
        done = 0
        while done < count:
            batch = slice(done, min(done + self.size, count))
            result = self._try(batch, work)
            if result is not None:
                yield result
                done = batch.stop

    def _try(self, batch: slice, work: Callable[[slice], Tensor]) -> Tensor | None:
        """Return the result, or halve the size and return None if memory was not enough."""
        count = batch.stop - batch.start
        try:
            return work(batch)
        except Exception as error:
            if count == 1 or not out_of_memory(error):
                raise
        torch.cuda.empty_cache()  # here the error no longer references tensors; does nothing without a GPU
        self.size = max(1, count // 2)
        return None


def out_of_memory(error: BaseException) -> bool:
    """Return whether the error means lack of memory, in Python, in torch on the CPU, or in torch on a GPU."""
    refused = "can't allocate memory" in str(error) or "not enough memory" in str(error)
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError) and refused
    )  # fmt: skip


@contextmanager
def fitting(dtype: torch.dtype, what: str, frames: int, batch: int = 1) -> Iterator[None]:
    """Turn out-of-memory errors within the context into NotEnoughMemory that names `what` and what would need less."""
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        torch.cuda.empty_cache()  # does nothing without a GPU
        remedies = [f"fewer frames than {frames}"] * (frames > 1) + [f"a smaller batch than {batch}"] * (batch > 1)
        if dtype.itemsize > 2:
            remedies.append("model.dtype bfloat16")
        raise NotEnoughMemory(
            f"{what}: out of memory; {' or '.join(remedies) or 'a shorter prompt'} needs less"
        ) from None


def batches(count: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of at most `size` that cover range(count)."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def bytes_text(count: int) -> str:
    """Return a number of bytes as `4.6 MiB` or `1.2 GiB`."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def peak_memory(device: torch.device) -> int:
    """Peak bytes so far: of the GPU since its statistics were reset, or of this process since it started."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _process_peak()


def _process_peak() -> int:
    """Peak resident bytes of this process; its current ones if the system records no peak."""
    try:
        import resource
    except ImportError:  # Windows
        memory = psutil.Process().memory_info()
        return int(getattr(memory, "peak_wset", memory.rss))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kibibytes, except on macOS
