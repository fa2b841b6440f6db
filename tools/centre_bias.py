"""Score of a blob in the centre if the evidence is usually there: `python -m tools.centre_bias [--json]`.

The annotations are simulated, without a model: each video's evidence is a box jittered around the centre, for two
seconds that start at random within the first two. The maps are the benchmark's controls. Plain metrics reward the blob;
metrics that compare a map with other videos' evidence do not.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from attrib import registry
from attrib.model import TokenGrid, VideoModel
from attrib.subject import Subject
from attrib.types import Clip, Evidence, Question, Sample, Shot, Track

METHODS = ("centre", "dataset_prior", "random", "oracle")
PLAIN = ("roc_auc", "nss", "lift", "pointing")
CORRECTED = ("shuffled_auc", "information_gain")
FRAMES, SIDE, VIDEOS = 8, 8, 24
_QUESTION = Question("Where is it?", ("here", "there"))


class GridModel(VideoModel):
    """Model that only has a token grid, which is all that an alignment metric needs."""

    def __init__(self, rows: int, columns: int) -> None:
        self.name, self.revision, self.frames = "none", None, FRAMES
        self._shape = rows, columns
        self._module = nn.ParameterList([nn.Parameter(torch.zeros(()), requires_grad=False)])

    @property
    def module(self) -> nn.Module:
        """Module with a single parameter."""
        return self._module

    def preprocess(self, clip: Clip) -> Tensor:
        """Convert the frames to floats, without resizing."""
        return torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255

    def grid(self, shot: Shot) -> TokenGrid:
        """Token grid of the clip's number of frames."""
        return TokenGrid(shot.frames, *self._shape)

    def encode(self, pixels: Tensor) -> Tensor:
        """Zero tokens."""
        return pixels.new_zeros(len(pixels), TokenGrid(pixels.shape[1], *self._shape).tokens, 1)

    def score_tokens(self, tokens: Tensor, question: Question, keep: Tensor | None = None) -> Tensor:
        """Uniform log-probabilities."""
        return torch.full((len(tokens), len(question.options)), 1 / len(question.options)).log()


def annotated(count: int, frames: int = FRAMES, seed: int = 0) -> list[Sample]:
    """Return samples of `count` videos of `frames` seconds; box centres vary by .08 of the frame."""
    rng = np.random.default_rng(seed)
    times, samples = np.arange(float(frames)), []
    for index in range(count):
        middle, half, start = 0.5 + rng.normal(0, 0.08, 2), rng.uniform(0.12, 0.22, 2), rng.uniform(0, 2)
        boxes = np.tile([*(middle - half), *(middle + half)], (frames, 1))
        track = Track(1, "thing", times, boxes, np.zeros(frames, bool))
        evidence = (Evidence(1, start, start + 2),)
        samples.append(Sample(f"v{index:03}_0", Path(f"v{index:03}.mp4"), _QUESTION, "", (track,), (), evidence))
    return samples


def subjects(samples: Sequence[Sample], frames: int = FRAMES, side: int = SIDE) -> list[Subject]:
    """Return a subject for each sample, with the others as peers; the frames are noise, so that clips differ."""
    model, rng = GridModel(side, side), np.random.default_rng(0)
    bound_subjects = []
    for own in samples:
        pixels = rng.integers(0, 256, (frames, side, side, 3), dtype=np.uint8)
        bound = Subject.bind(model, Clip(pixels, np.arange(float(frames)), float(frames)), own.question)
        peers = tuple(each for each in samples if each is not own)
        bound_subjects.append(replace(bound, sample=own, peers=peers))
    return bound_subjects


def measured(videos: int = VIDEOS, seed: int = 0) -> pd.DataFrame:
    """Mean over the videos, by control (rows) and metric (columns, plain metrics first)."""
    bound = subjects(annotated(videos, seed=seed))
    table = pd.DataFrame(index=pd.Index(METHODS, name="method"), columns=[*PLAIN, *CORRECTED], dtype=float)
    for method in METHODS:
        volumes = [registry.get("methods", method)().attribute(subject) for subject in bound]
        for name in table.columns:
            metric = registry.get("metrics", name)()
            pairs = zip(volumes, bound, strict=True)
            values = [metric.score(volume, subject, subject.sample).value for volume, subject in pairs]
            table.loc[method, name] = np.nanmean(values)
    return table


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only JSON")
    parser.add_argument("--videos", type=int, default=VIDEOS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.videos < 2 or options.seed < 0:
        parser.error(f"expected --videos of 2 or more and --seed of 0 or more, got {options.videos} and {options.seed}")
    means = measured(options.videos, options.seed)
    if options.json:
        print(json.dumps({"videos": options.videos, "means": means.to_dict(orient="index")}, indent=2))
        return
    table = Table("map", *means.columns, box=None, pad_edge=False)
    for method, row in means.iterrows():
        table.add_row(str(method), *(f"{value:.2f}" for value in row))
    table.add_row("chance", "0.50", "0.00", "1.00", "area", "0.50", "about 0.00", style="dim")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
