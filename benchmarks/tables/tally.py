"""Counts of a run's samples (answered correctly, held to the gate, passed), and why no value is defined."""

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


def undefined_reason(results: pd.DataFrame) -> str:
    """Return why every value of the run is undefined, by the most frequent reason; empty if any value is defined."""
    scores = results[results["metric"] != ""]
    reasons = scores.loc[scores["value"].isna() & (scores["reason"] != ""), "reason"]
    if scores["value"].notna().any() or reasons.empty:
        return ""
    counts = reasons.value_counts()
    share = "" if len(counts) == 1 else f" ({counts.iloc[0]} of {len(scores)} values)"
    return f"every value is undefined: {counts.index[0]}{share}"
