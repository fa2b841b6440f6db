"""Training examples: rendered frames kept in a cache, questions made anew at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as resizing

from attrib.demo.pool import progress, workers
from attrib.demo.training import labels
from attrib.demo.training.prompts import Asked, Packer, ask, echo
from attrib.demo.training.settings import BLIND, TRAINING_SEEDS, Mix, Settings
from attrib.demo.world import render
from attrib.demo.world.families import AUXILIARY, FAMILIES, Family
from attrib.demo.world.scene import EVENTS, VERSION, Scene
from attrib.demo.world.table import sample
from attrib.runtime.files import writing


@dataclass(frozen=True)
class Shown:
    """A training video: what it shows, and the scene that its questions are about.

    With a `family` the evidence of that family's answer has been taken away, and only that question is asked.
    """

    scene: Scene
    whole: Scene
    family: Family | None = None


@lru_cache(maxsize=20_000)
def shown(index: int) -> Shown:
    """Training video number `index`; its seed is one that generated videos never use. Events take turns.

    In every BLIND-th turn of the events the evidence is missing.
    """
    turn, place = divmod(index, len(EVENTS))
    scene = sample(TRAINING_SEEDS + index, EVENTS[place])
    if turn % BLIND:
        return Shown(scene, scene)
    family = FAMILIES[EVENTS[place]]
    return Shown(scene.without({i.track for i in family.evidence(scene) if i.role != "context"}), scene, family)


def draw(rng: np.random.Generator, count: int, events: tuple[str, ...], limit: int, blind: float = 0.0) -> list[int]:
    """Numbers below `limit` of `count` random training videos with the given events in turn, a share of them blind."""
    turns = rng.integers(0, limit // len(EVENTS) // BLIND, count) * BLIND
    turns += np.where(rng.random(count) < blind, 0, rng.integers(1, BLIND, count))
    return [turn * len(EVENTS) + EVENTS.index(events[i % len(events)]) for i, turn in enumerate(turns.tolist())]


def shrink(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Frames (t, H, W, 3) as the checkpoint's processor resizes them: (t, size, size, 3)."""
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2)
    small = resizing.resize(tensor, [size, size], interpolation=InterpolationMode.BICUBIC, antialias=True)
    shrunk: NDArray[np.uint8] = small.permute(0, 2, 3, 1).contiguous().numpy()
    return shrunk


def rendered(settings: Settings, directory: Path) -> NDArray[np.uint8]:
    """Frames (scenes, READ, size, size, 3) of all training scenes, rendered once and then mapped from disk."""
    size = settings.shape.image_size
    path = directory / f"frames_{VERSION}_{settings.scenes}_{size}.npy"
    if not path.exists():
        with writing(path) as part, workers() as pool:
            out = np.lib.format.open_memmap(part, "w+", np.uint8, (settings.scenes, labels.READ, size, size, 3))
            drawn = pool.map(partial(_rendered, size), range(settings.scenes), chunksize=32)
            for i, frames in enumerate(progress(drawn, "rendering", settings.scenes)):
                out[i] = frames
            out.flush()
    mapped: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return mapped


def _rendered(size: int, index: int) -> NDArray[np.uint8]:
    return shrink(render.frames(shown(index).scene, labels.READ_FRAMES), size)


def cells(video: Shown, grid: int, frames: Sequence[int] = labels.READ_FRAMES) -> NDArray[np.uint8]:
    """Labels (n, attributes) of all visual tokens of a training video's `frames`."""
    return labels.cells(video.scene, grid, frames).reshape(-1, len(labels.ATTRIBUTES))


def pixels(frames: NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    """Normalised pixels (b, t, 3, h, w); brightness and noise vary as a camera and a video codec would have it."""
    count = len(frames)
    gain = rng.uniform(0.92, 1.08, (count, 1, 1, 1, 1)).astype(np.float32)
    noise = rng.standard_normal(frames.shape, np.float32) * rng.uniform(0, 4, (count, 1, 1, 1, 1)).astype(np.float32)
    values = np.clip(frames * gain + noise, 0, 255) / 127.5 - 1
    return torch.from_numpy(values.astype(np.float32)).permute(0, 1, 4, 2, 3)


@dataclass(frozen=True)
class Batch:
    """b videos: cells (b, n, attributes) of all visual tokens, which tokens to show (b, v), k questions each."""

    cells: Tensor
    kept: Tensor
    ids: Tensor
    ends: Tensor
    answers: Tensor
    families: list[list[str]]
    letters: Tensor  # (b, k): whether the question has options

    @property
    def asked(self) -> tuple[Tensor, Tensor]:
        """Token ids and answer places, as the network wants them."""
        return self.ids, self.ends

    def shown(self, tokens: Tensor) -> Tensor:
        """The kept ones (b, v, d) of all visual tokens (b, n, d)."""
        return tokens.gather(1, self.kept[..., None].expand(-1, -1, tokens.shape[-1]))


def batch(videos: list[Shown], packer: Packer, rng: np.random.Generator, kept: int, mix: Mix) -> Batch:
    """Label what the videos show and ask random questions of each; `kept` tokens are shown, all things among them."""
    grid = math.isqrt(packer.visual // labels.READ)
    wanted = np.stack([cells(v, grid) for v in videos])
    # things first, then empty table in random order; sorted again, since the order is time
    order = np.argsort(wanted[..., 0] + rng.random(wanted.shape[:2]), axis=1)[:, :kept]
    asked = [questions(v, mix, rng) for v in videos]
    ids, ends, answers = (torch.from_numpy(np.stack(x)) for x in zip(*map(packer.blocks, asked), strict=True))
    letters = torch.tensor([[len(q.answer) <= 1 and not q.answer.isdigit() for q in row] for row in asked])
    families = [[q.family for q in row] for row in asked]
    return Batch(torch.from_numpy(wanted), torch.from_numpy(np.sort(order, 1)), ids, ends, answers, families, letters)


def questions(video: Shown, mix: Mix, rng: np.random.Generator) -> list[Asked]:
    """Random questions that the scene answers, or the one whose evidence is missing with options in several orders."""
    if video.family is not None:
        return [ask(video.family, video.whole, rng, shown=video.scene) for _ in range(mix.questions)]
    scene = video.scene
    fitting = [f for f in (*FAMILIES.values(), *AUXILIARY) if f.answer(scene) is not None]
    weights = np.array([dict(mix.weights).get(f.name, 1.0) for f in fitting])
    chosen = rng.choice(len(fitting), mix.questions, p=weights / weights.sum())
    lots = rng.random(mix.questions)
    return [
        echo(rng)
        if lot < mix.echo_share
        else ask(fitting[i], scene, rng, options=lot >= mix.echo_share + mix.open_share)
        for i, lot in zip(chosen, lots.tolist(), strict=True)
    ]
