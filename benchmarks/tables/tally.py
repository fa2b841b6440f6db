"""Counts of a run's samples: answered correctly, held to the gate, passed."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd


class Tally(NamedTuple):
    """Numbers of samples: all, answered correctly, held to the gate, passed, and with a known right answer."""

    samples: int
    correct: int
    tested: int
    passed: int
    judged: int


def tally(results: pd.DataFrame) -> Tally:
    """Count samples; where a failed row of a sample lacks a flag, another row of the sample has it."""
    known = results.groupby("sample")[["correct", "gated"]].first()
    right, passed = int(known["correct"].sum()), int(known["gated"].sum())
    judged, tested = (int(known[name].notna().sum()) for name in ("correct", "gated"))
    return Tally(len(known), right, tested, passed, judged)
