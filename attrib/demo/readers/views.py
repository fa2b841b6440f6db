"""Views of a question: the features that each reader sees of it, (views, options, width).

A reader with several views, one for each frame, may use the best of them. Where the answer is a number, there is one
row of features instead of one for each option.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from attrib.demo.readers.asked import AT_REST, BALL, CUP, FLAGS, NUMBERS, SEEN, Asked, X, Y
from attrib.demo.training.labels import READ_FRAMES
from attrib.demo.world import render
from attrib.demo.world.scene import COLOURS, FRAMES, SHAPES, Entity, Scene

Features = NDArray[np.float32]
_KINDS = ("object", "cup", "card", "screen", "ball", "mat")
_WORDS = (*COLOURS, *SHAPES, *map(str, range(1, 6)))
_PATCH, _PATCH_CELLS, _GRID = 48, 4, 8  # pixels and cells of the side of a patch, cells of the side of a frame


@dataclass(frozen=True)
class Reader:
    """Reader that answers from `view`; it has `share` of the scenes to learn from and be tested on."""

    name: str
    view: Callable[[Asked], Features]
    share: float = 1.0


def _of_each(asked: Asked, states: Features) -> Features:
    """Largest state of the entities of each option: (entities, ...) to (options, ...)."""
    lost = np.full(states.shape[1:], np.nan, np.float32)
    return np.stack([np.fmax.reduce(states[indices]) if indices else lost for indices in asked.named])


def _frame(asked: Asked) -> Features:
    """Everything annotated in one frame: the state of the option's entity, and how many there are of each kind."""
    own = _of_each(asked, asked.states).swapaxes(0, 1)
    kinds = np.array([[e.kind == kind for kind in _KINDS] for e in asked.scene.entities], np.float32)
    counts = np.einsum("ef,ek->fk", asked.states[..., SEEN], kinds)
    scene = np.concatenate([counts, asked.states[..., FLAGS].sum(0)], axis=-1)
    return np.concatenate([own, np.repeat(scene[:, None], own.shape[1], axis=1)], axis=-1)


def _first_and_last(asked: Asked) -> Features:
    """First and last frame that the model reads, and what changed, without the flags of motion."""
    own = _of_each(asked, asked.states[..., AT_REST])
    first, last = own[:, 0], own[:, -1]
    step = last[:, [X, Y]] - first[:, [X, Y]]
    holding = asked.states[:, 0, BALL] * asked.states[:, 0, SEEN]
    cups = [e.colour for e, held in zip(asked.scene.entities, holding, strict=True) if e.kind == "cup" and held == 1]
    same = [last[:, CUP] == list(COLOURS).index(cups[0])] if cups else [np.full(len(own), np.nan)]
    seen = asked.states[:, [0, -1], SEEN].sum(0)
    whole = np.broadcast_to(seen, (len(own), 2))
    moved = np.hypot(*step.T)[:, None]
    return np.concatenate([first, last, step, moved, np.stack(same, 1), whole], axis=-1, dtype=np.float32)[None]


def _counts(frames: Sequence[int]) -> Callable[[Asked], Features]:
    """Return the view of how often the option's entity is present, seen and shaking in `frames`, in any order."""

    def view(asked: Asked) -> Features:
        scene = asked.scene
        often = np.array([[_often(scene, entity, frames)] for entity in scene.entities], np.float32)
        kinds = [sum(e.kind == kind for e in scene.entities) for kind in _KINDS]
        own = _of_each(asked, often)[:, 0]
        whole = np.broadcast_to(kinds, (len(own), len(kinds)))
        return np.concatenate([own, whole], axis=-1, dtype=np.float32)[None]

    return view


def _often(scene: Scene, entity: Entity, frames: Sequence[int]) -> tuple[int, int, int]:
    seen = scene.seen(entity)
    return (
        sum(entity.present[i] for i in frames),
        sum(seen[i] for i in frames),
        sum(seen[i] and entity.wobble[i] != 0 for i in frames),
    )


def _words(asked: Asked) -> Features:
    """Place and word of each option, and the words of the others."""
    rows = [
        [place, *(word == option for word in _WORDS), *(word != option and word in asked.options for word in _WORDS)]
        for place, option in enumerate(asked.options)
    ]
    return np.array([rows], np.float32)


def _attributes(asked: Asked) -> Features:
    """Colour, shape, shade, radius and id of the option's entity; of a random one where the answer is a number."""
    entities = asked.scene.entities
    if asked.family.name in NUMBERS:
        rng = np.random.default_rng([asked.scene.seed, 86028121])
        chosen = [[int(rng.choice(asked.named[0]))]]
    else:
        chosen = asked.named
    rows = [
        [len(indices), *np.max([_look(entities[i]) for i in indices], axis=0).tolist()] if indices else [0] * 6
        for indices in chosen
    ]
    return np.array([rows], np.float32)


def _look(entity: Entity) -> list[int]:
    colours, shapes = ["", *COLOURS], ["", *SHAPES]
    shape = shapes.index(entity.shape) if entity.shape in shapes else 0
    return [colours.index(entity.colour), shape, entity.shade, entity.radius, entity.id]


def _pixels(asked: Asked) -> Features:
    """Drawn frames: the patch around the option's entity, or the whole frame where the answer is a number."""
    frames = render.frames(asked.scene, READ_FRAMES)
    if asked.family.name in NUMBERS:
        return np.stack([_shrunk(frame, _GRID) for frame in frames])[:, None]
    patches = [
        [_patch(asked.scene, indices[0], frame, READ_FRAMES[i]) for indices in asked.named]
        for i, frame in enumerate(frames)
    ]
    return np.array(patches, np.float32)


def _patch(scene: Scene, index: int, frame: NDArray[np.uint8], number: int) -> Features:
    """Coarse picture of the surroundings of an entity, which may be absent, and how much its colours vary."""
    centre = np.add(scene.entities[index].at(number), scene.shift(number)).round().astype(int)
    left, top = np.clip(centre - _PATCH // 2, 0, frame.shape[0] - _PATCH).tolist()
    patch = frame[top : top + _PATCH, left : left + _PATCH]
    return np.concatenate([_shrunk(patch, _PATCH_CELLS), patch.std((0, 1))], dtype=np.float32)


def _shrunk(picture: NDArray[np.uint8], cells: int) -> Features:
    """Mean colours of a grid of cells, flattened."""
    small = cv2.resize(picture, (cells, cells), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(-1)


READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader("one frame", _frame),
        Reader("first and last", _first_and_last),
        Reader("pixels", _pixels, share=0.2),  # drawing is slow
        Reader("counts", _counts(range(FRAMES))),
        Reader("counts, read", _counts(READ_FRAMES)),
        Reader("words", _words),
        Reader("attributes", _attributes),
    )
}
