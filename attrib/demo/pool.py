"""Pool of worker processes, one single-threaded process per core, and a progress bar."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import cv2
import torch
from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def workers() -> ProcessPoolExecutor:
    """Return a pool of spawned processes, which inherit no locks or threads."""
    return ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"), initializer=_single)


def progress(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yield the items, with a progress bar if stderr is a terminal."""
    console = Console(stderr=True)
    yield from track(items, what, total, console=console, transient=True, disable=not console.is_terminal)


def _single() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
