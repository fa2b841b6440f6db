"""Accuracy of a built-in model on held-out videos: `python -m attrib.demo.evaluate [--model NAME] [--videos N]`.

The model runs on video files through the same adapter as any other model. For each question family, the table also
shows the accuracy on blank (mid-grey) videos and on videos of other questions of the family, which should both be at
chance; on steps in random order and from the visual tokens of one fixed step alone (the best of them for the family),
which should be lower where the order matters. A step is a frame or, in models that join frames, two.
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
    """Accuracy on `videos` held-out videos of one family, beside chance: as they are, blank, swapped, with steps in
    random order, and from the tokens of that one step alone, the same in all videos, from which it is highest.
    """

    family: str
    videos: int
    chance: float
    accuracy: float
    blank: float
    swapped: float
    shuffled: float
    best_step: float


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
    right: dict[str, list[float]] = {name: [] for name in SHARES if name not in ("chance", "best_step")}
    steps: list[list[float]] = []
    rng = np.random.default_rng(SEED)
    tokens = [_encoded(model, sample, rng) for sample in samples]
    blank = model.encode(torch.full_like(_seen(model, samples[0])[0], 0.5)[None]) if samples else None
    for i, sample in enumerate(samples):
        own, shuffled, shot = tokens[i]
        question = replace(sample.question, shot=shot)
        others = (i + 1 + rng.choice(len(samples) - 1, min(PARTNERS, len(samples) - 1), replace=False)) % len(samples)
        right["accuracy"].append(_right(model, own, question))
        right["shuffled"].append(_right(model, shuffled, question))
        right["swapped"].append(float(np.mean([_right(model, tokens[j][0], question) for j in others.tolist()] or [0])))
        right["blank"].append(float(np.mean([_right(model, blank, rotated) for rotated in _rotated(question)])))
        steps.append([_right(model, own, question, kept) for kept in _steps(model, shot)])
    means = {name: float(np.mean(values or [0])) for name, values in right.items()}
    best = float(np.mean(steps, axis=0).max()) if steps else 0.0
    chance = float(np.mean([1 / len(sample.question.options) for sample in samples] or [0]))
    return Accuracy(family, len(samples), chance=chance, best_step=best, **means)


def _steps(model: VideoModel, shot: Shot) -> list[Tensor]:
    """Masks (n,) of the visual tokens of each step."""
    grid = model.grid(shot)
    step = torch.arange(grid.tokens) // (grid.rows * grid.columns)
    return [step == i for i in range(grid.steps)]


def _seen(model: VideoModel, sample: Sample) -> tuple[Tensor, Shot]:
    clip = video.read(sample.video, model.frames)
    pixels = model.preprocess(clip)
    return pixels, Shot.of(pixels, clip)


def _encoded(model: VideoModel, sample: Sample, rng: np.random.Generator) -> tuple[Tensor, Tensor, Shot]:
    """Visual tokens of the video, those of the video with its steps in random order, and its shot."""
    pixels, shot = _seen(model, sample)
    each = len(pixels) // model.grid(shot).steps
    order = torch.from_numpy(rng.permutation(len(pixels) // each))
    shuffled = pixels.unflatten(0, (-1, each))[order].flatten(0, 1)
    return model.encode(pixels[None]), model.encode(shuffled[None]), shot


def _right(model: VideoModel, tokens: Tensor | None, question: Question, kept: Tensor | None = None) -> float:
    assert tokens is not None  # None only without samples
    return float(int(model.score_tokens(tokens, question, kept).argmax()) == question.answer)


def _rotated(question: Question) -> Iterator[Question]:
    """Yield the question with each rotation of its options, so that the right one stands at each letter once."""
    count = len(question.options)
    assert question.answer is not None  # generated questions have one
    for turn in range(count):
        options = question.options[turn:] + question.options[:turn]
        yield replace(question, options=options, answer=(question.answer - turn) % count)


def table(rows: Sequence[Accuracy]) -> Table:
    """Table of the rows for a terminal."""
    out = Table(title="accuracy on held-out videos")
    for column in ("family", "videos", *SHARES):
        out.add_column(column.replace("_", " "), justify="left" if column == "family" else "right")
    for row in rows:
        out.add_row(row.family, str(row.videos), *(f"{getattr(row, key):.3f}" for key in SHARES))
    return out


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Accuracy of a model on held-out videos of the built-in world.")
    parser.add_argument("--videos", type=int, default=500, help="number of videos of each family")
    parser.add_argument("--model", default="demo", help="demo, a checkpoint directory or a hub id")
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
