"""One sample of a run: its clip, the model's answer and the gate, each read from the cache or computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.keys import digest, file_hashes
from attrib.benchmarks.jobs.plan import Plan
from attrib.benchmarks.jobs.store import Name, Record
from attrib.benchmarks.metrics.faithfulness import CurveMetric
from attrib.benchmarks.perturb.counterfactual import gate
from attrib.config import Entry
from attrib.errors import AttribError
from attrib.explaining.binding import letter_mass
from attrib.subject import Subject
from attrib.types import Clip, Sample, Shot


@dataclass(frozen=True, eq=False)
class SampleJob:
    """Work on one sample of a run. Everything is read or computed once, on first use."""

    plan: Plan
    run: RunDirectory
    sample: Sample

    @cached_property
    def clip(self) -> Clip:
        """Clip of the sample's video."""
        return self.plan.sampling.read(self.sample.video)

    @cached_property
    def subject(self) -> Subject:
        """Model bound to the clip, with its cached answer. Raises AttribError with the error of a failed answer."""
        if self.answer.error:
            raise AttribError(self.answer.error)
        return self._subject(torch.tensor(self.answer.value["logprobs"], device=self.plan.model.device))

    def unanswered(self) -> Subject:
        """Model bound to the clip, as if every option were as likely, without a pass of the model: for its sizes."""
        return self._subject(torch.zeros(len(self.sample.question.options), device=self.plan.model.device))

    def _subject(self, logprobs: torch.Tensor) -> Subject:
        plan, question = self.plan, self.sample.question
        explained, others = plan.target.resolve(question, int(logprobs.argmax()))
        pixels = plan.model.preprocess(self.clip)
        return Subject(
            model=plan.model, clip=self.clip, question=replace(question, shot=Shot.of(pixels, self.clip)),
            target=plan.target, seed=plan.config.seed, pixels=pixels, logprobs=logprobs, explained=explained,
            others=others, sample=self.sample, peers=plan.peers(self.sample),
        )  # fmt: skip

    @cached_property
    def videos(self) -> list[str]:
        """Hashes of the sample's video file and of its counterfactual videos."""
        return file_hashes([self.sample.video, *(item.video for item in self.sample.counterfactuals)])

    @cached_property
    def given(self) -> dict[str, Any]:
        """Description of the sample for the record of a failure."""
        question = self.sample.question
        return {"video": str(self.sample.video), "question": question.text, "options": list(question.options)}

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the clip's token grid."""
        rows, columns = self.answer.value.get("grid") or (self.subject.grid.rows, self.subject.grid.columns)
        return rows, columns

    @property
    def answer_name(self) -> Name:
        """Name of the answer's record."""
        return ("answers", self.sample.id)

    @cached_property
    def answer_key(self) -> str:
        """Cache key of the model's answer."""
        plan, sampling = self.plan, self.plan.sampling
        return digest(plan.model_key, self.videos[0], self.sample.question, sampling.frames, sampling.how)

    @cached_property
    def answer(self) -> Record:
        """Record of the option log-probabilities in nats, the letters' mass, numbers of frames and cells, warnings."""

        def make() -> dict[str, Any]:
            subject = Subject.bind(self.plan.model, self.clip, self.sample.question)
            warnings = list(self.clip.warnings)
            answer = {"logprobs": subject.logprobs.tolist(), "letter_mass": letter_mass(subject)}
            grid = [subject.grid.rows, subject.grid.columns]
            return {**answer, "frames": len(self.clip), "grid": grid, "warnings": warnings}

        return self.run.store.get_or_compute(self.answer_name, self.answer_key, make, self.given)

    @cached_property
    def score_keys(self) -> dict[str, dict[str, Entry]]:
        """Metrics by group and by the cache keys of their scores for the maps of this sample."""
        peers = self.plan.peer_key(self.sample)

        def key(group: str, metric: Entry) -> str:
            needs = metric.item.needs
            videos = self.videos[1:] if "counterfactuals" in needs else []
            return digest(self.plan.metric_keys[group, metric.label], peers if "other videos" in needs else "", videos)

        return {
            group: {key(group, metric): metric for metric in metrics}
            for group, metrics in self.plan.metric_groups.items()
        }

    @cached_property
    def curve_keys(self) -> dict[str, dict[str, Entry]]:
        """Those of `score_keys` whose metrics read curves."""
        return {
            group: {key: metric for key, metric in metrics.items() if isinstance(metric.item, CurveMetric)}
            for group, metrics in self.score_keys.items()
        }

    @property
    def gate_name(self) -> Name:
        """Name of the gate's record."""
        return ("gates", self.sample.id)

    @property
    def gate_key(self) -> str:
        """Cache key of the gate."""
        own = self.plan.annotation_keys[self.sample.id]
        return digest(self.answer_key, self.videos, own, self.plan.gate_key)

    @cached_property
    def gate(self) -> Record:
        """Record of whether the evidence is ground truth for the model; its value is None if that is unknown."""
        if not self.sample.counterfactuals:
            return Record(self.gate_key)
        return self.run.store.get_or_compute(
            self.gate_name, self.gate_key, lambda: gate(self.subject, self.sample), self.given
        )
