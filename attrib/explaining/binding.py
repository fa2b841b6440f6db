"""Load the model that settings describe, and bind it to a clip and a question."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from attrib import config, models, video
from attrib.capabilities import AnswersFreely, WeighsLetters, require
from attrib.explaining.request import check_target
from attrib.model import OpaqueModel, VideoModel
from attrib.runtime.memory import bytes_text, fitting
from attrib.subject import Subject, Target
from attrib.types import Clip, Question, Sample, Shot

LEAST_MASS = 0.5  # of the letters; an answer with less is no choice among the options


@dataclass(frozen=True)
class FrameSampling:
    """Number of frames of a video that a model sees, and how they are spread over it."""

    frames: int
    how: video.Sampling

    @staticmethod
    def of(section: config.ModelSection, model: VideoModel) -> FrameSampling:
        """Sampling from a configuration; without `frames` the model's default number."""
        return FrameSampling(section.frames or model.frames, section.sampling)

    def read(self, source: str | Path) -> Clip:
        """Read these frames of a video file. Raises VideoError for an unreadable file."""
        return video.read(source, frames=self.frames, sampling=self.how)


def load(section: config.ModelSection) -> VideoModel:
    """Load the model that a configuration's section describes."""
    return models.load(
        section.name, device=section.device, dtype=section.dtype, revision=section.revision, offline=section.offline,
        device_map=section.device_map, pixels=section.pixels,
    )  # fmt: skip


def placement(subject: Subject) -> str:
    """Describe where and how the model runs: `cpu, float32, 288 visual tokens, weights of 4.6 MiB`."""
    model = subject.model
    weights = sum(each.nbytes for each in model.module.parameters())
    dtype = str(model.dtype).removeprefix("torch.")
    tokens = "a black box: no adapter for its family" if isinstance(model, OpaqueModel) else (
        f"{subject.grid.tokens} visual tokens"
    )  # fmt: skip
    return f"{model.device}, {dtype}, {tokens}, weights of {bytes_text(weights)}"


def with_reply(question: Question, model: VideoModel, clip: Clip, answer: str | None = None) -> Question:
    """Return the question with a tokenised reply: `answer`, or by default the model's own."""
    speaker = require(model, AnswersFreely, "a free answer")
    if answer is not None:
        return replace(question, reply=speaker.reply(answer))
    pixels = model.preprocess(clip)
    return replace(question, reply=speaker.generate(pixels, replace(question, shot=Shot.of(pixels, clip))))


@torch.no_grad()
def letter_mass(subject: Subject) -> float | None:
    """Share of the vocabulary's probability on the option letters; None for free answers and models without it."""
    if not subject.question.options or not isinstance(subject.model, WeighsLetters):
        return None
    with fitting(subject.model.dtype, "asking the model", len(subject.clip)):
        return subject.model.letter_mass(subject.visual, subject.question)


def bind_sample(
    model: VideoModel, settings: config.ExplainConfig, sample: Sample, target: Target | None = None,
    peers: tuple[Sample, ...] = (),
) -> Subject:  # fmt: skip
    """Bind the model to a sample's clip and question, with its annotation; without options the model answers freely.

    The default target is the model's own answer. Raises InputError if the video cannot be read or the target does not
    exist.
    """
    check_target(sample.question.options, str(target or "predicted"))
    clip = FrameSampling.of(settings.model, model).read(sample.video)
    question = sample.question
    if not question.options:
        question = with_reply(question, model, clip)
    target = target if question.options else None
    return replace(Subject.bind(model, clip, question, target, settings.seed), sample=sample, peers=peers)
