"""How many items go through a model at once: a number that finds itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from attrib.errors import out_of_memory


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
