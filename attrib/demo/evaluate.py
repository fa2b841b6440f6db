"""Accuracy of the built-in model on held-out videos: `python -m attrib.demo.evaluate [--videos N] [--json]`.

The model runs on video files through the same adapter as any other model. For each question family, the table also
shows the accuracy on blank (mid-grey) videos and on videos of other questions of the family, which should both be at
chance (1/3), and on frames in random order, which should be lower where the order matters.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from attrib import models, video
from attrib.data.perception_test import PerceptionTest
from attrib.demo.generate import MOST_VIDEOS, generate
from attrib.demo.pool import progress, workers
from attrib.demo.world.families import FAMILIES
from attrib.errors import AttribError
from attrib.model import VideoModel
from attrib.types import Question, Sample, Shot

SEED = 1  # of the generated set; different from the training seeds and from the benchmark's set
FEW = 100
PARTNERS = 3  # other videos that each question is asked about, for a precise estimate of chance


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on `videos` held-out videos of one family: as they are, blank, swapped and with shuffled frames."""

    family: str
    videos: int
    accuracy: float
    blank: float
    swapped: float
    shuffled: float


SHARES = tuple(field.name for field in fields(Accuracy)[2:])


def evaluate(directory: Path, model: str = "demo") -> list[Accuracy]:
    """Return a row for each family present in a generated directory, in the order of `FAMILIES`, then their mean.

    Of at most FEW videos in this process: others take longer to start.
    """
    few = sum(1 for _ in PerceptionTest(str(directory))) <= FEW
    with nullcontext() if few else workers() as pool:
        results = (pool.map if pool else map)(partial(_family, directory, model), FAMILIES)
        rows = [row for row in progress(results, "evaluating", len(FAMILIES)) if row.videos]
    means = {key: sum(getattr(row, key) for row in rows) / len(rows) for key in SHARES} if rows else {}
    return [*rows, Accuracy("mean", sum(row.videos for row in rows), **means)] if rows else []


def _family(directory: Path, name: str, family: str) -> Accuracy:
    """Evaluate one family."""
    with torch.no_grad():
        samples = [s for s in PerceptionTest(str(directory)) if s.question.text == FAMILIES[family].question]
        return accuracy(models.load(name), family, samples)


def accuracy(model: VideoModel, family: str, samples: Sequence[Sample]) -> Accuracy:
    """Evaluate samples of one family. On blank videos each question is asked with every rotation of its options."""
    right = dict.fromkeys(SHARES, 0.0)
    rng = np.random.default_rng(SEED)
    shuffled = [rng.permutation(model.frames) for _ in samples]
    tokens = [_encoded(model, sample, order) for sample, order in zip(samples, shuffled, strict=True)]
    blank = model.encode(torch.full_like(_seen(model, samples[0])[0], 0.5)[None]) if samples else None
    for i, sample in enumerate(samples):
        question = replace(sample.question, shot=tokens[i][2])
        others = (i + 1 + rng.choice(len(samples) - 1, min(PARTNERS, len(samples) - 1), replace=False)) % len(samples)
        right["accuracy"] += _right(model, tokens[i][0], question)
        right["shuffled"] += _right(model, tokens[i][1], question)
        right["swapped"] += float(np.mean([_right(model, tokens[j][0], question) for j in others.tolist()] or [0.0]))
        right["blank"] += float(np.mean([_right(model, blank, rotated) for rotated in _rotated(question)]))
    return Accuracy(family, len(samples), **{key: value / max(len(samples), 1) for key, value in right.items()})


def _seen(model: VideoModel, sample: Sample) -> tuple[Tensor, Shot]:
    clip = video.read(sample.video, model.frames)
    pixels = model.preprocess(clip)
    return pixels, Shot.of(pixels, clip)


def _encoded(model: VideoModel, sample: Sample, order: np.ndarray) -> tuple[Tensor, Tensor, Shot]:
    """Visual tokens of the video, those of the video with its frames in the given order, and its shot."""
    pixels, shot = _seen(model, sample)
    return model.encode(pixels[None]), model.encode(pixels[torch.from_numpy(order)][None]), shot


def _right(model: VideoModel, tokens: Tensor | None, question: Question) -> float:
    assert tokens is not None  # None only without samples
    return float(int(model.score_tokens(tokens, question).argmax()) == question.answer)


def _rotated(question: Question) -> Iterator[Question]:
    """Yield the question with each rotation of its options, so that the right one stands at each letter once."""
    count = len(question.options)
    assert question.answer is not None  # generated questions have one
    for turn in range(count):
        options = question.options[turn:] + question.options[:turn]
        yield replace(question, options=options, answer=(question.answer - turn) % count)


def table(rows: Sequence[Accuracy]) -> Table:
    """Table of the rows for a terminal."""
    out = Table(title="accuracy on held-out videos (chance 0.333)")
    for column in ("family", "videos", *SHARES):
        out.add_column(column, justify="left" if column == "family" else "right")
    for row in rows:
        out.add_row(row.family, str(row.videos), *(f"{getattr(row, key):.3f}" for key in SHARES))
    return out


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Accuracy of a model on held-out videos of the built-in world.")
    parser.add_argument("--videos", type=int, default=500, help="number of videos of each family")
    parser.add_argument("--model", default="demo", help="model name, checkpoint directory or hub id")
    parser.add_argument("--directory", type=Path, help="folder for the videos; default: a temporary one")
    parser.add_argument("--json", action="store_true", help="print only JSON")
    arguments = parser.parse_args()
    most = MOST_VIDEOS // len(FAMILIES)
    if not 1 <= arguments.videos <= most:
        parser.error(f"--videos: expected 1 to {most}, got {arguments.videos}")
    try:
        with tempfile.TemporaryDirectory() as scratch:
            directory = arguments.directory or Path(scratch)
            rows = evaluate(generate(directory, arguments.videos * len(FAMILIES), SEED), arguments.model)
    except AttribError as error:
        parser.exit(2, f"{error}\n")
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        Console().print(table(rows))


if __name__ == "__main__":
    main()
