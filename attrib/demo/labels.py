"""What each visual token should say: the attributes of the thing whose centre lies in its cell.

The decoder learns on these directly (one fixed code vector per attribute) while the tower learns to produce them.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from attrib.demo.world import COLOURS, FRAMES, SHAPES, SIZE, Entity, Scene

READ = 8  # frames that the model reads
READ_FRAMES = tuple(i * FRAMES // READ for i in range(READ))
ATTRIBUTES: tuple[str, ...] = (
    "nothing", "object", "cup", "card back", "card face", *COLOURS, *SHAPES, "moving", "lit", "sparkling",
)  # fmt: skip
KINDS, HUES, FORMS = slice(0, 5), slice(5, 5 + len(COLOURS)), slice(5 + len(COLOURS), 5 + len(COLOURS) + len(SHAPES))
STATES = slice(FORMS.stop, FORMS.stop + 3)


def cells(scene: Scene, grid: int) -> NDArray[np.uint8]:
    """Multi-hot (READ, grid, grid, len(ATTRIBUTES)) of the frames that the model reads."""
    out = np.zeros((READ, grid, grid, len(ATTRIBUTES)), np.uint8)
    for i, frame in enumerate(READ_FRAMES):
        for entity in scene.entities:
            if entity.present[frame]:
                x, y = entity.centres[frame]
                out[i, int(y * grid / SIZE), int(x * grid / SIZE), _attributes(entity, frame)] = 1
    out[..., 0] = ~out.any(-1)
    return out


def _attributes(entity: Entity, frame: int) -> list[int]:
    if entity.kind == "cup":
        return [ATTRIBUTES.index("cup")]
    if entity.kind == "card" and not entity.turned[frame]:
        return [ATTRIBUTES.index("card back")]
    names = [entity.shape, "card face"] if entity.kind == "card" else [entity.shape, "object", entity.colour]
    states = {"moving": entity.moving(frame), "lit": entity.lit[frame], "sparkling": entity.sparkling[frame]}
    names += [name for name, here in states.items() if here]
    return [ATTRIBUTES.index(name) for name in names]


def codes(width: int, length: float, seed: int) -> torch.Tensor:
    """One vector (len(ATTRIBUTES), width) per attribute, at right angles to each other and of the given length."""
    generator = torch.Generator().manual_seed(seed)
    # the last attribute came later and is drawn apart, so that the codes of the others stayed as they were
    drawn = [torch.randn(width, count, generator=generator) for count in (len(ATTRIBUTES) - 1, 1)]
    square: torch.Tensor = torch.linalg.qr(torch.cat(drawn, 1))[0]
    return square.T.contiguous() * length
