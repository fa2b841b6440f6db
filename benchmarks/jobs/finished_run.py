"""Finished run, read from its directory: its settings, results, tables, samples and maps."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from attrib import config
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.roles import MetricRoles, Roles, metric_roles, roles
from attrib.config import Config
from attrib.errors import AttribError, InputError, UnknownName
from attrib.settings.benchmark import run_settings
from attrib.types import SaliencyVolume, Sample

SAME_PLUGIN = "to read a run with a plug-in file, give the same --plugin FILE"


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """Settings and results of a finished run; tables, samples and roles are read on first use."""

    directory: Path
    settings: Config
    environment: Mapping[str, Any]
    results: pd.DataFrame

    @property
    def machine(self) -> str:
        """Platform of the machine that computed the run."""
        return f"{self.environment.get('platform', '')}".strip()

    def table(self, name: str) -> pd.DataFrame | None:
        """Read NAME.csv of the run: `leaderboard`, `ranks`, ...; None if it does not exist.

        Raises InputError if it cannot be read.
        """
        return self._read(f"{name}.csv", pd.read_csv)

    def long(self, name: str) -> pd.DataFrame | None:
        """Read NAME.parquet of the run: `nulls`, `curves`, ...; None if it does not exist.

        Raises InputError if it cannot be read.
        """
        return self._read(f"{name}.parquet", _parquet)

    def _read(self, name: str, reader: Any) -> pd.DataFrame | None:
        path = self.directory / name
        if not path.exists():
            return None
        try:
            table: pd.DataFrame = reader(path)
        except pd.errors.EmptyDataError:  # a table without columns
            return pd.DataFrame()
        except (OSError, ValueError, pa.ArrowException) as error:
            raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
        return table

    @cached_property
    def roles(self) -> Roles:
        """Labels of controls and upper bounds. Raises InputError for a method that is not registered."""
        try:
            return roles(self.settings)
        except UnknownName as error:
            raise InputError(f"{error}; {SAME_PLUGIN}") from error

    @cached_property
    def metrics(self) -> MetricRoles:
        """Directions and primary metrics. Raises InputError for a metric that is not registered."""
        try:
            return metric_roles(config.metric_entries(self.settings))
        except UnknownName as error:
            raise InputError(f"{error}; {SAME_PLUGIN}") from error

    @cached_property
    def samples(self) -> Mapping[str, Sample]:
        """Samples of the results by id, in the data set's order.

        Raises InputError if the data set can no longer be read.
        """
        wanted = set(self.results["sample"])
        return {sample.id: sample for sample in config.dataset(self.settings) if sample.id in wanted}

    def volume(self, sample: Sample, method: str) -> SaliencyVolume | None:
        """Read the method's map of a sample; None if it does not exist. Raises InputError if it is damaged."""
        path = RunDirectory.at(self.directory).volume_path(sample, method)
        return SaliencyVolume.load(path) if path.exists() else None


def read(directory: Path) -> FinishedRun:
    """Read a finished run. Raises InputError if the directory has none."""
    given = run_settings(directory)
    try:
        settings = config.parse(given)
        environment = json.loads((directory / "environment.json").read_text(encoding="utf-8"))
        results = _parquet(directory / "results.parquet")
        pd.read_csv(directory / "leaderboard.csv", usecols=["metric", "direction"])  # readers rely on it
    except FileNotFoundError as error:
        missing = Path(error.filename or "").name
        raise InputError(f"{directory}: expected a finished run, found no {missing}") from error
    except (AttribError, OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{directory}: expected a finished run: {' '.join(str(error).split())}") from error
    if not isinstance(environment, dict):
        raise InputError(f"{directory}: expected a finished run: environment.json is not a mapping")
    _require_whole(directory, settings, results)
    return FinishedRun(directory, settings, environment, results)


def _parquet(path: Path) -> pd.DataFrame:
    """Read a table; from its bytes, since pyarrow opens no file whose name is not UTF-8."""
    return pd.read_parquet(io.BytesIO(path.read_bytes()))


def _require_whole(directory: Path, settings: Config, results: pd.DataFrame) -> None:
    columns = {"sample", "video", "task", "method", "metric", "imputer", "value", "chance"}
    if missing := sorted(columns.difference(results.columns)):
        raise InputError(f"{directory}: results.parquet lacks the columns {', '.join(missing)}")
    if missing := sorted(set(settings.methods).difference(results["method"])):
        raise InputError(
            f"{directory}: unfinished, without results of {', '.join(missing)}; resume it with `attrib bench`"
        )
