"""`attrib bench`: compare methods on a data set."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.table import Table

from attrib.commands.options import (
    Address,
    DataSource,
    EngineOption,
    Frames,
    JsonFlag,
    NoDownload,
    Plugins,
    Sets,
    WorkerCpus,
    WorkerGpus,
    WorkerMemory,
    assignments,
    check_output,
)  # fmt: skip
from attrib.commands.terminal import shards
from attrib.commands.terminal.console import finish, print_json, progress, say, screen, stopping, warn
from attrib.commands.terminal.progress_lines import duration
from attrib.errors import InputError
from attrib.settings.engine import Engine, EngineName
from attrib.settings.shard import Shard, parse_shard, refuse_unshared

if TYPE_CHECKING:
    import pandas as pd

    from attrib.benchmarks.forecast import Forecast
    from attrib.benchmarks.jobs.store import Failure
    from attrib.benchmarks.runner import Outcome
    from attrib.benchmarks.shards import ShardOutcome


def bench(
    config_file: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="YAML; default: built-in.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-O", help="Run directory; a rerun resumes it. Default: runs/NAME of CONFIG."),
    ] = None,
    data: DataSource = None,
    frames: Frames = None,
    no_download: NoDownload = False,
    sets: Sets = None,
    plugin: Plugins = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Compute failed items again; by default their recorded failures stay."),
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Remove the run in the directory first: its configuration, cached work, volumes, overlay videos and "
            "tables. Needed where that run has other data, model, target or seed.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count cached and missing items; write nothing.")] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Compute only part I of N, beside the other parts; the command without it then finishes the run. "
            "auto: by Slurm's array task, or the rank of torchrun or accelerate.",
        ),
    ] = None,
    engine: EngineOption = "auto",
    address: Address = None,
    worker_cpus: WorkerCpus = None,
    worker_gpus: WorkerGpus = None,
    worker_memory: WorkerMemory = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print every metric, the tasks and the checks too.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Compare methods: score every method on every sample and print the leaderboard of the primary metrics."""
    from attrib import api
    from attrib.settings.benchmark import bench_settings, data_section, run_directory

    processes = Engine(cast("EngineName", engine), address, worker_cpus, worker_gpus, worker_memory)
    part = _part(shard, processes, replace, dry_run)
    settings, directory = bench_settings(config_file, plugin or ()), output or run_directory(config_file or data)
    settings |= {"data": data_section(data)} if data else {}
    repeated = {"--set": assignments(sets, None, no_download), "--plugin": plugin or ()}
    options = {"--data": (data,) if data else (), **repeated, "--frames": (frames,) if frames else ()}
    command, changes = shards.command_line(config_file, directory, options), assignments(sets, frames, no_download)
    if dry_run:
        with progress(as_json) as step:
            forecast = api.bench_forecast(settings, directory, changes, step, retry_failed, replace, processes)
        _show_forecast(forecast, part, as_json)
        if part and not as_json:
            shards.show_forecast(part, forecast.shards(part.count), command)
        if processes.name == "ray" and not as_json:
            shards.show_job(processes, shards.command_line(config_file, directory.absolute(), options))
        return
    check_output(directory)
    if part:
        kept = f"what was computed is kept in {directory}: the same command goes on from there"
        with stopping(kept), progress(as_json, f"shard {part}") as step:
            done = api.bench_shard(f"{part}", settings, directory, changes, step, retry_failed, processes)
        _show_shard(part, done, command, as_json)
        return
    again = "the same command without --replace" if replace else "the same command"
    kept = f"what was computed is kept in {directory}: {again} goes on from there"
    with stopping(kept), progress(as_json) as step:
        outcome = api.bench(settings, directory, changes, step, retry_failed, replace, processes)
    warn(outcome.warnings)
    if as_json:
        print_json(_outcome(outcome))
    else:
        from attrib.commands.terminal import outcome as shown  # pandas takes half a second to import

        shown.show(outcome, verbose)
    finish([_failure(item) for item in outcome.failures])


def _part(shard: str | None, engine: Engine, replace: bool, dry_run: bool) -> Shard | None:
    """Parse --shard. Raises InputError for one that removes the others' work, and for several whole runs at once."""
    if shard is None:
        if not dry_run:
            refuse_unshared()
        return None
    if engine.name == "ray":
        raise InputError("--shard and --engine ray: Ray shares the samples itself; leave --shard out")
    if replace:
        raise InputError("--shard and --replace: would remove what other shards compute; choose a new directory (-O)")
    return parse_shard(shard)


def _show_shard(part: Shard, outcome: ShardOutcome, command: str, as_json: bool) -> None:
    warn(outcome.warnings)
    if as_json:
        print_json({"shard": f"{part}", **asdict(outcome), "directory": str(outcome.directory), "command": command})
    else:
        shards.show_shard(part, outcome, command)
    try:
        finish([_failure(item) for item in outcome.failures])
    except typer.Exit:
        if not part.launched:  # a launcher would end the other shards
            raise


def _failure(failure: Failure) -> str:
    return f"{' '.join(filter(None, (failure.sample, failure.method, failure.metric)))}: {failure.error}"


def _show_forecast(forecast: Forecast, part: Shard | None, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(forecast), "shards": asdict(forecast.shards(part.count)) if part else None})
        return
    table = Table("items", "kept", "to compute", "failed", "time", box=None, pad_edge=False)
    for count in forecast.totals():
        table.add_row(count.kind, str(count.kept), str(count.missing), str(count.failed), duration(count.seconds))
    screen.print(table, "")
    missing = sum(count.missing for count in forecast.counts)
    why = " (not all kinds of items were computed here before)" if forecast.seconds is None else ""
    say(f"to compute: {missing} items with workers={forecast.workers}; time: {duration(forecast.seconds)}{why}")
    peak = "unknown: no map is kept here" if forecast.peak_memory is None else f"{forecast.peak_memory / 2**30:.1f} GiB"
    say(f"memory of one process: {peak}")
    if forecast.memory is not None:
        each = f", in each of {forecast.workers} processes" if forecast.workers > 1 else ""
        say(f"first video{each}: {forecast.memory.note}")
        warn(forecast.memory.warnings)
    say("not counted: overlay videos")


def _outcome(outcome: Outcome) -> dict[str, Any]:
    from attrib.benchmarks.tables.tally import tally

    board = json.loads(outcome.leaderboard.to_json(orient="records", double_precision=15))
    return {
        "directory": str(outcome.directory),
        "computed": outcome.computed,
        "questions": tally(outcome.results)._asdict(),
        "leaderboard": board,
        "sanity": _records(outcome.extras.verdicts),
        "floors": _records(outcome.extras.differences),
        "failures": [asdict(failure) for failure in outcome.failures],
    }


def _records(table: pd.DataFrame | None) -> Any:
    return None if table is None else json.loads(table.to_json(orient="records", double_precision=15))
