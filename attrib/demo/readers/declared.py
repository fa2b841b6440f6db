"""Declared limits: what a reader may rightly find out, how often that answers the question at most, and why.

Whatever is not declared has to stay at chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Limit:
    """Accuracy that a reader may reach, and the reason."""

    most: float
    reason: str


_CAUGHT = "a frame may show the event itself: one in about seven does, the others leave a guess"
_TOUCHED = "a frame may show the hit, and early ones which objects have been touched without one"
_ARRIVES = "what arrives in a frame is twice as often what comes twice"
_ALONE = "what acts in a frame in which nothing else has acted is a little more often the one in question"
_JUMP = "a ball in the air, or not, makes many jumps a little more or less likely"
_PLAIN = "every frame shows all cups"
_TRACKED = "the first frame shows the cup of the ball, the last one where this cup is"

_ONE_FRAME = ("one frame", "pixels")
DECLARED: dict[tuple[str, str], Limit] = {
    **{("move", reader): Limit(0.46, _CAUGHT) for reader in _ONE_FRAME},
    **{("hit", reader): Limit(0.5, _TOUCHED) for reader in _ONE_FRAME},
    **{("appear", reader): Limit(0.48, _ARRIVES) for reader in _ONE_FRAME},
    **{(name, reader): Limit(0.47, _ALONE) for name, reader in product(("first", "cards"), _ONE_FRAME)},
    **{("jumps", reader): Limit(0.36, _JUMP) for reader in (*_ONE_FRAME, "first and last")},
    **{("cups", reader): Limit(1.0, _PLAIN) for reader in (*_ONE_FRAME, "first and last", "counts", "counts, read")},
    ("hide", "first and last"): Limit(1.0, _TRACKED),
}
