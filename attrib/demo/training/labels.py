"""Labels of visual tokens: the attributes of the entity whose centre is in the token's cell; screens have none.

The decoder is trained directly on their codes (a fixed vector per attribute), and the tower to produce these codes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from attrib.demo.world.scene import COLOURS, FRAMES, SCREEN, SHAPES, SIZE, Entity, Scene

READ = 8  # frames that the model reads
READ_FRAMES = tuple(i * FRAMES // READ for i in range(READ))
_KINDS = ("nothing", "object", "cup", "card back", "card face", "ball", "mat")
_MATS = tuple(f"{colour} mat" for colour in COLOURS)
_STATES = ("moving", "struck", "sparkling", "lifted", "with ball")
ATTRIBUTES: tuple[str, ...] = (*_KINDS, *COLOURS, *SHAPES, *_MATS, *_STATES)


def _slice(names: Sequence[str]) -> slice:
    first = ATTRIBUTES.index(names[0])
    return slice(first, first + len(names))


KINDS, HUES, FORMS, MATS, STATES = map(_slice, (_KINDS, tuple(COLOURS), SHAPES, _MATS, _STATES))


def cells(scene: Scene, grid: int, frames: Sequence[int] = READ_FRAMES) -> NDArray[np.uint8]:
    """Multi-hot labels (len(frames), grid, grid, len(ATTRIBUTES)), by default of the frames that the model reads."""
    out = np.zeros((len(frames), grid, grid, len(ATTRIBUTES)), np.uint8)
    for i, frame in enumerate(frames):
        for entity in scene.entities:
            if entity.present[frame] and entity.kind != "screen" and not _behind(scene, entity, frame):
                (x, y), (dx, dy) = entity.at(frame), scene.shift(frame)
                cell = out[i, _cell(y + dy, grid), _cell(x + dx, grid)]
                cell[[ATTRIBUTES.index(name) for name in _attributes(scene, entity, frame)]] = 1
    mat = ATTRIBUTES.index("mat")
    out[..., mat] &= ~out[..., KINDS.start : mat].any(-1)  # what stands on a mat is told instead
    out[..., 0] = ~out.any(-1)
    return out


def telling(cells: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which labels (..., attributes) tell of an event or belong to something that is counted or tracked."""
    kinds = [ATTRIBUTES.index(kind) for kind in ("cup", "card face", "ball", "mat")]
    told: NDArray[np.bool_] = np.logical_or(cells[..., STATES].any(-1), cells[..., kinds].any(-1))
    return told


def _cell(at: float, grid: int) -> int:
    return min(max(int(at * grid / SIZE), 0), grid - 1)


def _behind(scene: Scene, entity: Entity, frame: int) -> bool:
    """Return whether a screen covers the entity's centre, or a cup the entity."""
    x, y = entity.at(frame)
    screens = (e.at(frame) for e in scene.entities if e.kind == "screen" and e.present[frame])
    return entity.covered[frame] or any(max(abs(x - a), abs(y - b)) <= SCREEN for a, b in screens)


def _attributes(scene: Scene, entity: Entity, frame: int) -> list[str]:
    """Names of the labels of a visible entity; a ball in front of a cup is an attribute of the cup."""
    if entity.kind == "mat":
        return ["mat", f"{entity.colour} mat"]
    if entity.kind == "card":
        return ["card face", entity.shape] if entity.turned[frame] else ["card back"]
    if entity.kind == "ball":
        names = [] if any(_holds(cup, entity, frame) for cup in scene.entities) else ["ball"]
    elif entity.kind == "cup":
        names = ["cup", entity.colour] + ["with ball"] * any(_holds(entity, ball, frame) for ball in scene.entities)
    else:
        names = ["object", entity.shape, entity.colour]
    struck = scene.struck(entity, frame)
    states = {
        "moving": entity.moving(frame) and entity.kind == "object", "struck": struck,
        "sparkling": entity.sparkling[frame], "lifted": entity.lifted[frame],
    }  # fmt: skip
    return names + [name for name, active in states.items() if active]


def _holds(cup: Entity, ball: Entity, frame: int) -> bool:
    """Return whether the ball is in front of the cup."""
    if cup.kind != "cup" or ball.kind != "ball" or not (cup.present[frame] and ball.present[frame]):
        return False
    (x, y), (a, b) = cup.at(frame), ball.at(frame)
    return not ball.covered[frame] and abs(x - a) < cup.radius and abs(y - b) < cup.radius


def codes(width: int, length: float, seed: int) -> torch.Tensor:
    """Orthogonal code vectors (len(ATTRIBUTES), width) of the given length, one per attribute."""
    generator = torch.Generator().manual_seed(seed)
    square: torch.Tensor = torch.linalg.qr(torch.randn(width, len(ATTRIBUTES), generator=generator))[0]
    return square.T.contiguous() * length
