"""Temporary seeding of the global random generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of torch and NumPy within the context; restore the caller's state after it."""
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    numpy_state = np.random.get_state()
    with torch.random.fork_rng(gpus):
        torch.default_generator.manual_seed(seed)
        if gpus:
            torch.cuda.manual_seed_all(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
