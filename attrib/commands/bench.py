"""`attrib bench`: methods compared on a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attrib.commands.shared import (
    JsonFlag,
    Plugins,
    Sets,
    check_output,
    finish,
    notes,
    print_json,
    progress,
    say,
    screen,
    warn,
)

if TYPE_CHECKING:
    from attrib.benchmarks.runner import Outcome


def bench(
    config_file: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="YAML; default: built-in.")] = None,
    output: Annotated[Path, typer.Option("--output", "-O", help="Run directory; a rerun resumes it.")] = Path(
        "runs/demo"
    ),
    sets: Sets = None,
    plugin: Plugins = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare methods: score every method on every sample and print the leaderboard."""
    check_output(output)
    from attrib import api

    settings = api.bench_settings(config_file, plugin or ())
    try:
        with progress(as_json) as step:
            outcome = api.bench(settings, output, sets or (), step)
    except KeyboardInterrupt:
        text = f"interrupted; what was computed is kept in {output}: the same command goes on from there"
        notes.print(text, highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    warn(outcome.warnings)
    if as_json:
        print_json(_outcome(outcome))
    else:
        _show_outcome(outcome)
    finish([f"{item.sample}  {item.method}: {item.error}" for item in outcome.failures])


def _outcome(outcome: Outcome) -> dict[str, Any]:
    from attrib.benchmarks import leaderboard

    board = json.loads(outcome.leaderboard.to_json(orient="records", double_precision=15))
    failures = [{"sample": i.sample, "method": i.method, "error": i.error} for i in outcome.failures]
    return {
        "directory": str(outcome.directory),
        "computed": outcome.computed,
        "questions": leaderboard.tally(outcome.results)._asdict(),
        "leaderboard": board,
        "failures": failures,
    }


def _show_outcome(outcome: Outcome) -> None:
    from attrib.benchmarks import leaderboard

    count = leaderboard.tally(outcome.results)
    titles = {"all": f"all {count.samples} questions"}
    if count.tested:
        titles["gated"] = f"the {count.passed} that pass the gate"
    else:
        titles["correct"] = f"the {count.correct} answered correctly"
    for subset, title in titles.items():
        screen.print(f"[bold]Leaderboard, {title}[/bold]  mean [95 % interval over videos]", "", sep="\n")
        for table in leaderboard.tables(outcome.leaderboard, subset, screen.width):
            screen.print(table, "")
    if count.tested:
        say(f"gate: {count.passed} of {count.tested} questions ({count.passed / count.tested:.2f})")
    folder = outcome.directory
    say(f"results: {folder}/results.parquet and leaderboard.csv")
    if any((folder / "videos").glob("*/*.mp4")):
        say(f"overlay videos: {folder}/videos/METHOD/SAMPLE.mp4")
