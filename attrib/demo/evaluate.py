"""Accuracy of the built-in model on held-out videos: `python -m attrib.demo.evaluate [--videos N] [--json]`.

Through real video files and the same adapter that users have. Beside each family's accuracy stand the accuracy on
blank (mid-grey) videos and with the video of another question of the family; both should be at chance, 1/3.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from attrib import models, video
from attrib.data.perception_test import PerceptionTest
from attrib.demo.families import FAMILIES
from attrib.demo.generate import generate
from attrib.errors import AttribError
from attrib.model import VideoModel
from attrib.types import Sample

SEED = 1  # of the generated set: neither a training seed nor the benchmark's own set


@dataclass(frozen=True)
class Accuracy:
    """Shares of right answers among `videos` held-out videos of one family."""

    family: str
    videos: int
    accuracy: float
    blank: float
    swapped: float


def evaluate(model: VideoModel, samples: Sequence[Sample]) -> list[Accuracy]:
    """One row per family present in `samples`, in the order of `FAMILIES`, then their mean."""
    rows = []
    for name, family in FAMILIES.items():
        chosen = [s for s in samples if s.question.text == family.question]
        if chosen:
            rows.append(_family(model, name, chosen))
    columns = ("accuracy", "blank", "swapped")
    means = {key: sum(getattr(row, key) for row in rows) / len(rows) for key in columns} if rows else {}
    return [*rows, Accuracy("mean", sum(row.videos for row in rows), **means)] if rows else []


def _family(model: VideoModel, name: str, samples: Sequence[Sample]) -> Accuracy:
    """Swapped: every question is asked of the next question's video."""
    right = torch.zeros(3, dtype=torch.float64)
    encoded = list(_encoded(model, name, samples))
    blank = model.encode(torch.full_like(model.preprocess(video.read(samples[0].video, model.frames)), 0.5)[None])
    for i, sample in enumerate(samples):
        for j, tokens in enumerate((encoded[i], blank, encoded[(i + 1) % len(samples)])):
            right[j] += int(model.score_tokens(tokens, sample.question).argmax()) == sample.question.answer
    shares = (right / len(samples)).tolist()
    return Accuracy(name, len(samples), *shares)


def _encoded(model: VideoModel, name: str, samples: Sequence[Sample]) -> Iterator[Tensor]:
    for sample in track(samples, f"evaluating {name}", console=Console(stderr=True), transient=True):
        yield model.encode(model.preprocess(video.read(sample.video, model.frames))[None])


def held_out(directory: Path, videos: int) -> list[Sample]:
    """`videos` held-out samples, generated into `directory` unless they are there already."""
    return list(PerceptionTest(str(generate(directory, videos, SEED))))


def table(rows: Sequence[Accuracy]) -> Table:
    """The rows for a terminal."""
    out = Table(title="accuracy on held-out videos (chance 0.333)")
    for column in ("family", "videos", "accuracy", "blank", "swapped"):
        out.add_column(column, justify="left" if column == "family" else "right")
    for row in rows:
        out.add_row(row.family, str(row.videos), *(f"{x:.3f}" for x in (row.accuracy, row.blank, row.swapped)))
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Accuracy of a model on held-out videos of the built-in world.")
    parser.add_argument("--videos", type=int, default=250, help="in all, shared by the families")
    parser.add_argument("--model", default="demo", help="name, checkpoint directory or id")
    parser.add_argument("--directory", type=Path, help="where the videos are kept; by default they are not")
    parser.add_argument("--json", action="store_true", help="print nothing but JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(
        1
    )  # the model is so small that threads wait for each other: 16 times slower on a busy machine
    try:
        with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
            samples = held_out(arguments.directory or Path(scratch), arguments.videos)
            rows = evaluate(models.load(arguments.model), samples)
    except AttribError as error:
        parser.exit(2, f"{error}\n")
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        Console().print(table(rows))


if __name__ == "__main__":
    main()
