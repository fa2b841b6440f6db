"""Ten rows of docs/results.md for the README: `python -m tools.readme_table` writes them there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrib.runtime.files import write_text

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- ten rows of docs/results.md -->", "<!-- end of the rows -->"
ROWS = (
    "integrated_gradients", "relevance", "attention_gradient", "raw_attention", "attention_rollout", "grad_cam",
    "motion", "centre", "random", "oracle",
)  # fmt: skip
COLUMNS = ("`srg` (blur)", "`object_auc`", "`shuffled_auc`", "`target_sensitivity`", "sanity")


def cells(line: str) -> list[str]:
    """Split a line of a table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def rows(results: str) -> Iterator[str]:
    """Yield the lines of the README's table from those of the first table of docs/results.md that has its columns."""
    tables = [table.splitlines() for table in re.findall(r"(?:^\|.*\|\n)+", results, re.MULTILINE)]
    head, align, *lines = next(table for table in tables if {"method", *COLUMNS} <= {*cells(table[0])})
    places = [cells(head).index(column) for column in ("method", *COLUMNS)]
    by_method = {cells(line)[0].strip("`"): line for line in lines}
    for line in (head, align, *(by_method[name] for name in ROWS)):
        yield f"| {' | '.join(cells(line)[place] for place in places)} |"


def with_rows(readme: str, results: str) -> str:
    """Return the README with the rows of these results."""
    begin, end = readme.index(BEGIN) + len(BEGIN), readme.index(END)
    return "\n".join([readme[:begin], "", *rows(results), "", readme[end:]])


def main() -> None:
    """Write the rows into the README."""
    readme = ROOT / "README.md"
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    write_text(readme, with_rows(readme.read_text(encoding="utf-8"), results))


if __name__ == "__main__":
    main()
