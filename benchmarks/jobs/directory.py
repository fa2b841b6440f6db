"""One run directory, for one run or several shards at a time: its configuration, cached records and results.

    config.yaml  environment.json  lock  log.jsonl  items/**/*.json (see store)  volumes/SAMPLE/METHOD.npz
    rivals/SAMPLE/METHOD.npz  videos/METHOD/SAMPLE.mp4  results.parquet  leaderboard.csv ...
    index/**/*.json (see store)
    *.lease (see lock)  shard-1-of-2.yaml (settings of a shard at work)  log.shard-1-of-2.jsonl

Every file is written atomically, so that a run that stops at any moment can resume.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml

from attrib.benchmarks.jobs.lock import declared, leased, locked, refuse_others, remove_expired
from attrib.benchmarks.jobs.store import INDEX, OTHER_LOGS, Store, file_name
from attrib.config import Config
from attrib.errors import NotWritten
from attrib.runtime.files import remove_parts, write_text, writing
from attrib.settings.shard import Shard
from attrib.types import Sample

# A row without a value has a `reason` (undefined) or an `error` (failed); both are "" in a row with a value.
COLUMNS = {
    "sample": "string", "video": "string", "task": "string", "area": "string", "reasoning": "string",
    "rule": "string", "method": "string", "metric": "string", "imputer": "string",
    "value": "float64", "chance": "float64", "reason": "string", "error": "string", "answer": "string",
    "letter_mass": "float64",
    "correct": "boolean", "gated": "boolean", "vision": "boolean", "seconds": "float64",
    "peak_memory": "Int64",
}  # fmt: skip


ROWS_AT_ONCE = 100_000  # that are Python objects at a time: 100 MB
VolumeFolder = Literal["volumes", "rivals"]
FOLDERS = (INDEX, "items", "volumes", "rivals", "videos")
FILES = (
    "config.yaml", "environment.json", "log.jsonl", "critical_difference.png", "critical_difference.pdf",
    *(f"{name}.parquet" for name in ("results", "curves", "sanity", "floors", "nulls")),
    *(f"{name}.csv" for name in ("leaderboard", "differences", "ranks", "agreement", "tasks", "exceptions", "sanity",
                                 "floors")),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ResultRows:
    """Rows of the results, turned into tables as they come, which takes a fraction of the memory of mappings."""

    _tables: list[pd.DataFrame] = field(default_factory=list)
    _rows: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows at the end."""
        self._rows.extend(rows)
        if len(self._rows) >= ROWS_AT_ONCE:
            self._convert()

    def table(self) -> pd.DataFrame:
        """Return all rows as one table."""
        self._convert()
        return pd.concat(self._tables, ignore_index=True)

    def _convert(self) -> None:
        if self._rows or not self._tables:
            self._tables.append(pd.DataFrame(self._rows, columns=list(COLUMNS)).astype(COLUMNS))
        self._rows.clear()


@dataclass(frozen=True)
class RunDirectory:
    """A run's directory and the store of its records."""

    directory: Path
    store: Store

    @staticmethod
    def at(directory: Path, retry_failed: bool = False) -> RunDirectory:
        """Return the directory for reading, without a lock."""
        return RunDirectory(directory, Store(directory, retry_failed))

    @contextmanager
    def indexed(self, save: bool = True) -> Iterator[RunDirectory]:
        """Yield the directory with a store that reads from its index; see Store.indexed."""
        with self.store.indexed(save) as store:
            yield RunDirectory(self.directory, store)

    @staticmethod
    @contextmanager
    def opened(
        directory: Path, config: Config, retry_failed: bool = False, replace: bool = False
    ) -> Iterator[RunDirectory]:
        """Create and lock the directory, and write the run's configuration; `replace` removes an earlier run first.

        Raises NotWritten if the directory cannot be written, InputError if another process is using it.
        """
        _create(directory)
        with locked(directory):
            if replace:
                remove_run(directory)
            remove_parts(directory)
            remove_expired(directory)
            run = RunDirectory.at(directory, retry_failed)
            run._begin(config)
            yield run
            remove_parts(directory)  # of worker processes that were killed

    @staticmethod
    @contextmanager
    def shared(directory: Path, config: Config, shard: Shard, retry_failed: bool = False) -> Iterator[RunDirectory]:
        """Create the directory, hold the shard's lease, and write the configuration.

        Raises NotWritten if the directory cannot be written; InputError if a run, this shard, or a shard of another
        configuration is at work there.
        """
        _create(directory)
        with leased(directory, shard.file_name), declared(directory, shard.file_name, _answer(config)):
            refuse_others(directory, shard.file_name)
            run = RunDirectory(directory, Store(directory, retry_failed, f"log.{shard.file_name}.jsonl"))
            run._begin(config)
            yield run

    def _begin(self, config: Config) -> None:
        """Write configuration and environment, and mend the log."""
        self.store.mend_log()
        settings = yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True)
        write_text(self.directory / "config.yaml", settings)
        write_text(self.directory / "environment.json", json.dumps(environment(), indent=2) + "\n")

    def volume_path(self, sample: Sample, method: str, folder: VolumeFolder = "volumes") -> Path:
        """Path of a volume; the folder `rivals` has the volumes of the strongest other option."""
        return self.directory / folder / file_name(sample.id) / f"{file_name(method)}.npz"

    def overlay_path(self, sample: Sample, method: str) -> Path:
        """Path of an overlay video."""
        return self.directory / "videos" / file_name(method) / f"{file_name(sample.id)}.mp4"

    def write_results(self, table: pd.DataFrame) -> pd.DataFrame:
        """Write the table as results.parquet and return it."""
        with writing(self.directory / "results.parquet") as path:
            path.write_bytes(table.to_parquet(index=False))
        return table

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a table as CSV."""
        with writing(self.directory / name) as path:
            table.to_csv(path, index=False)


def _create(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritten(f"{directory}: cannot be created: {error.strerror}") from error


def _answer(config: Config) -> dict[str, Any]:
    """Settings, without those that say where the work is done."""
    settings = config.model_dump(exclude={"workers": True, "model": {"device", "device_map"}})
    return {**settings.pop("model"), **settings}


def remove_run(directory: Path) -> None:
    """Remove the files that a run writes: configuration, log, cached records, volumes, overlay videos and tables.

    Other files stay, also in folders whose names a run uses: of `videos` only the methods' folders are removed, which
    may stand in a data set's own.
    """
    for name in FOLDERS:
        for path in (directory / name).glob("*/"):
            shutil.rmtree(path)
        with suppress(OSError):  # not there, or not empty
            (directory / name).rmdir()
    for path in (*(directory / name for name in FILES), *directory.glob(OTHER_LOGS)):
        path.unlink(missing_ok=True)


def environment() -> dict[str, Any]:
    """Python, platform and the versions of all installed packages."""
    packages = dict(sorted(_packages(), key=lambda pair: pair[0].lower()))
    return {
        "python": sys.version, "platform": platform.platform(), "machine": platform.machine(), "packages": packages,
    }  # fmt: skip


@cache  # several runs of a process share them
def _packages() -> tuple[tuple[str, str], ...]:
    """Names and versions of all installed packages."""
    known = (each.metadata for each in distributions())
    return tuple((each["Name"], each["Version"]) for each in known)
