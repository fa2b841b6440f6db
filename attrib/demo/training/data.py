"""Training examples: rendered frames are cached on disk, questions are generated at every step."""

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
from attrib.demo.training.prompts import PackedQuestion, Packer, ask, echo
from attrib.demo.training.settings import BLIND, TRAINING_SEEDS, Mix, Settings
from attrib.demo.world import render
from attrib.demo.world.families import AUXILIARY, FAMILIES, Family
from attrib.demo.world.scene import EVENTS, VERSION, Scene
from attrib.demo.world.table import sample
from attrib.runtime.files import writing


@dataclass(frozen=True)
class TrainingVideo:
    """Training video: the scene that it shows, and the `whole` scene that its questions are about.

    If `family` is set, `scene` lacks the evidence of its answer, and only that family's question is asked.
    """

    scene: Scene
    whole: Scene
    family: Family | None = None


@lru_cache(maxsize=20_000)
def training_video(index: int) -> TrainingVideo:
    """Training video number `index`; generated videos never use its seed. Videos cycle through the events.

    In every BLIND-th cycle the evidence is missing.
    """
    cycle, position = divmod(index, len(EVENTS))
    event = EVENTS[position]
    scene = sample(TRAINING_SEEDS + index, event)
    if cycle % BLIND:
        return TrainingVideo(scene, scene)
    family = FAMILIES[event]
    return TrainingVideo(scene.without({i.track for i in family.evidence(scene) if i.role != "context"}), scene, family)


def draw(rng: np.random.Generator, count: int, events: tuple[str, ...], limit: int, blind: float = 0.0) -> list[int]:
    """Random numbers, below `limit`, of `count` training videos that cycle through the events; some are blind."""
    turns = rng.integers(0, limit // len(EVENTS) // BLIND, count) * BLIND
    turns += np.where(rng.random(count) < blind, 0, rng.integers(1, BLIND, count))
    return [turn * len(EVENTS) + EVENTS.index(events[i % len(events)]) for i, turn in enumerate(turns.tolist())]


def shrink(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize frames (t, H, W, 3) to (t, size, size, 3) like the checkpoint's processor."""
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2)
    small = resizing.resize(tensor, [size, size], interpolation=InterpolationMode.BICUBIC, antialias=True)
    shrunk: NDArray[np.uint8] = small.permute(0, 2, 3, 1).contiguous().numpy()
    return shrunk


def rendered(settings: Settings, directory: Path) -> NDArray[np.uint8]:
    """Memory-mapped frames (scenes, READ, size, size, 3) of all training scenes, rendered on first use."""
    size = settings.shape.image_size
    path = directory / f"frames_{VERSION}_{settings.scenes}_{size}.npy"
    if not path.exists():
        with writing(path) as temporary, workers() as pool:
            out = np.lib.format.open_memmap(temporary, "w+", np.uint8, (settings.scenes, labels.READ, size, size, 3))
            results = pool.map(partial(_rendered, size), range(settings.scenes), chunksize=32)
            for i, frames in enumerate(progress(results, "rendering", settings.scenes)):
                out[i] = frames
            out.flush()
    mapped: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return mapped


def _rendered(size: int, index: int) -> NDArray[np.uint8]:
    return shrink(render.frames(training_video(index).scene, labels.READ_FRAMES), size)


def cells(video: TrainingVideo, grid: int, frames: Sequence[int] = labels.READ_FRAMES) -> NDArray[np.uint8]:
    """Labels (n, attributes) of all visual tokens of the given frames of a training video."""
    return labels.cells(video.scene, grid, frames).reshape(-1, len(labels.ATTRIBUTES))


def pixels(frames: NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    """Normalised pixels (b, t, 3, h, w), with random brightness and noise that imitate a camera and a video codec."""
    count = len(frames)
    gain = rng.uniform(0.92, 1.08, (count, 1, 1, 1, 1)).astype(np.float32)
    noise = rng.standard_normal(frames.shape, np.float32) * rng.uniform(0, 4, (count, 1, 1, 1, 1)).astype(np.float32)
    values = np.clip(frames * gain + noise, 0, 255) / 127.5 - 1
    return torch.from_numpy(values.astype(np.float32)).permute(0, 1, 4, 2, 3)


@dataclass(frozen=True)
class Batch:
    """Batch of b videos: labels (b, n, attributes) of all visual tokens, indices of the selected tokens (b, v), and k
    questions per video.
    """

    cells: Tensor
    selected: Tensor
    ids: Tensor
    ends: Tensor
    answers: Tensor
    families: list[list[str]]
    letters: Tensor  # (b, k): whether the question has options

    @property
    def blocks(self) -> tuple[Tensor, Tensor]:
        """Token ids and answer positions, as `network.answer_logits` takes them."""
        return self.ids, self.ends

    def select(self, tokens: Tensor) -> Tensor:
        """Selected tokens (b, v, d) of all visual tokens (b, n, d)."""
        return tokens.gather(1, self.selected[..., None].expand(-1, -1, tokens.shape[-1]))


def batch(videos: list[TrainingVideo], packer: Packer, rng: np.random.Generator, count: int, mix: Mix) -> Batch:
    """Return labels, `count` selected tokens (with an entity first) and random questions for each video."""
    grid = math.isqrt(packer.visual // labels.READ)
    wanted = np.stack([cells(v, grid) for v in videos])
    # tokens with an entity first, then empty table in random order; finally sorted by position, as tokens are in time
    order = np.argsort(wanted[..., 0] + rng.random(wanted.shape[:2]), axis=1)[:, :count]
    rows = [questions(v, mix, rng) for v in videos]
    blocks = zip(*map(packer.blocks, rows), strict=True)
    ids, ends, answers = (torch.from_numpy(np.stack(arrays)) for arrays in blocks)
    letters = torch.tensor([[len(q.answer) <= 1 and not q.answer.isdigit() for q in row] for row in rows])
    families = [[q.family for q in row] for row in rows]
    return Batch(torch.from_numpy(wanted), torch.from_numpy(np.sort(order, 1)), ids, ends, answers, families, letters)


def questions(video: TrainingVideo, mix: Mix, rng: np.random.Generator) -> list[PackedQuestion]:
    """Random questions that the scene answers; for a blind video, the same question with several orders of options."""
    if video.family is not None:
        return [ask(video.family, video.whole, rng, edited=video.scene) for _ in range(mix.questions)]
    scene = video.scene
    fitting = [f for f in (*FAMILIES.values(), *AUXILIARY) if f.answer(scene) is not None]
    weights = np.array([dict(mix.weights).get(f.name, 1.0) for f in fitting])
    chosen = rng.choice(len(fitting), mix.questions, p=weights / weights.sum())
    draws = rng.random(mix.questions)
    return [
        echo(rng)
        if value < mix.echo_share
        else ask(fitting[i], scene, rng, options=value >= mix.echo_share + mix.open_share)
        for i, value in zip(chosen, draws.tolist(), strict=True)
    ]
