"""Work of one shard: the records of its samples, which the command without a shard makes into results and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attrib.benchmarks.checks import compute, of_shard
from attrib.benchmarks.engines.choose import executor_of
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.question import refuse_other_question
from attrib.benchmarks.jobs.store import Failure
from attrib.benchmarks.runner import sample_results
from attrib.config import Config
from attrib.runtime.progress import Progress
from attrib.settings.engine import AUTO, Engine
from attrib.settings.shard import Shard


@dataclass(frozen=True)
class ShardOutcome:
    """Outcome of a shard: its number of samples and of all, records computed now, failures and warnings.

    `left`: by kind, the checks of its samples that wait for other shards' maps.
    """

    directory: Path
    samples: int
    all_samples: int
    computed: int
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    left: Mapping[str, int]


def run_shard(
    config: Config, directory: Path, shard: Shard, step: Progress | None = None, retry_failed: bool = False,
    engine: Engine = AUTO,
) -> ShardOutcome:  # fmt: skip
    """Compute the missing records of every N-th sample in `directory`: answers, maps, scores, curves and checks.

    Peers are all samples of the data set, as in a run. Floors and nulls need the answers and maps of other samples;
    those without them are left. Raises InputError as a run does, and if a run, the same shard or a shard of another
    configuration is at work there.
    """
    with executor_of(engine, config, compute.check, step) as executor:
        plan = executor.plan
        refuse_other_question(directory, plan)
        samples = shard.of(plan.samples)
        with RunDirectory.shared(directory, plan.config, shard, retry_failed) as run:
            begun = run.store.log_size()
            done = [(each.failures, each.warnings) for each in sample_results(executor, run, samples, step)]
            checked = of_shard.compute(executor, run, samples, step)
            log = list(run.store.logged_here(begun))
    failures = *(failure for each, _ in done for failure in each), *checked.failures
    warnings = [text for _, each in done for text in each]
    warnings += [f"{line['damaged']}: not readable, computed again" for line in log if line["damaged"]]
    return ShardOutcome(
        directory, len(samples), len(plan.samples), len(log), failures, tuple(dict.fromkeys(warnings)), checked.left
    )
