"""Choice of the executor that a run's engine, device and number of workers ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrib.benchmarks.engines import gpus
from attrib.benchmarks.engines.executor import Executor, LocalExecutor
from attrib.benchmarks.engines.forked import can_fork
from attrib.benchmarks.jobs.plan import Plan
from attrib.config import Config
from attrib.runtime.progress import Progress
from attrib.settings.engine import Engine, EngineName


@contextmanager
def executor_of(
    engine: Engine, config: Config, check: Callable[[Plan], None], step: Progress | None
) -> Iterator[Executor]:
    """Yield the executor of a run; its processes end with the context. Raises InputError for bad input.

    `check` raises an error for a model that the run cannot use.
    """
    name = chosen(engine, config)
    if name == "gpus":
        with gpus.gpu_executor(config, check, step) as remote:
            yield remote
        return
    if name == "ray":
        from attrib.benchmarks.engines.ray_actors import ray_executor  # ray takes a second to import

        with ray_executor(engine, config, check, step) as remote:
            yield remote
        return
    plan = Plan.of(config, step)
    check(plan)
    yield LocalExecutor(plan, *local_workers(name, plan))


def chosen(engine: Engine, config: Config) -> EngineName:
    """Return the engine, with `auto` decided for several GPUs."""
    model = config.model
    free = model.device == "auto" and not model.device_map and "LOCAL_RANK" not in os.environ
    several = engine.name == "auto" and config.workers != 1 and free and len(gpus.devices()) > 1
    return "gpus" if several else engine.name


def local_workers(name: EngineName, plan: Plan) -> tuple[int, str]:
    """Return the number of processes that share this process's model, and why there are not as many as configured."""
    config = plan.config
    wanted = config.workers or ((os.cpu_count() or 1) if name == "fork" else 1)
    device = plan.facts.device.partition(":")[0]
    if name == "process" or wanted == 1:
        return 1, "the engine is process" if wanted > 1 else ""
    if device != "cpu":
        return 1, f"processes cannot share a model on {device}"
    return (wanted, "") if can_fork() else (1, "Python cannot fork processes on this platform")


def expected_workers(engine: Engine, config: Config, plan: Plan) -> int:
    """Return the number of processes that a run of this plan would have; 1 for a Ray cluster that is not asked yet."""
    name = chosen(engine, config)
    if name == "gpus":
        return max(len(gpus.devices()[: config.workers]), 1)
    return config.workers or 1 if name == "ray" else local_workers(name, plan)[0]
