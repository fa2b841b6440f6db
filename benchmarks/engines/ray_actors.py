"""Workers of a run as Ray's actors, each with the model; Ray places them and starts them again after a death."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

from attrib.benchmarks.engines.ray_cluster import Resources, connected, nodes
from attrib.benchmarks.engines.remote import RemoteExecutor, RemoteWorker, setup_of
from attrib.benchmarks.engines.worker import FilesNeeded, Loaded, PieceOutcome, Refused, SampleWorker, WorkPiece
from attrib.benchmarks.jobs.plan import Plan
from attrib.config import Config
from attrib.errors import InputError
from attrib.runtime.progress import Progress, report_progress
from attrib.settings.engine import Engine

import ray  # isort: skip  # after ray_cluster, which sets its environment

STARTS = 3  # attempts to load the model in an actor


@contextmanager
def ray_executor(
    engine: Engine, config: Config, check: Callable[[Plan], None], step: Progress | None
) -> Iterator[RemoteExecutor]:
    """Start the actors and end them after the context. Raises InputError for bad input and for too small a cluster."""
    if config.model.device not in ("auto", "cpu"):
        raise InputError("--engine ray: chooses the GPUs itself; leave out model.device, or let it be cpu")
    setup = setup_of(config, check, step)
    report_progress(step, "connecting to Ray", 0, 0)
    with connected(engine, config.workers or 1):
        resources = _resources(engine, config)
        count = _count(config, resources)
        device = "" if resources.gpus else "cpu"
        actor = ray.remote(SampleWorker).options(
            num_cpus=resources.cpus, num_gpus=resources.gpus, memory=resources.memory or None, max_restarts=-1,
            scheduling_strategy="SPREAD",
        )  # fmt: skip
        shared = ray.put(setup)
        crew = [RayWorker(actor.remote(device), shared) for _ in range(count)]
        executor = RemoteExecutor(setup, crew)
        try:
            executor.begin(step)
            yield executor
        finally:
            for worker in crew:
                worker.close()


class RayWorker(RemoteWorker):
    """Actor on some node of the cluster."""

    deaths = (
        ray.exceptions.RayActorError, ray.exceptions.NodeDiedError, ray.exceptions.WorkerCrashedError,
        ray.exceptions.OutOfMemoryError, ray.exceptions.ObjectLostError,
    )  # fmt: skip

    absences = (ray.exceptions.ActorUnavailableError,)

    def __init__(self, actor: Any, setup: Any) -> None:
        self._actor, self._setup = actor, setup

    def start(self) -> Future[Loaded | Refused]:
        """Load the model in the actor, which Ray has started or starts again."""
        started: Future[Loaded | Refused] = (
            self._actor.start.options(max_task_retries=STARTS).remote(self._setup).future()
        )
        return started

    def submit(self, piece: WorkPiece) -> Future[PieceOutcome | FilesNeeded | Refused]:
        """Send a piece to the actor; it is not tried again there, but dealt out to whoever is free."""
        sent: Future[PieceOutcome | FilesNeeded | Refused] = self._actor.do.remote(piece).future()
        return sent

    def close(self) -> None:
        """End the actor at once."""
        with suppress(Exception):  # a cluster that is gone
            ray.kill(self._actor)


def _resources(engine: Engine, config: Config) -> Resources:
    """Return what each worker takes. Raises InputError for GPUs where the model is to be on the CPU."""
    gpus = engine.gpus
    most = max((node.get("GPU", 0.0) for node in nodes()), default=0.0)
    if config.model.device == "cpu":
        if gpus:
            raise InputError(f"--worker-gpus {gpus:g}: model.device is cpu; leave one of them out")
        gpus = 0.0
    if gpus is None:
        gpus = most if config.model.device_map else min(most, 1.0)
    return Resources(1.0 if engine.cpus is None else engine.cpus, gpus, round((engine.memory or 0) * 2**30))


def _count(config: Config, resources: Resources) -> int:
    """Return the number of workers. Raises InputError if the cluster cannot hold them."""
    room = resources.room()
    if room < (config.workers or 1):
        has = "; ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in nodes())
        raise InputError(
            f"--engine ray: {config.workers or 1} workers of {resources} each do not fit, {room} do; the cluster's "
            f"nodes have {has}"
        )
    return config.workers or room
