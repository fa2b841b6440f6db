"""One run directory: resolved configuration, environment, an item file per (sample, method), volumes and results.

    config.yaml  environment.json  items/SAMPLE/METHOD.json  volumes/SAMPLE/METHOD.npz  rivals/SAMPLE/METHOD.npz
    videos/METHOD/SAMPLE.mp4  results.parquet  leaderboard.csv

Every file is written beside and renamed, so that a run that stops at any moment resumes where it was.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import yaml

from attrib.config import Config
from attrib.errors import InputError
from attrib.files import write_text, writing
from attrib.types import Sample

COLUMNS = {
    "sample": "string", "video": "string", "task": "string", "method": "string", "metric": "string",
    "imputer": "string", "value": "float64", "chance": "float64", "reason": "string", "answer": "string",
    "correct": "boolean", "gated": "boolean", "seconds": "float64", "peak_memory": "Int64",
}  # fmt: skip


@dataclass(frozen=True)
class ScoreRow:
    """One metric on one volume; `value` None where it is undefined, and `reason` why."""

    metric: str
    imputer: str | None
    value: float | None
    chance: float | None
    reason: str = ""


@dataclass(frozen=True)
class Item:
    """What is kept of one (sample, method): its scores, or the error that it failed with.

    `key` hashes all that the scores depend on, `volume_key` all that the volume depends on.
    """

    sample: str
    video: str
    task: str
    method: str
    key: str
    volume_key: str
    answer: str | None = None
    correct: bool | None = None
    gated: bool | None = None  # whether the evidence is ground truth for the model; None where that is not known
    seconds: float | None = None
    peak_memory: int | None = None
    error: str = ""
    warnings: tuple[str, ...] = ()  # of the video, such as frames that could not be read
    reports: dict[str, float] = field(default_factory=dict)
    scores: tuple[ScoreRow, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return bool(self.error)

    def rows(self) -> list[dict[str, Any]]:
        """Its rows of the results table; a failed item has one, with the error as reason."""
        shared = {name: getattr(self, name) for name in
                  ("sample", "video", "task", "method", "answer", "correct", "gated", "seconds",
                   "peak_memory")}  # fmt: skip
        scores = self.scores or (ScoreRow("", None, None, None, f"failed: {self.error}"),)
        return [{**shared, **asdict(score)} for score in scores]


@dataclass(frozen=True)
class Run:
    """A run's directory."""

    directory: Path

    @staticmethod
    def create(directory: Path, config: Config) -> Run:
        """Make the directory and write what describes the run. Raises InputError when it cannot be written."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{directory}: cannot be made: {error.strerror}") from error
        write_text(directory / "config.yaml", yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True))
        write_text(directory / "environment.json", json.dumps(environment(), indent=2) + "\n")
        return Run(directory)

    def item_path(self, sample: Sample, method: str) -> Path:
        """Where an item is kept; ids come from data and are quoted."""
        return self.directory / "items" / _name(sample.id) / f"{_name(method)}.json"

    def volume_path(self, sample: Sample, method: str) -> Path:
        """Where a volume is kept."""
        return self.directory / "volumes" / _name(sample.id) / f"{_name(method)}.npz"

    def rival_path(self, sample: Sample, method: str) -> Path:
        """Where the volume of the strongest other option is kept, for metrics that contrast the two."""
        return self.directory / "rivals" / _name(sample.id) / f"{_name(method)}.npz"

    def overlay_path(self, sample: Sample, method: str) -> Path:
        """Where an overlay video is kept."""
        return self.directory / "videos" / _name(method) / f"{_name(sample.id)}.mp4"

    def read(self, sample: Sample, method: str) -> Item | None:
        """The kept item; None when there is none or it is not readable."""
        try:
            found = json.loads(self.item_path(sample, method).read_text(encoding="utf-8"))
            scores = tuple(ScoreRow(**row) for row in found["scores"])
            return Item(**{**found, "scores": scores, "warnings": tuple(found["warnings"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, sample: Sample, item: Item) -> None:
        """Keep an item."""
        write_text(self.item_path(sample, item.method), json.dumps(asdict(item), indent=1, allow_nan=False) + "\n")

    def write_results(self, items: Iterable[Item]) -> pd.DataFrame:
        """Write results.parquet, one row for each item and metric, and return it."""
        rows = [row for item in items for row in item.rows()]
        table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
        with writing(self.directory / "results.parquet") as part:
            table.to_parquet(part, index=False)
        return table

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a table as CSV."""
        with writing(self.directory / name) as part:
            table.to_csv(part, index=False)


def _name(text: str) -> str:
    """A file name that no id can leave the directory with."""
    quoted = quote(text, safe=" +=@~")
    return quoted.replace(".", "%2E", 1) if quoted.startswith(".") else quoted


def environment() -> dict[str, Any]:
    """Python, platform and the versions of all installed packages."""
    packages = {found.metadata["Name"]: found.version for found in distributions()}
    return {
        "python": sys.version, "platform": platform.platform(), "machine": platform.machine(),
        "packages": dict(sorted(packages.items(), key=lambda pair: pair[0].lower())),
    }  # fmt: skip
