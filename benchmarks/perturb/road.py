"""Linear imputation of removed cells from those around them, in the frame and one frame before and after.

A removed cell is the weighted mean of its neighbours, removed ones included: one sparse linear system for each version.
Weights are those of Rong et al. 2022 (ROAD, arXiv 2202.00449): 2 to a direct neighbour, 1 to a diagonal one; here the
same cell of the frame before and of the frame after are direct neighbours too. At the border what is not there does not
count.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

Shape = tuple[int, int, int]


def between(colours: NDArray[np.float64], removed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Colours (t, rows, columns, 3) with those of the removed cells (t, rows, columns) imputed; one must be kept."""
    weights = neighbours(removed.shape)
    gone = removed.ravel()
    found = colours.reshape(-1, colours.shape[-1]).copy()
    if gone.any():
        rows = weights[gone]
        totals = sparse.diags_array(np.asarray(rows.sum(axis=1)).ravel())
        solved = spsolve((totals - rows[:, gone]).tocsc(), rows[:, ~gone] @ found[~gone])
        found[gone] = solved.reshape(-1, colours.shape[-1])
    return found.reshape(colours.shape)


@lru_cache(maxsize=4)
def neighbours(shape: Shape) -> Any:
    """The weight of each cell for each other, a sparse symmetric (n, n) matrix over flat cell numbers."""
    numbers = np.arange(np.prod(shape)).reshape(shape)
    weights = sparse.coo_array((numbers.size, numbers.size))
    for step in product((-1, 0, 1), repeat=3):
        distance = sum(map(abs, step))
        if distance == 1 or (distance == 2 and step[0] == 0):
            here, there = (numbers[tuple(map(_inside, step, shape, (sign,) * 3))].ravel() for sign in (1, -1))
            weight = np.full(len(here), 3.0 - distance)
            weights = weights + sparse.coo_array((weight, (here, there)), shape=weights.shape)
    return sparse.csr_array(weights)


def _inside(step: int, size: int, sign: int) -> slice:
    """The places along one axis that have a neighbour `step` away; with sign -1 these neighbours."""
    away = step * sign
    return slice(max(0, -away), size - max(0, away))
