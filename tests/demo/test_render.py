"""Frames: exact for their seed, and boxes that lie on what is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attrib.demo import render, sprites
from attrib.demo.world import EVENTS, FRAMES, SIZE, Entity, Scene, sample

NEVER = (False,) * FRAMES


def opaque(entity: Entity, frame: int) -> np.ndarray:
    """Pixels that look the same on black and on white: those that the thing itself covers."""
    entity = replace(entity, lit=NEVER, sparkling=NEVER)
    black, white = np.zeros((SIZE, SIZE, 3), np.float32), np.ones((SIZE, SIZE, 3), np.float32)
    render.draw(black, entity, frame)
    render.draw(white, entity, frame)
    return np.abs(white - black).max(-1) < 0.5


def scenes() -> list[Scene]:
    return [sample(40 + i, event) for i, event in enumerate(EVENTS)]


def test_same_scene_same_frames() -> None:
    scene = sample(11, "move")
    first = render.frames(scene)
    assert first.shape == (FRAMES, SIZE, SIZE, 3)
    assert first.dtype == np.uint8
    assert (first == render.frames(scene)).all()
    assert (first[[3, 9]] == render.frames(scene, (3, 9))).all()
    assert (first != render.frames(sample(12, "move"))).any()


@pytest.mark.parametrize("scene", scenes(), ids=EVENTS)
def test_boxes_and_masks_lie_on_what_is_drawn(scene: Scene) -> None:
    for entity in scene.entities:
        frame = entity.present.index(True)
        drawn, mask = opaque(entity, frame), render.mask(entity, frame)
        assert (drawn & mask).sum() / (drawn | mask).sum() > 0.93
        x1, y1, x2, y2 = np.array(render.box(entity, frame)) * SIZE
        rows, columns = np.nonzero(drawn)
        found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert np.abs(np.array([x1, y1, x2, y2]) - found).max() <= 1
        assert 0 <= x1 < x2 <= SIZE
        assert 0 <= y1 < y2 <= SIZE


@pytest.mark.parametrize("scene", scenes(), ids=EVENTS)
def test_removing_a_thing_changes_its_pixels_and_hardly_any_other(scene: Scene) -> None:
    whole = render.frames(scene).astype(int)
    for entity in scene.entities:
        changed = np.abs(whole - render.frames(scene.without({entity.id}))).max(-1)
        for frame in range(FRAMES):
            mask = render.mask(entity, frame)
            if not entity.present[frame]:
                assert changed[frame].max() == 0
                continue
            assert (changed[frame][mask] > 10).mean() > 0.85  # it stands out and nothing hides it
            columns, rows = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
            x, y = entity.centres[frame]
            reach = sprites.MARGIN + 60 * entity.moving(frame)  # a trail is longer
            assert changed[frame][np.maximum(abs(columns - x), abs(rows - y)) > reach + 1].sum() == 0


def test_an_absent_thing_has_no_box() -> None:
    scene = sample(42, "appear")
    visitor = next(e for e in scene.entities if not all(e.present))
    with pytest.raises(ValueError, match="absent in frame 0"):
        render.box(visitor, 0)


def test_glow_sparkles_and_trail_are_to_be_seen() -> None:
    lit = next(e for e in sample(41, "light").entities if any(e.lit))
    mover = next(e for e in sample(40, "move").entities if any(e.moving(i) for i in range(FRAMES)))
    visitor = replace(lit, lit=NEVER, sparkling=lit.lit)
    moves = [mover.moving(i) for i in range(FRAMES)]
    for entity, active in ((lit, lit.lit), (visitor, visitor.sparkling), (mover, moves)):
        on, off = list(active).index(True), list(active).index(False)
        areas = []
        for frame in (on, off):
            canvas = np.zeros((SIZE, SIZE, 3), np.float32)
            render.draw(canvas, entity, frame)
            areas.append((canvas.max(-1) > 0.05).sum())
        assert areas[0] > 1.15 * areas[1]
