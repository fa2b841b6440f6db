"""Findings of a run as sentences: templates filled with its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from attrib.benchmarks.export.examples import choice, short
from attrib.benchmarks.export.figures.captions import counted
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.stats.multiple import ALPHA
from attrib.benchmarks.tables.matrix import Column, columns_of
from attrib.benchmarks.trace.kept import finding_of
from attrib.render.text import abbreviated, isolated

MOST_NAMES, MOST_TASKS, TASK_LETTERS = 6, 3, 90


def headline(numbers: Numbers) -> list[str]:
    """Main findings: comparison with the controls, and the share of videos in which maps beat their null."""
    return [*_against_controls(numbers), *_general(numbers)]


def findings(numbers: Numbers) -> list[str]:
    """All other findings."""
    return [
        *_best(numbers), *_not_general(numbers), *_below(numbers), *_answers(numbers), *_agreement(numbers),
        *_sanity(numbers), *filter(None, [finding_of(numbers.run.directory)]),
    ]  # fmt: skip


def listed(names: Sequence[str]) -> str:
    """List in words: `a`, `a and b`, `a, b and c`; long lists end with the number of others."""
    if len(names) > MOST_NAMES:
        names = [*names[: MOST_NAMES - 1], f"{len(names) - MOST_NAMES + 1} others"]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def ranged(value: float, low: float, high: float, signed: bool = False) -> str:
    """Value with interval: `.83 [.71, .92]`, or `.83` without one."""
    first = f"+{short(value)}" if signed and value > 0 else short(value)
    return first if np.isnan(low) or np.isnan(high) else f"{first} [{short(low)}, {short(high)}]"


def methods_of(numbers: Numbers, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of methods, without controls and bounds."""
    return rows[[numbers.kind(str(name)) == "method" for name in rows["method"]]]


def _against_controls(numbers: Numbers) -> Iterator[str]:
    """Yield which methods beat every control, after Holm over the primary metrics."""
    rows = numbers.leaderboard
    if "p_holm" not in rows or not len(tested := methods_of(numbers, rows[rows["p_holm"].notna()])):
        yield "No method could be tested against the controls: there are none, or no primary metric has values."
        return
    size = f"Holm over {len(rows[rows['p_holm'].notna()])} hypotheses, {counted(numbers.videos, 'video')}"
    winners = tested[tested["p_holm"] < ALPHA]
    if len(winners):
        where = {method: listed([column.title for column in columns_of(part)])
                 for method, part in winners.groupby("method", sort=False)}  # fmt: skip
        pairs = listed([f"{method} (on {titles})" for method, titles in where.items()])
        yield f"Better than every control ({size}, p < {short(ALPHA)}): {pairs}."
        return
    yield f"No method is better than every control on any primary metric ({size}).{_nearest(numbers, tested)}"


def _nearest(numbers: Numbers, tested: pd.DataFrame) -> str:
    """Method with the smallest p, and the number of videos that an uncorrected test would need if the run has fewer."""
    known = tested.dropna(subset=["p", "difference"])
    known = known[known["difference"] > 0]
    if known.empty or numbers.videos == 1:
        return ""
    known = known.sort_values("p", kind="stable")
    row, column = known.iloc[0], columns_of(known)[0]
    need = _needed(numbers, row, column)
    gap = ranged(row["difference"], row["difference_low"], row["difference_high"], signed=True)
    more = f"; a single test would need about {need} videos to detect that" if need and need > row["videos"] else ""
    return f" Nearest: {row['method']} on {column.title}, {gap} over {row['control']}{more}."


def _needed(numbers: Numbers, row: pd.Series, column: Column) -> int | None:
    table = numbers.run.table("differences")
    if table is None or "videos_needed" not in table:
        return None
    rows = column.of(table[table["subset"] == "all"])
    found = rows.loc[(rows["method"] == row["method"]) & (rows["control"] == row["control"]), "videos_needed"]
    return int(found.iloc[0]) if len(found) and np.isfinite(found.iloc[0]) else None


def _best(numbers: Numbers) -> Iterator[str]:
    """Yield the best method of each column and the best control."""
    for column in numbers.columns:
        leaders = numbers.leading(column, 1)
        if not leaders:
            continue
        row = numbers.of(column).loc[leaders[0]]
        equal = int((methods_of(numbers, numbers.of(column).reset_index())["mean"] == row["mean"]).sum()) - 1
        others = f" (and {counted(equal, 'other')})" if equal else ""
        text = f"{column.title}: {leaders[0]}{others} is best with {ranged(row['mean'], row['low'], row['high'])}"
        if row["control"] == row["control"]:
            gap = ranged(row["difference"], row["difference_low"], row["difference_high"], signed=True)
            told = _told_apart(row)
            text += f"; the best control, {row['control']}, reaches {short(row['control_mean'])} ({gap}{told})"
        yield f"{text}, n = {int(row['videos'])}."


def _told_apart(row: pd.Series) -> str:
    if np.isnan(row["difference_low"]):
        return ", without an interval"
    return "" if row["difference_low"] > 0 or row["difference_high"] < 0 else ", no clear difference"


def _general(numbers: Numbers) -> Iterator[str]:
    """Yield the share of videos in which the map beats its null, and the number of tasks with more than half."""
    found = _own_tasks(numbers)
    if found is None:
        yield "Generality is unknown: no map was scored on the annotation of enough other videos of its task."
        return
    method, column, own = found
    share = numbers.share(numbers.generality(column))
    whole = _whole(numbers, column, method, share.column)
    control = numbers.best_control(column)
    other = _whole(numbers, column, control, share.column) if control else ""
    against = f"; {control}, the best control, in {other}" if other else ""
    most = int((own[share.column] > 0.5).sum())
    yield (
        f"The map of {method} beats its null on {column.title} ({share.words}) in {whole or 'an unknown share'} of the "
        f"videos{against} (chance {short(share.chance)}). It does so in more than half of the videos of {most} of "
        f"{counted(len(own), 'task')}, in all of them in {int((own[share.column] == 1).sum())}."
    )


def _own_tasks(numbers: Numbers) -> tuple[str, Column, pd.DataFrame] | None:
    """Method by which examples are selected, metric of its generality, and its rows by task."""
    by = choice(numbers)
    if by is None or not numbers.chosen:
        return None
    column = by.column if by.column in numbers.chosen else numbers.chosen[0]
    rows = numbers.generality(column)
    own = rows[rows["method"] == by.method]
    return None if own.empty else (by.method, column, own)


def _not_general(numbers: Numbers) -> Iterator[str]:
    """Yield the tasks in which the map beats its null in half of the videos or fewer."""
    found = _own_tasks(numbers)
    if found is None:
        return
    method, column, own = found
    name = numbers.share(numbers.generality(column)).column
    worst = own[own[name] <= 0.5].sort_values([name, "group"], kind="stable")
    if len(worst):
        tasks = [f"“{_short_task(row.group)}” ({_count(getattr(row, name), row)})" for row in worst.itertuples()]
        told = listed(tasks[:MOST_TASKS]) + _more(len(tasks) - MOST_TASKS)
        yield f"The map of {method} beats its null in half of the videos or fewer of {told}."


def _short_task(text: str) -> str:
    return isolated(abbreviated(text, TASK_LETTERS))


def _more(count: int) -> str:
    return f" and {counted(count, 'other task')}" if count > 0 else ""


def _count(share: float, row: object) -> str:
    tested = getattr(row, "tested", None)
    videos = int(tested if tested == tested and tested is not None else getattr(row, "videos", 0))
    return f"{round(share * videos)} of {videos}"


def _whole(numbers: Numbers, column: Column, method: str, name: str) -> str:
    """Share over all videos with its interval and n; empty if the run does not have it."""
    rows = numbers.generality(column, "all")
    rows = rows[rows["method"] == method] if len(rows) else rows
    if rows.empty:
        return ""
    row = rows.iloc[0]
    tested = int(row["tested"] if "tested" in rows and row["tested"] == row["tested"] else row["videos"])
    return f"{ranged(row[name], row[f'{name}_low'], row[f'{name}_high'])} (n = {tested})"


def _below(numbers: Numbers) -> Iterator[str]:
    """Yield the methods that are never above the best control."""
    never = []
    for method in (name for name in numbers.order if numbers.kind(name) == "method"):
        gaps = [numbers.of(column)["difference"].get(method, np.nan) for column in numbers.columns]
        known = [gap for gap in gaps if gap == gap]
        if known and max(known) <= 0:
            never.append(method)
    if never:
        yield f"Not above the best control on any of these metrics: {listed(never)}."


def _answers(numbers: Numbers) -> Iterator[str]:
    """Yield the number of correct answers, and the leading method's score for correct and wrong ones."""
    count = numbers.tally
    unknown = count.samples - count.judged
    others = f" For the other {unknown} the correct answer is not known." if unknown > 0 else ""
    if count.judged:
        asked = counted(count.judged, "question")
        yield f"The model answers {count.correct} of {asked} correctly.{others}{_gate(numbers)}"
    else:
        yield f"The correct answers are not known.{_gate(numbers)}"
    by, rows = choice(numbers), numbers.task_rows
    if by is None or rows is None:
        return
    part = by.column.of(rows[(rows["kind"] == "all") & (rows["method"] == by.method)])
    part = part.drop_duplicates("split").set_index("split")
    if {"right", "wrong"}.issubset(part.index):
        told = [f"{ranged(part.loc[name, 'mean'], part.loc[name, 'low'], part.loc[name, 'high'])} of {name} answers "
                f"(n = {int(part.loc[name, 'videos'])})" for name in ("right", "wrong")]  # fmt: skip
        yield f"{by.column.title} of {by.method}: {told[0]}, {told[1]}."


def _gate(numbers: Numbers) -> str:
    count = numbers.tally
    if not count.tested:
        return ""
    return f" For {count.passed} of {count.tested} it is right on the evidence alone and not without it (the gate)."


def _agreement(numbers: Numbers) -> Iterator[str]:
    """Yield the rank correlation of faithfulness and alignment."""
    table, one, two = numbers.run.table("agreement"), numbers.faithfulness, numbers.alignment
    if table is None or one is None or two is None or "one" not in table:
        return
    names = {" ".join(filter(None, column[:2])) for column in (one, two)}
    same = table[[{str(row.one), str(row.two)} == names for row in table.itertuples()]]
    if len(same) and same["statistic"].iloc[0] == same["statistic"].iloc[0]:
        row = same.iloc[0]
        yield (
            f"The rankings by faithfulness and alignment have a Spearman correlation of {short(row['statistic'])} "
            f"({one.title} and {two.title}, {int(row['methods'])} rows)."
        )


def _sanity(numbers: Numbers) -> Iterator[str]:
    """Yield the methods whose maps stay the same for a randomised model."""
    table = numbers.run.table("sanity")
    if table is None or not {"method", "part", "verdict", "videos"}.issubset(table.columns):
        return
    rows = methods_of(numbers, table)
    if rows.empty:
        return
    videos = int(rows["videos"].max())
    failed = rows[rows["verdict"] == "fail"].groupby("method", sort=False)["part"].agg(list)
    if len(failed):
        names = listed([f"{method} (parameters of {listed(parts)} randomised)" for method, parts in failed.items()])
        yield f"The sanity check fails (the map hardly changes) for {names}; {counted(videos, 'video')}."
    unknown = len(set(rows.loc[rows["verdict"] == "undefined", "method"]).difference(failed.index))
    passed = rows.groupby("method")["verdict"].agg(lambda verdicts: (verdicts == "pass").all()).sum()
    left = f", and cannot be judged for {unknown} ({counted(videos, 'video')})" if unknown else ""
    good = counted(int(passed), "method")
    yield f"The sanity check (the map must change when the model's parameters are randomised) passes for {good}{left}."
