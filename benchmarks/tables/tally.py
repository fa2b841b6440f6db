"""Counts of a run's samples: answered correctly, held to the gate, passed."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd


class Tally(NamedTuple):
    """How many samples there are, how many the model answers correctly, how many were held to its gate and passed."""

    samples: int
    correct: int
    tested: int
    passed: int
    judged: int  # whose right answer is known


def tally(results: pd.DataFrame) -> Tally:
    """Counted over samples; what a failed item does not know another item of the sample does."""
    known = results.groupby("sample")[["correct", "gated"]].first()
    right, passed = int(known["correct"].sum()), int(known["gated"].sum())
    judged, tested = (int(known[name].notna().sum()) for name in ("correct", "gated"))
    return Tally(len(known), right, tested, passed, judged)
