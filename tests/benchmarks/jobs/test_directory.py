from __future__ import annotations

import pandas as pd
import pytest

from attrib.benchmarks.jobs import directory
from attrib.benchmarks.jobs.directory import COLUMNS, ResultRows


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_rows_turned_into_tables_as_they_come_are_those_turned_at_once(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"sample": f"s{index}", "metric": "mass", "imputer": None if index % 2 else "blur",
         "value": None if index == 3 else index / 2, "correct": (True, False, None)[index % 3], "peak_memory": index}
        for index in range(count)
    ]  # fmt: skip
    monkeypatch.setattr(directory, "ROWS_AT_ONCE", 3)
    parts = ResultRows()
    for at in range(0, count, 2):
        parts.add(rows[at : at + 2])
    assert len(parts._rows) < 3
    pd.testing.assert_frame_equal(parts.table(), pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS))
