"""One method on one sample: its map, and a score for each metric; kept or computed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from attrib.benchmarks.jobs.keys import digest
from attrib.benchmarks.jobs.sample_job import SampleJob
from attrib.benchmarks.jobs.store import Name, Record
from attrib.config import Entry
from attrib.errors import AttribError, InputError, NotWritten, told
from attrib.metric import ContrastMetric, Score
from attrib.runtime.memory import fitting
from attrib.types import Provenance, SaliencyVolume

Row = dict[str, Any]  # value, chance (None where there is none), reason, vision and error of one metric


@dataclass(frozen=True, eq=False)
class VolumeJob:
    """One sample's map by one method. Nothing is read or computed before it is asked for, and then once."""

    item: SampleJob
    method: Entry

    @cached_property
    def key(self) -> str:
        """Of all that the map depends on."""
        plan, sample = self.item.plan, self.item.sample
        peers = plan.peer_keys(sample) if "other videos" in self.method.item.needs else []
        own = plan.annotation_keys[sample.id]
        return digest(
            self.item.answer_key, str(plan.target), plan.config.seed, own, plan.method_keys[self.method.label], peers
        )

    def name(self, rival: bool = False) -> Name:
        """Where the record of the map is kept; `rival` is that of the strongest other option, as everywhere here."""
        return ("rivals" if rival else "volumes", self.item.sample.id, self.method.label)

    def path(self, rival: bool = False) -> Path:
        """Where the map itself is kept."""
        return self.item.run.volume_path(self.item.sample, self.method.label, rival)

    def kept(self, rival: bool = False) -> Record | None:
        """The record of a map that is there, or of its failure."""
        part = self.item.run.parts.kept(self.name(rival), self.key)
        return part if part and (part.error or _size(self.path(rival)) == part.value["bytes"]) else None

    def made(self, rival: bool = False) -> Record:
        """The record of the map, which is computed if it is not there: seconds, peak_memory and bytes, or the error."""
        return self.kept(rival) or self._adopted(rival) or self._computed(rival)

    @cached_property
    def volume(self) -> SaliencyVolume:
        """The map of the explained option. Raises AttribError with the error that it failed with."""
        return self._volume(rival=False)

    @cached_property
    def rival(self) -> SaliencyVolume:
        """The map of the strongest other option. Raises AttribError with the error that it failed with."""
        return self._volume(rival=True)

    def _volume(self, rival: bool) -> SaliencyVolume:
        part = self.made(rival)
        found = None if part.error else self._loaded(rival)
        if found is None and not part.error:  # of the right size, but damaged
            part = self._computed(rival)
            found = None if part.error else SaliencyVolume.load(self.path(rival))
        if found is None:
            raise AttribError(part.error)
        return found

    def _loaded(self, rival: bool) -> SaliencyVolume | None:
        try:
            found = SaliencyVolume.load(self.path(rival))
        except InputError:
            return None
        return found if found.provenance.key == self.key else None

    def _adopted(self, rival: bool) -> Record | None:
        """The record of a map that was written just before its process was killed."""
        found = self._loaded(rival)
        if found is None:
            return None
        part = Record(self.key, _record(found.provenance, self.path(rival)), seconds=found.provenance.seconds)
        self.item.run.parts.write(self.name(rival), part)
        return part

    def _computed(self, rival: bool) -> Record:
        path, label = self.path(rival), self.method.label

        def make() -> dict[str, Any]:
            subject = self.item.subject
            subject = subject.towards(subject.rival) if rival else subject
            volume: SaliencyVolume = self.method.item.attribute(subject, label)
            made = replace(volume.provenance, key=self.key)
            replace(volume, provenance=made).save(path)
            return _record(made, path)

        parts = self.item.run.parts
        if _size(path) and parts.kept(self.name(rival), self.key):
            parts.notes.append(f"{path}: not readable, and made again")
        return parts.compute(self.name(rival), self.key, make, self.given)

    @property
    def given(self) -> dict[str, Any]:
        """Sample and method in words, for the record of a failure."""
        return {**self.item.given, "method": self.method.name, "parameters": repr(self.method.item)}

    def scores_name(self, group: str) -> Name:
        """Where the scores of a group of metrics are kept."""
        return ("scores", self.item.sample.id, self.method.label, group)

    def score_keys(self, group: str) -> dict[str, Entry]:
        """The group's metrics by the key of all that their scores of this map depend on."""
        plan, sample = self.item.plan, self.item.sample

        def key(metric: Entry) -> str:
            needs = metric.item.needs
            peers = plan.peer_keys(sample) if "other videos" in needs else []
            videos = self.item.videos[1:] if "counterfactuals" in needs else []
            return digest(plan.metric_keys[group, metric.label], peers, videos)

        return {key(metric): metric for metric in plan.groups[group]}

    def kept_scores(self, group: str) -> dict[str, Row]:
        """Scores of this map by their keys; without those that failed if they are to be tried again."""
        parts = self.item.run.parts
        part = parts.kept(self.scores_name(group), self.key)
        rows: dict[str, Row] = part.value if part else {}
        return {key: row for key, row in rows.items() if not (row["error"] and parts.retry_failed)}

    def scores(self, group: str) -> list[tuple[Entry, Row]]:
        """Each metric of the group with its score; only those that are not kept are computed."""
        wanted, kept = self.score_keys(group), self.kept_scores(group)
        missing = {key: metric for key, metric in wanted.items() if key not in kept}
        if missing:
            what = [metric.label for metric in missing.values()]
            part = self.item.run.parts.compute(
                self.scores_name(group), self.key,
                lambda: {**kept, **{key: self._row(metric) for key, metric in missing.items()}}, self.given, what,
            )  # fmt: skip
            kept = part.value
        return [(metric, kept[key]) for key, metric in wanted.items()]

    def _row(self, metric: Entry) -> Row:
        try:
            with fitting(self.item.plan.model.dtype, metric.label, len(self.item.clip)):
                score = self._score(metric)
        except NotWritten:
            raise
        except Exception as error:  # a plug-in may raise anything; the other metrics go on
            return {"value": None, "chance": None, "reason": "", "vision": None, "error": told(error)}
        value, chance = map(_finite, (score.value, score.chance))
        return {"value": value, "chance": chance, "reason": score.reason, "vision": score.vision, "error": ""}

    def _score(self, metric: Entry) -> Score:
        subject, sample = self.item.subject, self.item.sample
        score: Score
        if isinstance(metric.item, ContrastMetric):
            score = metric.item.score(self.volume, self.rival, subject, sample)
        else:
            score = metric.item.score(self.volume, subject, sample)
        return score


def _record(made: Provenance, path: Path) -> dict[str, Any]:
    return {"seconds": made.seconds, "peak_memory": made.peak_memory, "bytes": _size(path)}


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
