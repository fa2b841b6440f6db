"""Frames: exact for their seed, and boxes that lie on what is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attrib.demo.world import render, sprites
from attrib.demo.world.scene import EVENTS, FRAMES, SIZE, Entity, Scene
from attrib.demo.world.table import sample

NEVER = (False,) * FRAMES


def opaque(entity: Entity, frame: int) -> np.ndarray:
    """Pixels that look the same on black and on white: those that the thing itself covers."""
    entity = replace(entity, sparkling=NEVER)
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
        assert np.abs(np.array([x1, y1, x2, y2]) - found).max() <= 1.01
        assert 0 <= x1 < x2 <= SIZE
        assert 0 <= y1 < y2 <= SIZE


@pytest.mark.parametrize("scene", scenes(), ids=EVENTS)
def test_removing_a_thing_changes_its_pixels_and_hardly_any_other(scene: Scene) -> None:
    whole = render.frames(scene).astype(int)
    columns, rows = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    for entity in scene.entities:
        changed = np.abs(whole - render.frames(scene.without({entity.id}))).max(-1)
        reach = np.zeros((FRAMES, SIZE, SIZE), bool)  # where it, its trail and what it hits may be seen
        struck = [e for i in scene.impacts if i.hitter == entity.id for e in scene.entities if e.id == i.struck]
        for frame in range(FRAMES):
            for e in (entity, *struck):
                x, y = e.at(frame)
                margin = sprites.MARGIN + 60 * e.moving(frame)
                reach[frame] |= np.maximum(abs(columns - x), abs(rows - y)) <= margin + 1
            if not entity.present[frame] or scene.hidden(entity, frame):
                assert changed[frame].max() == 0
            elif not any(e.kind == "screen" for e in scene.entities):
                assert (changed[frame][render.mask(entity, frame)] > 10).mean() > 0.85  # nothing hides it
        assert changed[~reach].sum() == 0


def test_a_screen_stands_before_what_it_hides() -> None:
    scene = next(s for s in (sample(i, "move") for i in range(100)) if any(e.kind == "screen" for e in s.entities))
    hidden = next(e for e in scene.entities if scene.hidden(e, 0))
    assert (render.frames(scene) == render.frames(scene.without({hidden.id}))).all()
    screen = next(e for e in scene.entities if e.kind == "screen")
    open_ = render.frames(scene.without({screen.id}), (0,))[0].astype(int)
    bare = render.frames(scene.without({screen.id, hidden.id}), (0,))[0]
    assert (np.abs(open_ - bare).max(-1)[render.mask(hidden, 0)] > 10).mean() > 0.85


def test_an_absent_thing_has_no_box() -> None:
    scene = sample(42, "appear")
    visitor = next(e for e in scene.entities if not all(e.present))
    with pytest.raises(ValueError, match="absent in frame 0"):
        render.box(visitor, 0)


def test_flash_sparkles_and_trail_are_to_be_seen() -> None:
    resting = next(e for e in sample(41, "hit").entities if e.kind == "object" and len(set(e.centres)) == 1)
    mover = next(e for e in sample(40, "move").entities if any(e.moving(i) for i in range(FRAMES)))
    visitor = replace(resting, sparkling=(True, *NEVER[1:]))
    moving = [mover.moving(i) for i in range(FRAMES)]
    for entity, on, struck in ((resting, 0, True), (visitor, 0, False), (mover, moving.index(True), False)):
        areas = []
        for frame, flash in ((on, struck), (15, False)):
            canvas = np.zeros((SIZE, SIZE, 3), np.float32)
            render.draw(canvas, entity, frame, flash)
            areas.append((canvas.max(-1) > 0.05).sum())
        assert areas[0] > 1.15 * areas[1]
