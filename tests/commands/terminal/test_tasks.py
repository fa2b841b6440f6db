from __future__ import annotations

import pandas as pd
from rich.console import Console

from attrib.benchmarks.jobs.roles import Roles
from attrib.commands.terminal.tasks import MOST, task_tables

ROLES = Roles(frozenset({"plain"}), frozenset({"oracle"}))


def rows(*given: tuple[str, str, str, float, int, float, float], chance: float = 0.05) -> pd.DataFrame:
    """Rows of tasks.csv from (task, method, metric, mean, tested, beats, above)."""
    names = ["group", "method", "metric", "mean", "tested", "beats", "above"]
    found = pd.DataFrame(given, columns=names).assign(
        kind="task", split="all", null="pairing", beats_chance=chance, direction="high"
    )
    found["direction"] = found["direction"].where(found["metric"] != "late", "low")
    return found.assign(videos=found["tested"])


def printed(tasks: pd.DataFrame, tasks_shown: int = 2) -> list[str]:
    """The table's lines, and what stands below them as one."""
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for table in task_tables(tasks, ROLES):
        console.print(table)
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    return [*lines[: tasks_shown + 1], " ".join(lines[tasks_shown + 1 :])]


TWO = (
    ("[red]x", "good", "mass", 0.8, 4, 0.75, 1.0), ("[red]x", "poor", "mass", 0.3, 4, 0.25, 0.5),
    ("[red]x", "plain", "mass", 0.9, 4, 0.0, 0.0), ("[red]x", "oracle", "mass", 1.0, 4, 1.0, 1.0),
    ("y", "good", "mass", 0.2, 6, 0.0, 0.5), ("y", "poor", "mass", 0.4, 6, 0.5, 1.0),
    ("y", "good", "late", 0.1, 6, 0.5, 0.5), ("y", "poor", "late", 0.4, 6, 0.0, 0.0),
)  # fmt: skip


def test_the_best_method_of_each_task_but_for_controls_and_bounds() -> None:
    head, first, second, note = printed(rows(*TWO))
    assert head.split() == ["task", "mass", "late"]
    assert first.split() == ["y", "poor", "0.40", "3/6", "good", "0.10", "3/6"], "most videos first; late is best low"
    assert second.split() == ["[red]x", "good", "0.80", "3/4", "undefined"]
    assert note == "Best method, mean, and in how many of the tested videos its map beats its null."


def test_where_partners_are_too_few_it_counts_those_above_the_middle_and_says_so() -> None:
    _, first, second, note = printed(rows(*TWO, chance=0.0))
    assert first.split()[:4] == ["y", "poor", "0.40", "6/6"]
    assert second.split()[:4] == ["[red]x", "good", "0.80", "4/4"]
    assert "too few" in note


def test_only_so_many_tasks_are_shown_and_the_others_counted() -> None:
    many = rows(*((f"t{place:02}", "good", "mass", 0.5, 4, 0.5, 0.5) for place in range(MOST + 2)))
    lines = printed(many, MOST)
    assert [line.split()[0] for line in lines[1 : MOST + 1]] == [f"t{place:02}" for place in range(MOST)]
    assert "2 more tasks" in lines[-1]


def test_one_task_or_no_nulls_give_no_table() -> None:
    assert task_tables(rows(*TWO[:4]), ROLES) == []
    assert task_tables(rows(*TWO).assign(null=None), ROLES) == []
    assert task_tables(rows(*TWO).assign(kind="area"), ROLES) == []
