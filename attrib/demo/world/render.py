"""Renderer: the frames of a scene as uint8 RGB, and the exact mask and box of an entity."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from attrib.demo.world import sprites
from attrib.demo.world.scene import FRAMES, HOP, MAT, SCREEN, SIZE, Entity, Scene

_TABLES = ((150, 120, 92), (118, 128, 108), (124, 130, 142), (158, 148, 136), (112, 104, 100), (142, 128, 146))
_LAYERS = {"mat": 0, "ball": 2, "screen": 3}  # from back to front; other kinds are in layer 1
_GHOSTS = 4  # fading images behind a moving entity


def background(seed: int) -> NDArray[np.float32]:
    """Table top (SIZE, SIZE, 3) in [0, 1]: a muted colour with grain or stripes, blotches and uneven light."""
    rng = np.random.default_rng([seed, 7919])
    base = np.array(_TABLES[rng.integers(len(_TABLES))], np.float32) / 255
    grain = _noise(rng, (SIZE, SIZE // 16) if rng.random() < 0.5 else (SIZE // 3, SIZE // 3))
    blotches = _noise(rng, (10, 10))
    light = _noise(rng, (2, 2))
    texture = 1 + 0.10 * grain + 0.10 * blotches + 0.14 * light
    if rng.random() < 0.5:
        texture = texture.T if rng.random() < 0.5 else texture
    table: NDArray[np.float32] = np.clip(base * texture[..., None], 0, 1).astype(np.float32)
    return table


@lru_cache(maxsize=256)
def light(seed: int) -> NDArray[np.float32]:
    """Brightness of each frame, a factor: steady, slowly changing or flickering."""
    rng = np.random.default_rng([seed, 32452843])
    steady, drift = rng.uniform(0.88, 1.1), rng.uniform(-0.1, 0.1) * rng.integers(2)
    flicker = rng.uniform(-0.05, 0.05, FRAMES) * rng.integers(2)
    factors: NDArray[np.float32] = (steady + drift * np.linspace(-1, 1, FRAMES) + flicker).astype(np.float32)
    return factors


def _noise(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    coarse = rng.uniform(-1, 1, size).astype(np.float32)
    fine: NDArray[np.float32] = cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return fine


def _paste(frame: NDArray[np.float32], sprite: sprites.Image, centre: tuple[float, float], opacity: float = 1) -> None:
    """Blend the sprite into the frame in place; what lies beyond the frame is cut."""
    left, top = round(centre[0]) - sprites.MARGIN, round(centre[1]) - sprites.MARGIN
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + 2 * sprites.MARGIN, SIZE), min(top + 2 * sprites.MARGIN, SIZE)
    visible = sprite[y0 - top : y1 - top, x0 - left : x1 - left]
    alpha = visible[..., 3:] * opacity
    region = frame[y0:y1, x0:x1]
    region += alpha * (visible[..., :3] - region)


def _sprite(entity: Entity, frame: int) -> sprites.Image:
    if entity.kind == "card":
        return sprites.card(entity.shape, entity.radius, entity.turned[frame])
    if entity.kind == "screen":
        return sprites.screen()
    if entity.kind == "mat":
        return sprites.mat(entity.colour, entity.shade)
    if entity.kind == "ball":
        return sprites.ball(entity.radius)
    return sprites.object_or_cup(entity.shape, entity.colour, entity.radius, entity.shade)


def draw(canvas: NDArray[np.float32], entity: Entity, frame: int, struck: bool = False) -> None:
    """Paint one present entity into the canvas (SIZE, SIZE, 3), in place, with its shadow, trail and sparkles.

    `struck`: also draw the flash of an impact.
    """
    centre = np.array(entity.at(frame))
    sprite = _sprite(entity, frame)
    if entity.kind == "object" and entity.moving(frame):
        step = centre - np.array(entity.centres[frame - 1])
        for ghost in range(_GHOSTS, 0, -1):
            _paste(canvas, sprite, tuple(centre - 0.55 * ghost * step), 0.62 - 0.12 * ghost)
    if entity.lifted[frame]:
        _paste(canvas, sprites.ground_shadow(entity.radius), (centre[0], centre[1] + HOP + 0.75 * entity.radius))
    if struck:  # below the entity, so that its shape stays visible
        _paste(canvas, sprites.flash(entity.radius), tuple(centre))
    if entity.sparkling[frame]:
        _paste(canvas, sprites.sparkles(entity.radius), tuple(centre))
    _paste(canvas, sprite, tuple(centre))


def frames(scene: Scene, indices: Sequence[int] = range(FRAMES)) -> NDArray[np.uint8]:
    """Render frames `indices` of the scene: uint8 (n, SIZE, SIZE, 3), RGB."""
    table = background(scene.seed)
    images = []
    for index in indices:
        canvas = table.copy()
        for entity in _in_order(scene, index):
            draw(canvas, entity, index, scene.struck(entity, index))
        lit = np.clip(canvas * light(scene.seed)[index], 0, 1)
        images.append((_shifted(lit, scene.shift(index)) * 255 + 0.5).astype(np.uint8))
    return np.stack(images)


def _shifted(picture: NDArray[np.float32], shift: tuple[int, int]) -> NDArray[np.float32]:
    """Shift a picture to the right and down; its edge is repeated where nothing is known."""
    if shift == (0, 0):
        return picture
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    mode = {"flags": cv2.INTER_NEAREST, "borderMode": cv2.BORDER_REPLICATE}
    moved: NDArray[np.float32] = cv2.warpAffine(picture, matrix, (SIZE, SIZE), **mode)
    return moved


def edited(originals: NDArray[np.uint8], scene: Scene, other: Scene) -> NDArray[np.uint8]:
    """Render `other`, an edit of `scene`; unchanged frames are copied from the scene's frames `originals`."""
    changed = [i for i in range(FRAMES) if _look(scene, i) != _look(other, i)]
    out = originals.copy()
    if changed:
        out[changed] = frames(other, changed)
    return out


def _look(scene: Scene, frame: int) -> list[tuple[object, ...]]:
    """Everything that determines how a frame looks on a given table."""
    return [
        (e.id, e.at(frame), e.moving(frame), scene.struck(e, frame), e.turned[frame], e.sparkling[frame])
        for e in _in_order(scene, frame)
    ]


def _in_order(scene: Scene, frame: int) -> list[Entity]:
    """Visible entities from back to front: mats below all, moving entities above resting ones, screens above all."""
    visible = [e for e in scene.entities if e.present[frame] and not scene.hidden(e, frame)]
    return sorted(visible, key=lambda e: (_LAYERS.get(e.kind, 1), e.moving(frame), scene.struck(e, frame)))


def mask(entity: Entity, frame: int, shift: tuple[int, int] = (0, 0)) -> NDArray[np.bool_]:
    """Mask (SIZE, SIZE) of the entity, hidden or not, without its shadow, flash, sparkles and trail.

    `shift` is that of the camera (`Scene.shift`).
    """
    canvas = np.zeros((SIZE, SIZE, 3), np.float32)
    if entity.present[frame]:
        cover = sprites.mask("card" if entity.kind == "card" else entity.shape, _extent(entity))
        _paste(canvas, np.dstack([np.ones((*cover.shape, 3), np.float32), cover]), entity.at(frame))
    return _shifted(canvas, shift)[..., 0] >= 0.5


def _extent(entity: Entity) -> int:
    return {"screen": SCREEN, "mat": MAT}.get(entity.kind, entity.radius)


def box(scene: Scene, entity: Entity, frame: int) -> tuple[float, float, float, float]:
    """Tight normalised xyxy box around the entity's mask. Raises ValueError if the entity is absent."""
    rows, columns = np.nonzero(mask(entity, frame, scene.shift(frame)))
    if len(rows) == 0:
        raise ValueError(f"entity {entity.id} is absent in frame {frame}")
    edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    x1, y1, x2, y2 = (round(float(edge) / SIZE, 6) for edge in edges)
    return x1, y1, x2, y2
