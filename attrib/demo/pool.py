"""Worker processes for drawing: one for each core, one thread each."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import torch


def workers() -> ProcessPoolExecutor:
    """A pool whose workers begin anew, so that they inherit no locks and no threads."""
    return ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"), initializer=_single)


def _single() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
