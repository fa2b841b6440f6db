"""Video model whose log-odds are a weighted sum of the cells' mean red, so that every curve can be computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from attrib.model import TokenGrid, VideoModel
from attrib.subject import Subject, Target
from attrib.types import (
    Clip,
    Counterfactual,
    Evidence,
    Provenance,
    Question,
    SaliencyVolume,
    Sample,
    Segment,
    Shot,
    Track,
)

QUESTION = Question("Is there red?", ("yes", "no"), answer=0)
CELL = 2  # pixels along each side of a cell
STEP = 0.5  # seconds between frames


class LinearModel(VideoModel):
    """Model with f = bias + sum over cells of weight * mean red; it counts the evaluated clips. Explain option 0."""

    def __init__(self, weights: np.ndarray, bias: float = 0.0) -> None:
        self.name, self.revision, self.frames = "linear", None, len(weights)
        self.bias, self.evaluated = bias, 0
        self._module = nn.Module()
        self._module.weight = nn.Parameter(torch.tensor(weights, dtype=torch.float32), requires_grad=False)

    @property
    def module(self) -> nn.Module:
        return self._module

    def preprocess(self, clip: Clip) -> Tensor:
        return torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255

    def grid(self, shot: Shot) -> TokenGrid:
        return TokenGrid(shot.frames, *self._module.weight.shape[1:])

    def encode(self, pixels: Tensor) -> Tensor:
        self.evaluated += len(pixels)
        red = nn.functional.avg_pool2d(pixels[:, :, 0], CELL)
        return red.flatten(1)[..., None]

    def score_tokens(self, tokens: Tensor, question: Question, keep: Tensor | None = None) -> Tensor:
        weighted = tokens[..., 0] * self._module.weight.flatten()
        f = (weighted if keep is None else weighted[:, keep]).sum(dim=1) + self.bias
        return torch.log_softmax(torch.stack([f, torch.zeros_like(f)], dim=1), dim=1)


def subject_of(weights: np.ndarray, red: np.ndarray | None = None, *, bias: float = 0.0, seed: int = 0) -> Subject:
    """Subject of the linear model on a clip whose cells (t, rows, columns) have the given red, 0 to 255."""
    cells = np.zeros(weights.shape) if red is None else np.asarray(red)
    frames = np.zeros((*cells.shape, 3), np.uint8)
    frames[..., 0] = cells
    frames = frames.repeat(CELL, axis=1).repeat(CELL, axis=2)
    clip = Clip(frames, np.arange(len(cells)) * STEP, end=len(cells) * STEP)
    return Subject.bind(LinearModel(weights, bias), clip, QUESTION, Target("option", (0,)), seed=seed)


def blank(frames: int = 2, rows: int = 2, columns: int = 2) -> Subject:
    """Subject for tests in which only the grid matters."""
    return subject_of(np.ones((frames, rows, columns)))


def volume_of(values: object) -> SaliencyVolume:
    """Volume of values (t, h, w), one slice per frame of the linear clip."""
    array = np.asarray(values, np.float32)
    return SaliencyVolume(array, np.arange(len(array)) * STEP, Provenance("test"))


def track_of(number: int, boxes: object, hidden: object = False) -> Track:
    """Track annotated at every frame of the linear clip: boxes (t, 4), `hidden` (t,) or a single flag."""
    array = np.asarray(boxes, np.float64)
    flags = np.broadcast_to(np.asarray(hidden, bool), (len(array),))
    return Track(number, f"object {number}", np.arange(len(array)) * STEP, array, flags)


def sample_of(
    *tracks: Track, evidence: tuple[Evidence, ...] = (Evidence(1),), segments: tuple[Segment, ...] = (),
    cut: float | None = None, counterfactuals: tuple[Counterfactual, ...] = (),
) -> Sample:  # fmt: skip
    """Sample on one video; by default track 1 is the evidence."""
    return Sample("s", Path("v.mp4"), QUESTION, "t", tracks, segments, evidence, cut, counterfactuals)
