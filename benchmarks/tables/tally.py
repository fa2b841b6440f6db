"""Counts of a run's samples (answered correctly, held to the gate, passed), and what limits its answers and values."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from attrib.explaining.binding import LEAST_MASS


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


def letter_masses(results: pd.DataFrame) -> pd.Series:
    """Return the share of the probability on the option letters by sample, of the samples that have one."""
    if "letter_mass" not in results:
        return pd.Series(dtype="float64")
    return results.groupby("sample")["letter_mass"].first().dropna()


def no_choices(results: pd.DataFrame) -> str:
    """Return a warning if the option letters have too little of the probability in any answer; empty if not."""
    masses = letter_masses(results)
    few = int((masses < LEAST_MASS).sum())
    if not few:
        return ""
    return (
        f"{few} of {len(masses)} answers are no choice among the options: their letters have less than "
        f"{LEAST_MASS:.0%} of the model's probability (column letter_mass)"
    )


def undefined_reason(results: pd.DataFrame) -> str:
    """Return why every value of the run is undefined, by the most frequent reason; empty if any value is defined."""
    scores = results[results["metric"] != ""]
    reasons = scores.loc[scores["value"].isna() & (scores["reason"] != ""), "reason"]
    if scores["value"].notna().any() or reasons.empty:
        return ""
    counts = reasons.value_counts()
    share = "" if len(counts) == 1 else f" ({counts.iloc[0]} of {len(scores)} values)"
    return f"every value is undefined: {counts.index[0]}{share}"
