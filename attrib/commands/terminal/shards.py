"""Output of `attrib bench --shard`: what a shard has done and left; and the lines that start shards or a job of Ray."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrib.commands.terminal.console import say
from attrib.commands.terminal.progress_lines import duration
from attrib.settings.engine import Engine
from attrib.settings.shard import Shard

if TYPE_CHECKING:
    from attrib.benchmarks.forecast import ShardsForecast
    from attrib.benchmarks.shards import ShardOutcome

JOBS = 8265  # port of a cluster's dashboard, which takes jobs


def command_line(config: Path | None, output: Path, options: Mapping[str, Sequence[object]]) -> str:
    """Return the command of a run without a shard, quoted for a shell; `options` have a value for each repetition."""
    given = [str(part) for name, values in options.items() for value in values for part in (name, value)]
    return shlex.join(["attrib", "bench", *([str(config)] if config else []), "-O", str(output), *given])


def show_shard(shard: Shard, outcome: ShardOutcome, command: str) -> None:
    """Print in one line what the shard has computed, what it left, and the command that finishes the run."""
    left = " and ".join(f"{kind} of {count} samples" for kind, count in outcome.left.items())
    waiting = f"; left: {left}, which need maps of other shards" if left else ""
    say(
        f"shard {shard}: {outcome.samples} of {outcome.all_samples} samples, {outcome.computed} items computed"
        f"{waiting}; when all shards have ended, finish with: {command}"
    )


def show_forecast(shard: Shard, forecast: ShardsForecast, command: str) -> None:
    """Print how long the shards and the command after them take, and the lines that submit both to Slurm."""
    count = shard.count
    then = "" if forecast.rest == 0 else f"; then {duration(forecast.rest)} for the command without a shard"
    say(f"as {count} shards, a GPU each: {duration(forecast.longest)}{then}")
    task = f"{command} --shard $SLURM_ARRAY_TASK_ID/{count}"
    # quoted: the job and not this shell expands its variable
    say(f"job=$(sbatch --parsable --array=1-{count} --ntasks=1 --gres=gpu:1 --wrap {shlex.quote(task)})")
    say(f"sbatch --dependency=afterany:$job --ntasks=1 --gres=gpu:1 --wrap {shlex.quote(command)}")


def show_job(engine: Engine, command: str) -> None:
    """Print the line that submits the command to a Ray cluster."""
    host = (engine.address or "HEAD").rpartition(":")[0] or engine.address or "HEAD"
    given = {"--worker-cpus": engine.cpus, "--worker-gpus": engine.gpus, "--worker-memory": engine.memory}
    options = "".join(f" {name} {value:g}" for name, value in given.items() if value is not None)
    say(f"ray job submit --address http://{host}:{JOBS} --working-dir . -- {command} --engine ray{options}")
