"""Pages of settings, files and columns: they have each that the code has, and no other."""

from __future__ import annotations

import re

from attrib.benchmarks.jobs import directory
from attrib.config import Config, FloorsSection, ModelSection, SanitySection
from tools.pages import columns, outputs, settings


def names(page: str) -> list[str]:
    """The first column of all tables."""
    return re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)


def test_every_setting_is_listed_with_its_meaning() -> None:
    models = (Config, ModelSection, SanitySection, FloorsSection)
    page = settings.settings()
    assert names(page) == [name for model in models for name in model.model_fields]
    assert [line for line in page.splitlines() if line.startswith("| `") and line.endswith("|  |")] == []


def test_a_setting_has_default_and_limits() -> None:
    (row,) = [line for line in settings.settings().splitlines() if line.startswith("| `frames`")]
    assert row.startswith("| `frames` | whole number or none | none | 1 or more, at most 10000 | ")
    (row,) = [line for line in settings.settings().splitlines() if line.startswith("| `imputers`")]
    assert "`{blur, mean}`" in row


def test_every_file_and_folder_of_a_run_is_listed() -> None:
    page = outputs.files()
    assert names(page) == [*directory.FILES, *(f"{name}/" for name in directory.FOLDERS)]
    assert set(columns.FILES) == set(directory.FILES) and set(columns.FOLDERS) == set(directory.FOLDERS)


def test_every_column_is_listed_and_no_other() -> None:
    """Tables of CSV and Parquet, and the meanings that none of them uses."""
    tables = outputs.tables()
    assert names(outputs.columns()) == [column for found in tables.values() for column in found]
    written = {name for name in directory.FILES if name.endswith((".csv", ".parquet"))}
    assert written <= set(tables)
    assert (
        tables["sanity.csv"].keys()
        == dict.fromkeys(["method", "part", "curve", "low", "high", "emprt", "videos", "verdict"]).keys()
    )
    assert set(columns.COLUMNS) == {column for found in tables.values() for column in found}
    assert {(file, column) for file, own in columns.OWN.items() for column in own} <= {
        (file, column) for file, found in tables.items() for column in found
    }
