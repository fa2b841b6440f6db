"""Training examples: rendered frames kept in a cache, questions made anew at every step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as resizing

from attrib.demo import labels, render
from attrib.demo.families import AUXILIARY, FAMILIES
from attrib.demo.prompts import Asked, Packer, ask, echo
from attrib.demo.settings import TRAINING_SEEDS, Mix, Settings
from attrib.demo.world import EVENTS, VERSION, Scene, sample
from attrib.files import writing


@lru_cache(maxsize=20_000)
def training_scene(index: int) -> Scene:
    """Training scene number `index`; its seed is one that generated videos never use. Events take turns."""
    return sample(TRAINING_SEEDS + index, EVENTS[index % len(EVENTS)])


def draw(rng: np.random.Generator, count: int, events: tuple[str, ...], limit: int) -> list[int]:
    """Numbers below `limit` of `count` random training scenes with the given events in turn."""
    turns = rng.integers(0, limit // len(EVENTS), count).tolist()
    return [turn * len(EVENTS) + EVENTS.index(events[i % len(events)]) for i, turn in enumerate(turns)]


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
        with writing(path) as part:
            shape = (settings.scenes, labels.READ, size, size, 3)
            out = np.lib.format.open_memmap(part, "w+", np.uint8, shape)
            for i in track(range(settings.scenes), "rendering"):
                out[i] = shrink(render.frames(training_scene(i), labels.READ_FRAMES), size)
            out.flush()
    frames: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return frames


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


def batch(scenes: list[Scene], packer: Packer, rng: np.random.Generator, kept: int, mix: Mix) -> Batch:
    """Label the scenes and ask random questions about each; `kept` visual tokens are shown, all things among them."""
    grid = math.isqrt(packer.visual // labels.READ)
    cells = np.stack([labels.cells(s, grid).reshape(-1, len(labels.ATTRIBUTES)) for s in scenes])
    # things first, then empty table in random order; sorted again, since the order is time
    order = np.argsort(cells[..., 0] + rng.random(cells.shape[:2]), axis=1)[:, :kept]
    asked = [questions(s, mix, rng) for s in scenes]
    ids, ends, answers = (torch.from_numpy(np.stack(x)) for x in zip(*map(packer.blocks, asked), strict=True))
    letters = torch.tensor([[len(q.answer) == 1 and q.answer.isalpha() for q in row] for row in asked])
    families = [[q.family for q in row] for row in asked]
    return Batch(torch.from_numpy(cells), torch.from_numpy(np.sort(order, 1)), ids, ends, answers, families, letters)


def questions(scene: Scene, mix: Mix, rng: np.random.Generator) -> list[Asked]:
    """Random questions that the scene answers."""
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
