"""What a blob in the centre scores where evidence lies there: `python -m tools.centre_bias [--json]`.

Made annotations, no model: each video's evidence is a box jittered round the middle, for two seconds that begin at
random within the first two. The maps are the benchmark's own controls. Plain measures praise the blob; those that hold
it against other videos' evidence do not.
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
from attrib.types import Clip, Evidence, Question, Sample, Track

METHODS = ("centre", "dataset_prior", "random", "oracle")
PLAIN = ("roc_auc", "nss", "lift", "pointing")
CORRECTED = ("shuffled_auc", "information_gain")
FRAMES, SIDE, VIDEOS = 8, 8, 24
_QUESTION = Question("Where is it?", ("here", "there"))


class Gridded(VideoModel):
    """A token grid and nothing else: what an alignment metric asks of a model."""

    def __init__(self, rows: int, columns: int) -> None:
        self.name, self.revision, self.frames = "none", None, FRAMES
        self._shape = rows, columns
        self._module = nn.ParameterList([nn.Parameter(torch.zeros(()), requires_grad=False)])

    @property
    def module(self) -> nn.Module:
        """A single number."""
        return self._module

    def preprocess(self, clip: Clip) -> Tensor:
        """Frames as they are."""
        return torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255

    def grid(self, frames: int) -> TokenGrid:
        """As it was given."""
        return TokenGrid(frames, *self._shape)

    def encode(self, pixels: Tensor) -> Tensor:
        """Nothing in each token."""
        return pixels.new_zeros(len(pixels), self.grid(pixels.shape[1]).tokens, 1)

    def score_tokens(self, tokens: Tensor, question: Question, keep: Tensor | None = None) -> Tensor:
        """Even chances."""
        return torch.full((len(tokens), len(question.options)), 1 / len(question.options)).log()


def annotated(count: int, frames: int = FRAMES, seed: int = 0) -> list[Sample]:
    """Samples of so many videos of `frames` seconds; the boxes' middles vary by .08 of the frame, their sides by 2."""
    rng = np.random.default_rng(seed)
    times, found = np.arange(float(frames)), []
    for index in range(count):
        middle, half, start = 0.5 + rng.normal(0, 0.08, 2), rng.uniform(0.12, 0.22, 2), rng.uniform(0, 2)
        boxes = np.tile([*(middle - half), *(middle + half)], (frames, 1))
        track = Track(1, "thing", times, boxes, np.zeros(frames, bool))
        evidence = (Evidence(1, start, start + 2),)
        found.append(Sample(f"v{index:03}_0", Path(f"v{index:03}.mp4"), _QUESTION, "", (track,), (), evidence))
    return found


def subjects(samples: Sequence[Sample], frames: int = FRAMES, side: int = SIDE) -> list[Subject]:
    """One for each sample, with the others as its peers; noise as frames, so that each clip is another."""
    model, rng = Gridded(side, side), np.random.default_rng(0)
    found = []
    for own in samples:
        pixels = rng.integers(0, 256, (frames, side, side, 3), dtype=np.uint8)
        bound = Subject.bind(model, Clip(pixels, np.arange(float(frames)), float(frames)), own.question)
        peers = tuple(each for each in samples if each is not own)
        found.append(replace(bound, sample=own, peers=peers))
    return found


def measured(videos: int = VIDEOS, seed: int = 0) -> pd.DataFrame:
    """Mean over the videos of each control (rows) by each measure (columns, the plain ones first)."""
    bound = subjects(annotated(videos, seed=seed))
    table = pd.DataFrame(index=pd.Index(METHODS, name="method"), columns=[*PLAIN, *CORRECTED], dtype=float)
    for method in METHODS:
        volumes = [registry.get("methods", method)().attribute(subject) for subject in bound]
        for name in table.columns:
            metric = registry.get("metrics", name)()
            values = [metric.score(volume, one, one.sample).value for volume, one in zip(volumes, bound, strict=True)]
            table.loc[method, name] = np.nanmean(values)
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only JSON")
    parser.add_argument("--videos", type=int, default=VIDEOS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.videos < 2 or given.seed < 0:
        parser.error(f"expected --videos of 2 or more and --seed of 0 or more, got {given.videos} and {given.seed}")
    found = measured(given.videos, given.seed)
    if given.json:
        print(json.dumps({"videos": given.videos, "means": found.to_dict(orient="index")}, indent=2))
        return
    shown = Table("map", *found.columns, box=None, pad_edge=False)
    for method, row in found.iterrows():
        shown.add_row(str(method), *(f"{value:.2f}" for value in row))
    shown.add_row("chance", "0.50", "0.00", "1.00", "area", "0.50", "0.00 at most", style="dim")
    Console(width=100).print(shown)


if __name__ == "__main__":
    main()
