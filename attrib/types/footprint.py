"""Memory: what a method's largest pass holds, and the sizes of a model's layers from which bytes follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Held = Literal["pixels", "forward", "one layer", "queries and keys", "layer inputs", "everything"]


@dataclass(frozen=True)
class Footprint:
    """Largest pass of a method: `versions` of the clip at once, from `space` on, and what is held while it runs.

    `pixels`: copies of the clip, as the model does not run. `forward`: one layer at a time. For gradients, `one layer`
    or `everything` that layers save, or the `layer inputs` from which they are computed again. `queries and keys`: of
    `stretch` layers (0: all), with the input of every `stretch`-th. `rows`: blocks of attention rows are computed too;
    `blurred`: a blurred clip is made before; `step`: a step of the clip goes through the vision encoder after it, of
    which the same is held.
    """

    held: Held
    space: Literal["pixels", "tokens"] = "tokens"
    versions: int = 1
    stretch: int = 0
    rows: bool = False
    blurred: bool = False
    step: bool = False


@dataclass(frozen=True)
class LayerStack:
    """Equal layers, and the tokens of one clip in them; the last four are bytes of one token.

    `together`: most tokens, of any number of clips, that go through at once without gradients (None: all). `running`:
    while a layer runs; `saved`: what a layer saves for gradients; `between`: between layers; `attended`: a layer's
    queries and keys.
    """

    layers: int
    heads: int
    tokens: int
    together: int | None
    running: int
    saved: int
    between: int
    attended: int
