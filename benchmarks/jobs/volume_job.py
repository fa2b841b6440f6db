"""One method on one sample: its saliency volume and a score for each metric, read from the cache or computed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from attrib.benchmarks.jobs.directory import VolumeFolder
from attrib.benchmarks.jobs.keys import digest
from attrib.benchmarks.jobs.roles import is_seen
from attrib.benchmarks.jobs.sample_job import SampleJob
from attrib.benchmarks.jobs.store import Name, Record, Store
from attrib.config import Entry
from attrib.errors import AttribError, InputError, NotWritten, failure_message
from attrib.metric import ContrastMetric, RemakingMetric, Score
from attrib.runtime.memory import fitting
from attrib.types import Provenance, SaliencyVolume

Row = dict[str, Any]  # value, chance (None if there is none), reason, vision and error of one metric


@dataclass(frozen=True, eq=False)
class VolumeJob:
    """Volume of one sample by one method. Everything is read or computed once, on first use.

    The folder `rivals` has the volumes that explain the strongest other option; see `towards_rival`.
    """

    item: SampleJob
    method: Entry
    folder: VolumeFolder = "volumes"

    @cached_property
    def towards_rival(self) -> VolumeJob:
        """Job of the same method's volume for the strongest other option."""
        return replace(self, folder="rivals")

    @cached_property
    def key(self) -> str:
        """Cache key of the volume."""
        plan, sample = self.item.plan, self.item.sample
        peers = plan.peer_key(sample) if "other videos" in self.method.item.needs else ""
        own = plan.annotation_keys[sample.id]
        return digest(
            self.item.answer_key, str(plan.target), plan.config.seed, own, plan.method_keys[self.method.label], peers
        )

    @property
    def name(self) -> Name:
        """Name of the volume's record."""
        return (self.folder, self.item.sample.id, self.method.label)

    @property
    def path(self) -> Path:
        """Path of the volume."""
        return self.item.run.volume_path(self.item.sample, self.method.label, self.folder)

    @property
    def store(self) -> Store:
        """Store of the run."""
        return self.item.run.store

    def peek(self) -> Record | None:
        """Return the record of an existing volume, or of its failure; compute nothing."""
        record = self.store.peek(self.name, self.key)
        return record if record and (record.error or _size(self.path) == record.value["bytes"]) else None

    def record(self) -> Record:
        """Return the volume's record, computed if missing: seconds, peak_memory and bytes, or the error."""
        return self.peek() or self._adopt() or self._compute()

    @cached_property
    def volume(self) -> SaliencyVolume:
        """Saliency volume. Raises AttribError with the error of a failed computation."""
        record = self.record()
        volume = None if record.error else self._load()
        if volume is None and not record.error:  # of the right size, but damaged
            record = self._compute()
            volume = None if record.error else SaliencyVolume.load(self.path)
        if volume is None:
            raise AttribError(record.error)
        return volume

    def _load(self) -> SaliencyVolume | None:
        try:
            volume = SaliencyVolume.load(self.path)
        except InputError:
            return None
        return volume if volume.provenance.key == self.key else None

    def _adopt(self) -> Record | None:
        """Write and return the record of a volume that was written just before its process was killed."""
        volume = self._load()
        if volume is None:
            return None
        provenance = volume.provenance
        record = Record(self.key, _costs(provenance, self.path), seconds=provenance.seconds)
        self.store.write(self.name, record)
        return record

    def _compute(self) -> Record:
        def make() -> dict[str, Any]:
            subject = self.item.subject
            subject = subject.towards(subject.rival) if self.folder == "rivals" else subject
            volume: SaliencyVolume = self.method.item.attribute(subject, self.method.label)
            provenance = replace(volume.provenance, key=self.key)
            replace(volume, provenance=provenance).save(self.path)
            return _costs(provenance, self.path)

        damaged = _size(self.path) and self.store.peek(self.name, self.key)
        log = {"damaged": str(self.path)} if damaged else {}
        return self.store.compute(self.name, self.key, make, self.given, log)

    @property
    def given(self) -> dict[str, Any]:
        """Description of sample and method for the record of a failure."""
        return {**self.item.given, "method": self.method.name, "parameters": repr(self.method.item)}

    def scores_name(self, group: str) -> Name:
        """Name of the record with the scores of a group of metrics."""
        return ("scores", self.item.sample.id, self.method.label, group)

    def score_keys(self, group: str) -> dict[str, Entry]:
        """Return the group's metrics by the cache keys of their scores for this volume."""
        return self.item.score_keys[group]

    def peek_scores(self, group: str) -> dict[str, Row]:
        """Return cached scores of this volume by key, without failed ones if the store retries these."""
        record = self.store.peek(self.scores_name(group), self.key)
        rows: dict[str, Row] = record.value if record else {}
        return {key: row for key, row in rows.items() if not (row["error"] and self.store.retry_failed)}

    def scores(self, group: str) -> list[tuple[Entry, Row]]:
        """Return each metric of the group with its score; only missing ones are computed."""
        wanted, rows = self.score_keys(group), self.peek_scores(group)
        missing = {key: metric for key, metric in wanted.items() if key not in rows}
        if missing:
            record = self.store.compute(
                self.scores_name(group), self.key,
                lambda: {**rows, **{key: self._row(metric) for key, metric in missing.items()}}, self.given,
                {"what": [metric.label for metric in missing.values()]},
            )  # fmt: skip
            rows = record.value
        return [(metric, rows[key]) for key, metric in wanted.items()]

    def _row(self, metric: Entry) -> Row:
        try:
            with fitting(self.item.plan.model.dtype, metric.label, len(self.item.clip)):
                score = self._score(metric)
        except NotWritten:
            raise
        except Exception as error:  # a plug-in may raise anything; the other metrics go on
            return {"value": None, "chance": None, "reason": "", "vision": None, "error": failure_message(error)}
        value, chance = map(_finite, (score.value, score.chance))
        return {"value": value, "chance": chance, "reason": score.reason, "vision": score.vision, "error": ""}

    def _score(self, metric: Entry) -> Score:
        if is_seen(self.method, metric):
            return Score.undefined(f"the method searched for its map with {metric.parameters['imputer']}")
        subject, sample = self.item.subject, self.item.sample
        score: Score
        if isinstance(metric.item, ContrastMetric):
            score = metric.item.score(self.volume, self.towards_rival.volume, subject, sample)
        elif isinstance(metric.item, RemakingMetric):
            remake = partial(self.method.item.attribute, name=self.method.label)
            score = metric.item.score(self.volume, remake, subject, sample)
        else:
            score = metric.item.score(self.volume, subject, sample)
        return score


def _costs(provenance: Provenance, path: Path) -> dict[str, Any]:
    return {"seconds": provenance.seconds, "peak_memory": provenance.peak_memory, "bytes": _size(path)}


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
