"""Tables that fit a terminal: names are shortened and columns go to a further table, so that no number is broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

NAME = 13  # characters that names keep before a column goes to a further table


class StackedColumn(NamedTuple):
    """Column of numbers: the lines of its header, a cell for each row, and the blanks before it."""

    header: Sequence[str]
    cells: Sequence[Text]
    gap: int = 2

    @property
    def width(self) -> int:
        """Width in characters, with the gap before it."""
        return self.gap + max(*(len(line) for line in self.header), *(len(cell) for cell in self.cells), 0)


def stacked(
    title: str, names: Sequence[Text], columns: Sequence[StackedColumn], width: int, ruled: int = 0
) -> list[Table]:
    """Return tables of at most `width` characters, the columns spread over them in their order.

    `title` stands over the names; the last `ruled` rows are set apart. A table is wider only where a single column is.
    """
    longest = max((len(name) for name in [Text(title), *names]), default=0)
    groups = _groups(columns, width - min(longest, NAME))
    return [_table(title, names, group, width, len(names) - ruled) for group in groups]


def _groups(columns: Sequence[StackedColumn], room: int) -> list[list[StackedColumn]]:
    """Group the columns so that groups are at most `room` characters wide, or hold a single column."""
    groups: list[list[StackedColumn]] = []
    left = 0
    for column in columns:
        if not groups or column.width > left:
            groups.append([])
            left = room
        groups[-1].append(column)
        left -= column.width
    return groups


def _table(title: str, names: Sequence[Text], columns: Sequence[StackedColumn], width: int, rows: int) -> Table:
    room = max(width - sum(column.width for column in columns), NAME)
    table = Table(box=None, padding=0, header_style="bold")
    table.add_column(shortened(title, room), no_wrap=True)
    for column in columns:
        table.add_column("\n".join(column.header), justify="right", no_wrap=True, min_width=column.width)
    short = distinct([name.plain for name in names], room)
    for index, (name, text) in enumerate(zip(names, short, strict=True)):
        cells = (column.cells[index] for column in columns)
        table.add_row(Text(text, style=name.style), *cells, end_section=index == rows - 1)
    return table


def shortened(name: str, room: int) -> str:
    """Return the name, cut at its end with an ellipsis where it is longer than `room` characters."""
    return name if len(name) <= room else name[: max(room - 1, 0)] + "…"


def distinct(names: Sequence[str], room: int) -> list[str]:
    """Shorten the names to `room` characters; those that would look the same are cut in the middle."""
    ends = [shortened(name, room) for name in names]
    tail = room // 2
    return [
        name[: room - tail - 1] + "…" + name[-tail:] if end != name and ends.count(end) > 1 else end
        for name, end in zip(names, ends, strict=True)
    ]
