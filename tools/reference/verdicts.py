"""Statements: which methods beat every control after Holm, by how much, and where imputers and metrics disagree."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from attrib.benchmarks.tables.matrix import Column
from tools.reference.scores import ReferenceRun, table
from tools.reference.text import counted, gain, heading, listed, number
from tools.reference.text import table as lines_of


def gains(one: ReferenceRun) -> list[str]:
    """Table of every tested row's difference to the best control, bold where it beats every control."""
    rows = {column: one.of(column) for column in one.columns}
    cells = [
        [f"`{method}`", *(_cell(rows[column], method) for column in one.columns)]
        for method in one.methods
        if any(method in tested.index for tested in rows.values())
    ]
    return lines_of(["method", *map(heading, one.columns)], cells)


def _cell(rows: pd.DataFrame, method: str) -> str:
    if method not in rows.index:
        return ""
    row = rows.loc[method]
    return f"**{gain(row)}**" if row["beats"] else gain(row)


def winners(one: ReferenceRun) -> Iterator[str]:
    """Yield for each primary metric which methods beat every control, and by how much the best of them."""
    for column in one.columns:
        rows = one.of(column)
        winning = rows[rows["beats"]]
        beat = "beats" if len(winning) == 1 else "beat"
        of = f"{heading(column)}: {len(winning)} of {counted(len(rows), 'method')} {beat} every control"
        if len(winning):
            first = winning.iloc[0]
            by = f"{gain(first)} over `{first['control']}`"
            yield f"{of}: {listed(winning.index)}. The best of them is `{first.name}`, by {by}."
            continue
        nearest = rows.sort_values("p_holm", kind="stable").iloc[0]
        yield (
            f"{of}. The nearest to it is `{nearest.name}`, whose difference to `{nearest['control']}` is "
            f"{gain(nearest)} (p after Holm {number(nearest['p_holm'])})."
        )
    never = [method for method in one.methods if not one.tested.query("method == @method")["beats"].any()]
    yield f"Better than every control on no primary metric: {listed(never)}."


def disagreements(one: ReferenceRun) -> Iterator[str]:
    """Yield each method that leads on primary metrics and beats every control there, and not on others."""
    for leader, led in _leaders(one).items():
        rows = {column: one.of(column).loc[leader] for column in one.columns if leader in one.of(column).index}
        others = [
            f"{heading(column)} ({gain(row)} to `{row['control']}`)" for column, row in rows.items() if not row["beats"]
        ]
        if others:
            yield (
                f"`{leader}` leads on {', '.join(map(heading, led))} and beats every control there, but not on "
                f"{', '.join(others)}."
            )


def _leaders(one: ReferenceRun) -> dict[str, list[Column]]:
    """Return the primary metrics that each method leads and beats every control on."""
    found: dict[str, list[Column]] = {}
    for column in one.columns:
        leading = one.of(column)
        if leading["beats"].iloc[0]:
            found.setdefault(str(leading.index[0]), []).append(column)
    return found


def imputers(one: ReferenceRun) -> Iterator[str]:
    """Yield how alike two imputers rank the rows: on the primary metrics, and where they agree least."""
    rows = table(one.run, "agreement").query("kind == 'imputers' and statistic.notna()")
    for (first, second), pair in rows.groupby(["one", "two"], sort=False):
        least = pair.sort_values("statistic", kind="stable").iloc[0]
        primary = pair[pair["metric"].isin(one.run.metrics.primary) & (pair["metric"] != least["metric"])]
        stated = "".join(f"{number(row['statistic'])} on `{row['metric']}`, " for _, row in primary.iterrows())
        yield (
            f"Rank correlation (Spearman) of all rows, controls included, under {first} and {second}: {stated}"
            f"{number(least['statistic'])} on `{least['metric']}`, where it is lowest."
        )


def opposed(one: ReferenceRun, other: ReferenceRun, column: Column) -> Iterator[str]:
    """Yield each method whose interval lies above its best control with one model and below it with the other."""
    here, there = one.of(column), other.of(column)
    for method in [method for method in here.index if method in there.index]:
        first, second = here.loc[method], there.loc[method]
        if first["difference_low"] > 0 > second["difference_high"] or (
            second["difference_low"] > 0 > first["difference_high"]
        ):
            yield (
                f"{heading(column)} of `{method}` turns over: {gain(first)} to the best control with `{one.model}`, "
                f"{gain(second)} with `{other.model}`."
            )
