"""One worker in a process of its own: it holds the model, and computes the pieces that it is sent."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import torch

from attrib.benchmarks.engines.executor import Stage
from attrib.benchmarks.engines.parcels import Files, changed, unpack
from attrib.benchmarks.engines.plugins import PluginSource
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.keys import digest
from attrib.benchmarks.jobs.plan import ModelFacts, Plan
from attrib.benchmarks.jobs.store import Store
from attrib.config import Config
from attrib.errors import AttribError, InputError
from attrib.types import Sample


@dataclass(frozen=True)
class Setup:
    """Input of a worker, which can be pickled. `videos` exist where the run was started, in `folder`."""

    config: Config
    samples: tuple[Sample, ...]
    videos: tuple[Path, ...]
    plugins: tuple[PluginSource, ...]
    folder: str
    check: Callable[[Plan], None]  # raises AttribError for a model that the run cannot use


@dataclass(frozen=True)
class Loaded:
    """Facts about the worker's model, and the hash of the code that it would run."""

    facts: ModelFacts
    code: str


@dataclass(frozen=True)
class Refused:
    """The worker cannot go on, for this reason."""

    message: str


@dataclass(frozen=True)
class FilesNeeded:
    """The worker does not see the run's directory, and needs the samples' files."""


@dataclass(frozen=True)
class Place:
    """Directory of a run on the machine `host`; a worker that sees the file `token` in it shares the disk."""

    directory: Path
    token: str
    retry_failed: bool
    log: str
    host: str

    @property
    def run(self) -> RunDirectory:
        """Run directory for a worker that sees it. Machines have logs of their own, since they would mix lines."""
        here = socket.gethostname()
        log = self.log if here == self.host else f"log.host-{here}.jsonl"
        return RunDirectory(self.directory, Store(self.directory, self.retry_failed, log))


@dataclass(frozen=True)
class WorkPiece:
    """Work of a stage on one sample, by its number; `files` are for a worker that does not see the directory."""

    stage: Stage[Any]
    place: Place
    sample: int
    files: Files | None = None


@dataclass(frozen=True)
class PieceOutcome:
    """Result of a piece, and what the worker could not write into the run's directory: files, and lines of the log."""

    value: Any
    files: Files
    log: bytes = b""


class SampleWorker:
    """Worker on `device`; empty for that of the configuration. Errors for the user are returned, not raised."""

    def __init__(self, device: str = "") -> None:
        self._device = device
        self._plan: Plan | None = None
        self._prepared: tuple[Any, Callable[[Sample], Any]] | None = None

    def start(self, setup: Setup) -> Loaded | Refused:
        """Load plug-ins and model, with one thread as in every worker process."""
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        try:
            return self._start(setup)
        except AttribError as error:
            return Refused(str(error))

    def do(self, piece: WorkPiece) -> PieceOutcome | FilesNeeded | Refused:
        """Compute a piece: into the run's directory where it is seen, else into the outcome."""
        try:
            if (piece.place.directory / piece.place.token).exists():
                return PieceOutcome(self._work(piece, piece.place.run), {})
            return FilesNeeded() if piece.files is None else self._apart(piece, piece.files)
        except AttribError as error:
            return Refused(str(error))

    def _start(self, setup: Setup) -> Loaded:
        if os.path.isdir(setup.folder):
            os.chdir(setup.folder)
        for path in setup.videos:
            if not path.exists():
                raise InputError(
                    f"worker on {socket.gethostname()}: does not see {path.absolute()}; put the data where all "
                    "workers see it under the same path"
                )
        for plugin in setup.plugins:
            plugin.load()
        config = setup.config
        if self._device:
            if self._device.startswith("cuda"):
                torch.cuda.set_device(self._device)
            config = config.model_copy(update={"model": config.model.model_copy(update={"device": self._device})})
        self._plan = Plan.of(config, samples=setup.samples)
        setup.check(self._plan)
        return Loaded(self._plan.facts, code_of(self._plan))

    def _work(self, piece: WorkPiece, run: RunDirectory) -> Any:
        assert self._plan is not None, "a worker is started before it is sent pieces"
        key = piece.stage.name, piece.place, run.directory
        if self._prepared is None or self._prepared[0] != key:
            self._prepared = key, piece.stage.prepare(self._plan, run, None)
        return self._prepared[1](self._plan.samples[piece.sample])

    def _apart(self, piece: WorkPiece, files: Files) -> PieceOutcome:
        """Compute a piece in a temporary directory, from the files of the samples."""
        with TemporaryDirectory(prefix="attrib-worker-") as folder:
            directory = Path(folder)
            run = RunDirectory.at(directory, piece.place.retry_failed)
            unpack(directory, files)
            value = self._work(piece, run)
            log = (directory / run.store.log).read_bytes() if run.store.log_sizes() else b""
            log = log.replace(str(directory).encode(), str(piece.place.directory).encode())
            return PieceOutcome(value, changed(directory, files), log)


def code_of(plan: Plan) -> str:
    """Hash of the code by which a plan's results are computed."""
    metrics = sorted(map(str, plan.metric_keys.items()))
    return digest(plan.model_key, dict(plan.method_keys), metrics, plan.gate_key)


def device_type(facts: ModelFacts) -> ModelFacts:
    """Return the facts without the number of the device, which differs between workers."""
    return replace(facts, device=facts.device.partition(":")[0])
