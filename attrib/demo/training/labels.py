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
ATTRIBUTES: tuple[str, ...] = (
    "nothing", "object", "cup", "card back", "card face", *COLOURS, *SHAPES, "moving", "struck", "sparkling",
)  # fmt: skip
KINDS, HUES, FORMS = slice(0, 5), slice(5, 5 + len(COLOURS)), slice(5 + len(COLOURS), 5 + len(COLOURS) + len(SHAPES))
STATES = slice(FORMS.stop, FORMS.stop + 3)


def cells(scene: Scene, grid: int, frames: Sequence[int] = READ_FRAMES) -> NDArray[np.uint8]:
    """Multi-hot labels (len(frames), grid, grid, len(ATTRIBUTES)), by default of the frames that the model reads."""
    out = np.zeros((len(frames), grid, grid, len(ATTRIBUTES)), np.uint8)
    for i, frame in enumerate(frames):
        for entity in scene.entities:
            if entity.present[frame] and entity.kind != "screen" and not _behind(scene, entity, frame):
                x, y = entity.at(frame)
                out[i, int(y * grid / SIZE), int(x * grid / SIZE), _attributes(scene, entity, frame)] = 1
    out[..., 0] = ~out.any(-1)
    return out


def _behind(scene: Scene, entity: Entity, frame: int) -> bool:
    """Return whether a screen covers the entity's centre."""
    x, y = entity.at(frame)
    screens = (e.at(frame) for e in scene.entities if e.kind == "screen" and e.present[frame])
    return any(max(abs(x - a), abs(y - b)) <= SCREEN for a, b in screens)


def _attributes(scene: Scene, entity: Entity, frame: int) -> list[int]:
    if entity.kind == "cup":
        return [ATTRIBUTES.index("cup")]
    if entity.kind == "card" and not entity.turned[frame]:
        return [ATTRIBUTES.index("card back")]
    names = [entity.shape, "card face"] if entity.kind == "card" else [entity.shape, "object", entity.colour]
    struck = scene.struck(entity, frame)
    states = {"moving": entity.moving(frame), "struck": struck, "sparkling": entity.sparkling[frame]}
    names += [name for name, active in states.items() if active]
    return [ATTRIBUTES.index(name) for name in names]


def codes(width: int, length: float, seed: int) -> torch.Tensor:
    """Orthogonal code vectors (len(ATTRIBUTES), width) of the given length, one per attribute."""
    generator = torch.Generator().manual_seed(seed)
    square: torch.Tensor = torch.linalg.qr(torch.randn(width, len(ATTRIBUTES), generator=generator))[0]
    return square.T.contiguous() * length
