from __future__ import annotations

import torch

from attrib.models.perception_lm_init import Shape
from tools.speed.attention import model_of
from tools.speed.sharing import METHODS, table, timed


def test_frames_through_the_tower_are_counted() -> None:
    """The answer and three methods encode three frames once together, or once each."""
    model = model_of(Shape(init_std=0.2), torch.float32)
    once, each = timed(model, 3, shared=True), timed(model, 3, shared=False)
    assert (once.encoded, each.encoded) == (3, 3 * (1 + len(METHODS)))
    assert len(once.seconds) == len(each.seconds) == 1 + len(METHODS)
    assert [len(list(column.cells)) for column in table([once, each]).columns] == [2] * (4 + len(METHODS))
