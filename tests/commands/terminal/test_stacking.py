from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attrib.commands.terminal.stacking import NAME, StackedColumn, distinct, shortened, stacked

NUMBERS = "+0.33 [+0.19, +0.48]"


def lines(tables: list[Table], width: int) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", [40, 64, 80, 100, 300])
def test_numbers_stay_whole_and_names_are_cut(width: int) -> None:
    names = [Text("attention_gradient"), Text("grad_cam")]
    columns = [StackedColumn([f"floor {place}"], [Text(NUMBERS)] * 2) for place in range(5)]
    tables = stacked("method", names, columns, width)
    shown = lines(tables, width)
    assert sum(line.count(NUMBERS) for line in shown) == 10, "rich would fold or cut them"
    assert max(len(line) for line in shown) <= width
    assert len(shown) == 3 * len(tables)
    for table in tables:
        own = lines([table], width)
        assert own[0].startswith("method") and own[1][:8] == "attentio" and own[2].startswith("grad_cam")
        room = max(width - 22 * own[1].count(NUMBERS), NAME)
        assert ("attention_gradient" in own[1]) == (room >= 18)


def test_a_table_takes_as_many_columns_as_it_has_room_for() -> None:
    """Each takes 22 characters, and the names at least 13: 100 hold 3, 101 hold 4."""
    columns = [StackedColumn(["x"], [Text(NUMBERS)])] * 5
    for width, counts in ((99, [3, 2]), (100, [3, 2]), (101, [4, 1]), (123, [5]), (20, [1] * 5)):
        tables = stacked("method", [Text("integrated_gradients")], columns, width)
        assert [len(table.columns) - 1 for table in tables] == counts, width


def test_names_that_would_look_the_same_are_cut_in_the_middle() -> None:
    assert shortened("attention_rollout", 10) == "attention…"
    assert distinct(["attention_rollout", "attention_gradient", "motion"], 10) == ["atte…llout", "atte…dient", "motion"]
    assert distinct(["attention_rollout", "attention_gradient"], 12) == ["attention_r…", "attention_g…"]
    assert distinct(["short", "short"], 12) == ["short", "short"]
