"""Training examples: rendered frames are cached on disk, questions are generated at every step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from attrib.demo.training.network import PackedNetwork
from attrib.demo.training.prompts import SUFFIXES, PackedQuestion, ask, echo
from attrib.demo.training.settings import BLIND, TRAINING_SEEDS, Kind, Mix, Settings
from attrib.demo.world import render
from attrib.demo.world.families import AUXILIARY, FAMILIES, Family
from attrib.demo.world.scene import EVENTS, FRAMES, VERSION, Scene
from attrib.demo.world.table import sample
from attrib.runtime.files import writing

Weights = Mapping[str, float]


@dataclass(frozen=True)
class TrainingVideo:
    """Training video: the scene that it shows, and the `whole` scene that its questions are about.

    If `family` is set, `scene` lacks the evidence of its answer, and only that family's question is asked.
    """

    scene: Scene
    whole: Scene
    family: Family | None = None

    def busy(self, frame: int) -> bool:
        """Return whether something slides or is hit in the frame."""
        return any(e.moving(frame) or self.scene.struck(e, frame) for e in self.scene.entities)


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


def cup_game(scene: Scene, change_places: bool, with_ball: bool) -> TrainingVideo:
    """Return the cups and mats of a cup game alone, or with the ball that disappears in a cup.

    Unless they change places, the cups stand as they do in the end.
    """
    kinds = ("cup", "mat", "ball") if with_ball else ("cup", "mat")
    shown = scene.only(e.id for e in scene.entities if e.kind in kinds)
    if not change_places:
        still = (replace(e, centres=(e.centres[-1],) * FRAMES) for e in shown.entities)
        shown = replace(shown, entities=tuple(still))
    return TrainingVideo(shown, shown)


def thinned(video: TrainingVideo, share: float, rng: np.random.Generator) -> TrainingVideo:
    """Return the video with what one of its questions needs, a cup game if it has one, and a share of the rest."""
    if share >= 1 or video.family is not None:
        return video
    fitting = [f for f in FAMILIES.values() if f.answer(video.scene) is not None]
    needed = {item.track for item in fitting[int(rng.integers(len(fitting)))].evidence(video.scene)}
    game = cup_game(video.scene, True, True).scene.entities if _fits(FAMILIES["hide"], video, True) else ()
    needed |= {e.id for e in game}
    kept = [e.id for e in video.scene.entities if e.id in needed or rng.random() < share]
    return TrainingVideo(video.scene.only(kept), video.scene)


def shrink(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize frames (t, H, W, 3) to (t, size, size, 3) like the checkpoint's processor."""
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2)
    small = resizing.resize(tensor, [size, size], interpolation=InterpolationMode.BICUBIC, antialias=True)
    shrunk: NDArray[np.uint8] = small.permute(0, 2, 3, 1).contiguous().numpy()
    return shrunk


def rendered(settings: Settings, directory: Path, frames: Sequence[int]) -> NDArray[np.uint8]:
    """Memory-mapped frames (scenes, n, size, size, 3) of all training scenes, rendered on first use.

    `frames` are their numbers: all even or all odd ones.
    """
    size = settings.shape.image_size
    path = directory / f"frames_{VERSION}_{settings.scenes}_{size}_{frames[0]}.npy"
    if not path.exists():
        with writing(path) as temporary, workers() as pool:
            shape = (settings.scenes, len(frames), size, size, 3)
            out = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
            results = pool.map(partial(_rendered, size, tuple(frames)), range(settings.scenes), chunksize=32)
            for i, drawn in enumerate(progress(results, "rendering", settings.scenes)):
                out[i] = drawn
            out.flush()
    mapped: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return mapped


def _rendered(size: int, frames: tuple[int, ...], index: int) -> NDArray[np.uint8]:
    return shrink(render.frames(training_video(index).scene, frames), size)


def cells(video: TrainingVideo, grid: int, frames: Sequence[int] = labels.READ_FRAMES) -> NDArray[np.uint8]:
    """Labels (n, attributes) of all visual tokens of the given frames of a training video."""
    return labels.cells(video.scene, grid, frames).reshape(-1, len(labels.ATTRIBUTES))


def pixels(frames: NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    """Pixels (b, t, 3, h, w) in [0, 1], with random brightness and noise that imitate a camera and a video codec."""
    count = len(frames)
    gain = rng.uniform(0.92, 1.08, (count, 1, 1, 1, 1)).astype(np.float32)
    noise = rng.standard_normal(frames.shape, np.float32) * rng.uniform(0, 4, (count, 1, 1, 1, 1)).astype(np.float32)
    values = np.clip(frames * gain + noise, 0, 255) / 255
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
    names: list[list[str]]  # of the kinds of question
    choices: Tensor  # (b, k): number of options; 0 if the question has none

    @property
    def blocks(self) -> tuple[Tensor, Tensor]:
        """Token ids and answer positions, as `PackedNetwork.answer_logits` takes them."""
        return self.ids, self.ends

    def select(self, tokens: Tensor) -> Tensor:
        """Selected tokens (b, v, d) of all visual tokens (b, n, d)."""
        return tokens.gather(1, self.selected[..., None].expand(-1, -1, tokens.shape[-1]))


def batch(
    videos: list[TrainingVideo], network: PackedNetwork, rng: np.random.Generator, count: int, mix: Mix,
    harder: Weights, plain: float = 1.0,
) -> Batch:  # fmt: skip
    """Return labels, at least `count` selected tokens and random questions for each video.

    All tokens that tell of an event or are counted are selected, the share `plain` of the other ones with an entity,
    and some of the empty table.
    """
    grid = math.isqrt(network.visual // labels.READ)
    wanted = np.stack([cells(v, grid) for v in videos])
    chances = rng.random((2, *wanted.shape[:2]))
    empty = wanted[..., 0] > 0
    left_out = ~empty & ~labels.telling(wanted) & (chances[0] > plain)
    count = max(round(count * plain), int((~empty & ~left_out).sum(1).max()))
    # in random order: tokens with an entity first, then empty table; finally sorted by position, as tokens are in time
    order = np.argsort(empty + 2 * left_out + chances[1], axis=1)[:, :count]
    rows = [questions(v, mix, rng, harder) for v in videos]
    ids, ends, answers = network.blocks(rows)
    choices = torch.tensor([[q.choices for q in row] for row in rows])
    names = [[q.name for q in row] for row in rows]
    return Batch(torch.from_numpy(wanted), torch.from_numpy(np.sort(order, 1)), ids, ends, answers, names, choices)


def questions(video: TrainingVideo, mix: Mix, rng: np.random.Generator, harder: Weights) -> list[PackedQuestion]:
    """Random questions that the scene answers, more often of kinds with a higher weight in `harder` (default 1).

    For a blind video, the same question with several orders of options.
    """
    if video.family is not None:
        return [ask(video.family, video.whole, rng, edited=video.scene) for _ in range(mix.questions)]
    fitting = [f for f in (*FAMILIES.values(), *AUXILIARY) if _fits(f, video, mix.kind == "open")]
    draws = rng.random(mix.questions) < mix.echo_share
    return [echo(rng) if drawn or not fitting else _question(video, fitting, mix.kind, rng, harder) for drawn in draws]


def _fits(family: Family, video: TrainingVideo, without_options: bool) -> bool:
    """Return whether the video answers the family's question, as the whole scene does, which gives the options."""
    answer = family.answer(video.scene)
    return answer is not None and (without_options or answer == family.answer(video.whole))


def _question(
    video: TrainingVideo, fitting: list[Family], kind: Kind, rng: np.random.Generator, harder: Weights
) -> PackedQuestion:
    weights = np.array([harder.get(f.name + SUFFIXES[kind], 1.0) * (1 if f in AUXILIARY else 2) for f in fitting])
    chosen = fitting[rng.choice(len(fitting), p=weights / weights.sum())]
    return ask(chosen, video.scene if kind == "open" else video.whole, rng, kind)
