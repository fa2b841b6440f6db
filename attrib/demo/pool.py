"""Worker processes for drawing, one for each core with one thread each, and how far they have got."""

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
    """A pool whose workers begin anew, so that they inherit no locks and no threads."""
    return ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"), initializer=_single)


def progress(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """The items, with a bar on the terminal while they come; nothing is shown where there is no terminal."""
    console = Console(stderr=True)
    yield from track(items, what, total, console=console, transient=True, disable=not console.is_terminal)


def _single() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
