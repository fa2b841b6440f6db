"""Frames: exact for their seed, and boxes that lie on what is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attrib.demo.world import render, sprites
from attrib.demo.world.scene import (
    COLOURS,
    EVENTS,
    FRAMES,
    HOP,
    MAT,
    NEVER,
    SHADES,
    SIZE,
    Entity,
    Kind,
    Scene,
    span,
)
from attrib.demo.world.table import BALL_BELOW, CUP_ON_MAT, SMALL_BALL, sample

MIDDLE = (128.0, 128.0)
SHAKING, STEADY = (next(s for s in range(99) if Scene(s, ()).camera_shakes == shakes) for shakes in (True, False))


def opaque(entity: Entity, frame: int, share: float = 0.5) -> np.ndarray:
    """Pixels of which the entity itself covers at least a share; they look alike on black and on white."""
    entity = replace(entity, sparkling=NEVER)
    black, white = np.zeros((SIZE, SIZE, 3), np.float32), np.ones((SIZE, SIZE, 3), np.float32)
    render.draw(black, entity, frame)
    render.draw(white, entity, frame)
    return np.abs(white - black).max(-1) < 1 - share + 1e-4


def resting(number: int, kind: Kind, radius: int = 24, at: tuple[float, float] = MIDDLE) -> Entity:
    """An entity that stays where it is."""
    shape = "circle" if kind == "object" else kind
    return Entity(number, kind, shape, list(COLOURS)[number], radius, (at,) * FRAMES, (True,) * FRAMES)


def cup_game(seed: int = STEADY) -> Scene:
    """A red cup on an orange mat, and a ball in front of it that disappears in frame 3."""
    ball = resting(2, "ball", SMALL_BALL, (MIDDLE[0], MIDDLE[1] + BALL_BELOW))
    cup, mat = resting(0, "cup", CUP_ON_MAT), resting(1, "mat", MAT)
    return Scene(seed, (cup, mat, replace(ball, covered=span(3, FRAMES))))


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
        x1, y1, x2, y2 = np.array(render.box(scene, entity, frame)) * SIZE
        rows, columns = np.nonzero(drawn)
        found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert np.abs(np.array([x1, y1, x2, y2]) - found - 2 * scene.shift(frame)).max() <= 1.01
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
            dx, dy = scene.shift(frame)
            for e in (entity, *struck):
                x, y = e.at(frame)
                margin = sprites.MARGIN + 85 * e.moving(frame) + HOP * e.lifted[frame]
                reach[frame] |= np.maximum(abs(columns - x - dx), abs(rows - y - dy)) <= margin + 1
            if not entity.present[frame] or scene.hidden(entity, frame):
                assert changed[frame].max() == 0
            elif entity.kind in ("object", "card") and not any(e.kind == "screen" for e in scene.entities):
                mask = render.mask(entity, frame, (dx, dy))
                assert (changed[frame][mask] > 10).mean() > 0.85  # nothing hides it
        assert changed[~reach].sum() == 0


def test_a_screen_stands_before_what_it_hides() -> None:
    scene = next(
        s for s in (sample(i, "cards") for i in range(100)) if any(e.kind == "screen" for e in s.entities) and s.impacts
    )
    hidden = next(e for e in scene.entities if scene.hidden(e, 0))
    assert (render.frames(scene) == render.frames(scene.without({hidden.id}))).all()
    screen = next(e for e in scene.entities if e.kind == "screen")
    open_ = render.frames(scene.without({screen.id}), (0,))[0].astype(int)
    bare = render.frames(scene.without({screen.id, hidden.id}), (0,))[0]
    mask = render.mask(hidden, 0, scene.shift(0))
    assert (np.abs(open_ - bare).max(-1)[mask] > 10).mean() > 0.85


def test_a_mat_lies_below_a_cup_and_the_ball_stands_in_front() -> None:
    """Whatever the order of the entities: what lies behind the pixels that one covers does not show."""
    scene = cup_game()
    for entities in (scene.entities, scene.entities[::-1]):
        turned = replace(scene, entities=entities)
        cup, mat, ball = (next(e for e in entities if e.kind == kind) for kind in ("cup", "mat", "ball"))
        whole = render.frames(turned, (0,))[0]
        without = {e.kind: (render.frames(turned.without({e.id}), (0,))[0] != whole).any(-1) for e in (cup, mat, ball)}
        assert not without["mat"][opaque(cup, 0, 1)].any()
        assert not without["cup"][opaque(ball, 0, 1)].any()
        assert without["ball"][opaque(ball, 0, 1)].mean() > 0.95
        assert without["mat"][render.mask(mat, 0) & ~render.mask(cup, 0) & ~render.mask(ball, 0)].mean() > 0.95


def test_nothing_is_drawn_of_a_covered_ball() -> None:
    scene = cup_game()
    differs = (render.frames(scene) != render.frames(scene.without({2}))).any(axis=(1, 2, 3))
    assert differs.tolist() == [frame < 3 for frame in range(FRAMES)]


def test_the_whole_picture_its_boxes_and_masks_shift_with_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same scene is drawn with its shifts and without."""
    scene = cup_game(SHAKING)
    cup = scene.entities[0]
    shifts = [scene.shift(frame) for frame in range(FRAMES)]
    assert len(set(shifts)) > 5
    shaken, boxes = render.frames(scene), [render.box(scene, cup, frame) for frame in range(FRAMES)]
    with monkeypatch.context() as patch:
        patch.setattr(Scene, "shift", lambda self, frame: (0, 0))
        steady, (box,) = render.frames(scene), {render.box(scene, cup, frame) for frame in range(FRAMES)}
    for frame, (dx, dy) in enumerate(shifts):
        inner = np.roll(steady[frame], (dy, dx), (0, 1))[4:-4, 4:-4]
        assert (shaken[frame][4:-4, 4:-4] == inner).all()
        assert np.array(boxes[frame]) * SIZE == pytest.approx(np.array(box) * SIZE + [dx, dy, dx, dy], abs=1e-3)
        moved = np.roll(render.mask(cup, frame), (dy, dx), (0, 1))
        assert (render.mask(cup, frame, (dx, dy)) == moved).all()


def test_light_is_a_factor_of_each_frame_that_is_steady_in_a_quarter_of_the_scenes() -> None:
    """A drift and a flicker are each there half of the time."""
    found = np.array([render.light(seed) for seed in range(400)])
    assert (np.ptp(found, axis=1) == 0).mean() == pytest.approx(0.25, abs=0.06)
    assert found.min() >= 0.88 - 0.1 - 0.05
    assert found.max() <= 1.1 + 0.1 + 0.05
    seed = next(s for s in range(99) if np.ptp(found[s]) > 0.1 and not Scene(s, ()).camera_shakes)
    expected = 255 * np.clip(render.background(seed) * found[seed][:, None, None, None], 0, 1)
    assert np.abs(render.frames(Scene(seed, ())) - expected).max() <= 0.51


def test_a_shade_makes_a_colour_darker_or_lighter() -> None:
    cover = sprites.mask("circle", 24) > 0.9
    for colour in COLOURS:
        lit = [sprites.object_or_cup("circle", colour, 24, shade)[cover].mean() for shade in SHADES]
        cloth = [sprites.mat(colour, shade)[sprites.mask("mat", MAT) > 0.9].mean() for shade in SHADES]
        assert lit[0] < lit[1] < lit[2]
        assert cloth[0] < cloth[1] < cloth[2]
    for kind in ("object", "cup", "mat"):
        entity = resting(0, kind)
        dark, light = (render.frames(Scene(STEADY, (replace(entity, shade=s),)), (0,))[0] for s in (-1, 1))
        mask = render.mask(entity, 0)
        assert (dark[mask].astype(int) < light[mask]).any(-1).mean() > 0.95
        assert (dark[~mask] == light[~mask]).mean() > 0.99


def test_an_absent_thing_has_no_box() -> None:
    scene = sample(42, "appear")
    visitor = next(e for e in scene.entities if not e.present[0])
    with pytest.raises(ValueError, match="absent in frame 0"):
        render.box(scene, visitor, 0)


def test_flash_sparkles_trail_and_shadow_are_to_be_seen() -> None:
    still = resting(0, "object")
    visitor, jumper = replace(still, sparkling=span(0, 1)), replace(still, lifted=span(0, 1))
    mover = replace(still, centres=((60.0, 128.0), (100.0, 128.0), *[(140.0, 128.0)] * 14))
    table = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    for entity, on, struck in ((still, 0, True), (visitor, 0, False), (mover, 1, False), (jumper, 0, False)):
        areas = []
        for frame, flash in ((on, struck), (15, False)):
            canvas = table.copy()
            render.draw(canvas, entity, frame, flash)
            areas.append((np.abs(canvas - table).max(-1) > 0.05).sum())
        assert areas[0] > 1.15 * areas[1]
    cup = replace(mover, kind="cup", shape="cup")
    sliding, at_rest = table.copy(), table.copy()
    render.draw(sliding, cup, 2)
    render.draw(at_rest, cup, 15)
    assert (sliding == at_rest).all()  # a cup leaves no trail
