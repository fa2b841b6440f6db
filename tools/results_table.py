"""The table of docs/results.md, from a run with sanity checks: `python -m tools.results_table runs/methods`.

Means over all questions with their 95 % intervals over videos, as leaderboard.csv has them, and sanity.csv's verdicts.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import pandas as pd

COLUMNS = (
    "srg blur", "flip_rate blur", "synergy blur", "counterfactual_deletion", "target_sensitivity", "shuffled_auc",
    "object_auc", "object_auc_corrected", "segment_shuffled_auc", "max_sensitivity",
)  # fmt: skip
PARTS = {"language": "the language model", "vision": "the vision encoder", "both": "both"}


def cell(row: pd.Series) -> str:
    """Mean and interval of a row of the leaderboard, or `undefined`."""
    if math.isnan(row["mean"]):
        return "undefined"
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['mean']:.2f}{interval}"


def heading(column: str) -> str:
    """Return the column's metric in code letters, with its imputer in brackets."""
    metric, _, imputer = column.partition(" ")
    return f"`{metric}`" + f" ({imputer})" * bool(imputer)


def sanity(verdicts: pd.Series) -> str:
    """`pass`, `fail`, or on which parts the method fails; `undefined` without a verdict on any part."""
    failed = [part for part, verdict in verdicts.items() if verdict == "fail"]
    if not failed:
        return "pass" if (verdicts == "pass").any() else "undefined"
    if len(failed) == len(verdicts):
        return "fail"
    return "fails on " + " and ".join(PARTS[str(part)] for part in failed)


def table(run: Path) -> list[str]:
    """Return the lines of the table; metrics that the run lacks have no column."""
    board = pd.read_csv(run / "leaderboard.csv").query("subset == 'all'")
    column = board["metric"].str.cat(board["imputer"], sep=" ", na_rep="").str.strip()
    cells = board.assign(column=column, cell=board.apply(cell, axis=1)).pivot(
        index="method", columns="column", values="cell"
    )
    names = [name for name in COLUMNS if name in cells.columns]
    order = board["method"].drop_duplicates()
    verdicts = pd.read_csv(run / "sanity.csv").pivot(index="method", columns="part", values="verdict")[[*PARTS]]
    chances = board.groupby(column)["chance"].mean()
    rows = []
    for method in order:
        verdict = sanity(verdicts.loc[method]) if method in verdicts.index else "undefined"
        rows.append([f"`{method}`", *(str(cells.at[method, name]) for name in names), verdict])
    chance = ["" if math.isnan(chances[name]) else f"{chances[name]:.2f}" for name in names]
    aligned = ["---", *["---:"] * len(names), "---"]
    lines = [["method", *map(heading, names), "sanity"], aligned, *rows, ["chance", *chance, ""]]
    return [f"| {' | '.join(line)} |" for line in lines]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    print("\n".join(table(parser.parse_args().run)))


if __name__ == "__main__":
    main()
