"""Report on a model for a terminal of 80 columns, and for an issue."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from rich.table import Table
from rich.text import Text

from attrib.commands.terminal.console import say, screen
from attrib.models.checking.checks import CheckResult
from attrib.models.checking.costs import MethodRun
from attrib.models.checking.report import ModelReport

STYLES = {"holds": "green", "runs": "green", "differs": "bold red", "failed": "bold red", "refused": "yellow"}
FITS = "frames: as many would fit if memory grew with them; blank if under 64 MiB"


def show(report: ModelReport) -> None:
    """Print the setting, a table of the checks, and a table of the methods."""
    for name, value in report.setting.items():
        say(f"{name:10} {value}")
    screen.print("", _checks(report.checks))
    _reasons((each.name, each.verdict, each.reason) for each in report.checks)
    if report.methods:
        screen.print("", _methods(report.methods))
        _reasons((each.method, each.outcome, each.reason) for each in report.methods)
        say(FITS)


def _checks(checks: Iterable[CheckResult]) -> Table:
    table = Table("check", box=None, pad_edge=False, header_style="bold")
    table.add_column("found", justify="right")
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("verdict")
    table.add_column("in", overflow="fold")
    for each in checks:
        found = "" if each.value is None else f"{each.value:.2g}"
        limit = f"{'>=' if each.at_least else '<='} {each.limit:g}"
        table.add_row(each.name, found, limit, _styled(each.verdict), each.meaning)
    return table


def _methods(runs: Iterable[MethodRun]) -> Table:
    table = Table("method", "outcome", box=None, pad_edge=False, header_style="bold")
    for column in ("seconds", "memory", "expected", "frames"):
        table.add_column(column, justify="right")
    for each in runs:
        seconds = "" if each.seconds is None else f"{each.seconds:.2f}"
        memory, expected = ("" if size is None else f"{size / 2**20:,.0f} MiB" for size in (each.memory, each.expected))
        frames = "" if each.frames is None else f"{each.frames:,}"
        table.add_row(Text(each.method), _styled(each.outcome), seconds, memory, expected, frames)
    return table


def _styled(word: str) -> Text:
    return Text(word, STYLES[word])


def _reasons(rows: Iterable[tuple[str, str, str]]) -> None:
    """Print each reason once, after the names that it holds for."""
    given = sorted((row for row in rows if row[2]), key=lambda row: row[1:])
    for (word, reason), same in groupby(given, key=lambda row: row[1:]):
        say(f"{word}: {', '.join(name for name, _, _ in same)}: {reason}")
