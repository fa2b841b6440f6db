"""Output of `attrib bench`: the leaderboard of the primary metrics and what to know of it; all tables on demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from attrib.benchmarks.runner import Outcome
from attrib.benchmarks.stats.multiple import ALPHA
from attrib.benchmarks.stats.permutation import FEW_VIDEOS
from attrib.benchmarks.tables.tally import Tally, tally
from attrib.commands.terminal import checks, leaderboard, tasks
from attrib.commands.terminal.console import WIDTH, say, screen
from attrib.commands.terminal.stacking import shortened


def show(outcome: Outcome, verbose: bool) -> None:
    """Print one leaderboard, or with `verbose` every table; then what beats every control, what failed, and where."""
    count = tally(outcome.results)
    if verbose:
        _show_all(outcome, count)
    else:
        _show_primary(outcome, count)
    for line in (_beating(outcome), _failed(outcome), _place(outcome, verbose)):
        say(line)


def _show_primary(outcome: Outcome, count: Tally) -> None:
    board, primary = outcome.leaderboard, outcome.tables.metrics.primary
    known = board[board["metric"].isin(primary)]
    board, of = (board, "all metrics") if known.empty else (known, "the primary metrics")
    found = leaderboard.board_of(board, "all", primary, min(screen.width, WIDTH))
    _show_leaderboard(f"Leaderboard of {of}, {_questions(count)}", found)


def _questions(count: Tally) -> str:
    """Words for the number of questions, and how many pass the gate or were answered correctly."""
    gate = f"{count.passed} of {count.tested} pass the gate" if count.tested else f"{count.correct} answered correctly"
    return f"all {count.samples} questions ({gate})"


def _show_leaderboard(title: str, board: leaderboard.Board) -> None:
    say(title)
    say("mean [95 % interval over videos]" if board.tables else "nothing to show")
    for table in board.tables:
        screen.print("", table, sep="\n")
    for note in board.notes:
        screen.print(note, highlight=False, markup=False)
    say("")


def _show_all(outcome: Outcome, count: Tally) -> None:
    titles = {"all": _questions(count)}
    if count.tested:
        titles["gated"] = f"the {count.passed} that pass the gate"
    else:
        titles["correct"] = f"the {count.correct} answered correctly"
    for subset, title in titles.items():
        found = leaderboard.board_of(outcome.leaderboard, subset, outcome.tables.metrics.primary, screen.width)
        _show_leaderboard(f"Leaderboard, {title}", found)
    for table in tasks.task_tables(outcome.tables.tasks, outcome.tables.roles):
        screen.print("[bold]Tasks[/bold]", "", table, "", sep="\n")
    for title, stack in checks.extra_tables(outcome.extras, screen.width):
        screen.print(Text(title, style="bold"), "", sep="\n")
        for table in stack:
            screen.print(table, "")


def _beating(outcome: Outcome) -> str:
    """Line of the methods that beat every control, with the number of columns in which they do; most first."""
    board, primary = outcome.leaderboard, outcome.tables.metrics.primary
    tested = board[(board["subset"] == "all") & board["metric"].isin(primary) & board["p_holm"].notna()]
    if tested.empty:
        return "beats every control: not tested (needs controls and a primary metric)"
    videos = int(tested["videos"].max())
    if videos < FEW_VIDEOS:
        count = f"{videos} video{'s' * (videos != 1)}"
        return f"beats every control: {count} cannot tell; the test needs {FEW_VIDEOS} or more"
    counts = (tested["p_holm"] < ALPHA).groupby(tested["method"], sort=False).agg(["sum", "size"])
    best = counts[counts["sum"] > 0].sort_values("sum", ascending=False, kind="stable")
    if best.empty:
        return f"beats every control: no method (Holm over the primary metrics, p < {ALPHA:.2g})"
    names = [f"{method} ({won} of {columns})" for method, won, columns in best.itertuples()]
    return _listed("beats every control", names)


def _failed(outcome: Outcome) -> str:
    """Line of what failed: items, and methods whose maps do not depend on the model's weights."""
    count = len(outcome.failures)
    items = f"{count} item{'s' * (count != 1)}, listed below" if count else "no item"
    return _listed(f"failed: {items}", list(_insane(outcome)), "; sanity check: ")


def _insane(outcome: Outcome) -> Iterator[str]:
    """Yield the methods that fail the sanity check, with the part of the model; controls fail it by design."""
    verdicts, roles = outcome.extras.verdicts, outcome.tables.roles
    if verdicts is None:
        return
    failed = verdicts[verdicts["verdict"] == "fail"]
    for method, parts in failed.groupby("method", sort=False)["part"]:
        if roles.kind(str(method)) == "method":
            yield f"{method} ({', '.join(parts)})"


def _place(outcome: Outcome, verbose: bool) -> str:
    folder = outcome.directory
    more = "" if verbose else " (--verbose prints them)"
    return f"report: attrib report {folder}; tables: {folder}/*.csv{more}"


def _listed(words: str, names: Sequence[str], before: str = ": ") -> str:
    """Line of words and as many names as a line has room for, with the number of the others; words alone for none."""
    if not names:
        return words
    for shown in range(len(names), 0, -1):
        rest = f" and {len(names) - shown} more" if shown < len(names) else ""
        line = f"{words}{before}{', '.join(names[:shown])}{rest}"
        if len(line) <= WIDTH:
            return line
    return shortened(line, WIDTH)
