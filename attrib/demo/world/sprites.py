"""Cached pictures of the entities on the table: RGBA float32 (n, n, 4) in [0, 1]."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from attrib.demo.world.scene import COLOURS, MAT, SCREEN

Image = NDArray[np.float32]
MARGIN = 46  # half the side of every sprite in pixels: room for the largest entity and its shadow
_FINE = 4  # drawn this many times larger, then averaged, for smooth edges


def _polygon(shape: str, radius: float) -> NDArray[np.float64]:
    """Corner points (n, 2) around (0, 0)."""
    if shape == "square":
        return 0.86 * radius * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    if shape == "triangle":
        return radius * np.array([[0, -1.05], [1.08, 0.85], [-1.08, 0.85]])
    if shape == "star":
        angles = -np.pi / 2 + np.arange(10) * np.pi / 5
        reach = np.where(np.arange(10) % 2 == 0, 1.18, 0.5) * radius
        return np.stack([reach * np.cos(angles), reach * np.sin(angles)], 1)
    if shape == "cross":
        a, b = 0.36, 1.02
        return radius * np.array([[-a, -b], [a, -b], [a, -a], [b, -a], [b, a], [a, a], [a, b], [-a, b], [-a, a],
                                  [-b, a], [-b, -a], [-a, -a]])  # fmt: skip
    if shape == "cup":
        return radius * np.array([[-0.62, -1.0], [0.62, -1.0], [0.98, 1.0], [-0.98, 1.0]])
    if shape == "card":
        return radius * np.array([[-0.86, -1.12], [0.86, -1.12], [0.86, 1.12], [-0.86, 1.12]])
    if shape in ("screen", "mat"):
        return radius * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    raise ValueError(f"unknown shape: {shape}")


@lru_cache(maxsize=256)
def mask(shape: str, radius: float) -> Image:
    """Coverage (2 * MARGIN, 2 * MARGIN) in [0, 1] of a shape that is centred in the sprite."""
    side = 2 * MARGIN * _FINE
    canvas = np.zeros((side, side), np.uint8)
    middle, fine = side // 2, radius * _FINE
    if shape in ("circle", "ring", "ball"):
        cv2.circle(canvas, (middle, middle), round(fine), 255, -1)
        if shape == "ring":
            cv2.circle(canvas, (middle, middle), round(0.5 * fine), 0, -1)
    else:
        points = np.round(_polygon(shape, fine) + middle).astype(np.int32)
        cv2.fillPoly(canvas, [points], 255)
    small: Image = cv2.resize(canvas, (2 * MARGIN, 2 * MARGIN), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return small


def _shaded(cover: Image, colour: tuple[int, int, int]) -> Image:
    """Colour with light from the upper left and a darker rim."""
    depth = cv2.GaussianBlur(cover, (0, 0), 5)
    rows, columns = np.mgrid[-1 : 1 : 2j * MARGIN, -1 : 1 : 2j * MARGIN].astype(np.float32)
    light = 1.0 - 0.22 * (rows + columns) - 0.3 * np.clip(0.85 - depth, 0, 1)
    rgb = np.array(colour, np.float32) / 255 * light[..., None]
    clipped: Image = np.clip(rgb, 0, 1).astype(np.float32)
    return clipped


def _with_shadow(rgb: Image, cover: Image) -> Image:
    """RGBA picture with a soft shadow below it."""
    shadow = cv2.GaussianBlur(np.roll(cover, (5, 4), (0, 1)), (0, 0), 3.5) * 0.42
    alpha = cover + shadow * (1 - cover)
    colour = rgb * (cover / np.maximum(alpha, 1e-6))[..., None]
    return np.dstack([colour, alpha]).astype(np.float32)


@lru_cache(maxsize=4096)
def object_or_cup(shape: str, colour: str, radius: int, shade: int = 0) -> Image:
    """Sprite of an object or a cup, in a dark, plain or light shade of its colour."""
    cover = mask(shape, radius)
    rgb = _shaded(cover, _shade(colour, shade))
    if shape == "cup":
        rgb = _bands(rgb, radius)
    return _with_shadow(rgb, cover)


def _shade(colour: str, shade: int) -> tuple[int, int, int]:
    """Colour made darker (-1), left as it is (0) or made lighter (1)."""
    red, green, blue = (round(0.8 * v) if shade < 0 else round(v + shade * 0.16 * (255 - v)) for v in COLOURS[colour])
    return red, green, blue


@lru_cache(maxsize=64)
def mat(colour: str, shade: int) -> Image:
    """Sprite of a mat: a flat square cloth with a seam."""
    cover = mask("mat", MAT)
    rgb = np.broadcast_to(np.array(_shade(colour, shade), np.float32) / 255, (*cover.shape, 3)).copy()
    seam = (mask("mat", MAT - 2) - mask("mat", MAT - 4))[..., None]
    thread = np.float32(0.25 if rgb[0, 0].mean() > 0.5 else 0.75)
    return np.dstack([rgb * (1 - 0.4 * seam) + 0.4 * seam * thread, cover]).astype(np.float32)


@lru_cache(maxsize=4)
def ball(radius: int) -> Image:
    """Sprite of a beach ball: six sectors, white and turquoise in turn."""
    cover = mask("ball", radius)
    rows, columns = np.mgrid[-MARGIN:MARGIN, -MARGIN:MARGIN].astype(np.float32) + 0.5
    turquoise = (np.arctan2(rows, columns) % (2 * np.pi / 3) < np.pi / 3)[..., None]
    rgb = np.where(turquoise, _shaded(cover, (0, 170, 170)), _shaded(cover, (250, 250, 250)))
    rim = (cover - mask("ball", radius - max(2, radius // 8)))[..., None]
    return _with_shadow((rgb * (1 - 0.6 * rim)).astype(np.float32), cover)


@lru_cache(maxsize=32)
def ground_shadow(radius: int) -> Image:
    """Sprite of the shadow on the table below something in the air."""
    canvas = np.zeros((2 * MARGIN, 2 * MARGIN), np.float32)
    cv2.ellipse(canvas, (MARGIN, MARGIN), (round(0.8 * radius), round(0.3 * radius)), 0, 0, 360, 0.6, -1)
    soft = cv2.GaussianBlur(canvas, (0, 0), 2)
    return np.dstack([np.zeros((*soft.shape, 3), np.float32), soft]).astype(np.float32)


def _bands(rgb: Image, radius: int) -> Image:
    """Draw the bands of an upside-down cup: a lighter base at the top, two dark grooves and a rim at the bottom."""
    rgb = rgb.copy()
    middle = MARGIN
    grey = np.float32(0.5)
    for at, height, mix in ((-1.0, 0.2, grey), (-0.3, 0.12, grey * 0), (0.1, 0.12, grey * 0), (0.74, 0.26, grey)):
        top = round(middle + at * radius)
        rows = slice(top, top + max(2, round(height * radius)))
        rgb[rows] = 0.45 * rgb[rows] + 0.55 * mix
    return rgb


@lru_cache(maxsize=256)
def card(shape: str, radius: int, turned: bool) -> Image:
    """Sprite of a playing card: its face with a printed shape, or its patterned back."""
    cover = mask("card", radius)
    if turned:
        rgb = _shaded(cover, (252, 250, 240))
        ink = mask(shape, 0.68 * radius)[..., None]
        return _with_shadow(rgb * (1 - ink) + ink * np.array([0.1, 0.1, 0.16], np.float32), cover)
    rows, columns = np.mgrid[0 : 2 * MARGIN, 0 : 2 * MARGIN]
    lattice = ((rows + columns) % 10 < 3) | ((rows - columns) % 10 < 3)
    rgb = np.where(
        lattice[..., None], np.array([0.86, 0.82, 0.76], np.float32), np.array([0.36, 0.42, 0.5], np.float32)
    )
    border = (mask("card", radius) - mask("card", radius * 0.86))[..., None]
    return _with_shadow((rgb * (1 - border) + border * 0.95).astype(np.float32), cover)


@lru_cache(maxsize=1)
def screen() -> Image:
    """Sprite of a screen: a board of four upright planks."""
    cover = mask("screen", SCREEN)
    rgb = _shaded(cover, (156, 106, 62))
    columns = np.arange(2 * MARGIN) - MARGIN + SCREEN
    planks = np.where(columns % 16 < 1.5, 0.55, np.array([1.0, 0.92, 1.05, 0.96])[np.clip(columns // 16, 0, 3)])
    border = (cover - mask("screen", SCREEN - 4))[..., None]
    grain = rgb * planks[None, :, None].astype(np.float32)
    return _with_shadow((grain * (1 - 0.35 * border)).astype(np.float32), cover)


@lru_cache(maxsize=32)
def flash(radius: int) -> Image:
    """Sprite of the light around a struck entity: a warm halo with twelve rays."""
    rows, columns = np.mgrid[-MARGIN:MARGIN, -MARGIN:MARGIN].astype(np.float32) + 0.5
    distance, angle = np.hypot(rows, columns), np.arctan2(rows, columns)
    halo = 1 / (1 + np.exp((distance - 1.28 * radius) / 2.2))
    rays = (np.cos(12 * angle) > 0.2) * np.clip(1.95 - distance / radius, 0, 1) * 1.6
    alpha = np.clip(np.maximum(0.95 * halo, rays), 0, 1) * np.clip((MARGIN - distance) / 6, 0, 1)
    colour = np.broadcast_to(np.array([1.0, 0.97, 0.62], np.float32), (*alpha.shape, 3))
    return np.dstack([colour, alpha]).astype(np.float32)


@lru_cache(maxsize=32)
def sparkles(radius: int) -> Image:
    """Sprite of eight little bluish white four-pointed stars around an entity."""
    side = 2 * MARGIN * _FINE
    canvas = np.zeros((side, side), np.uint8)
    turns = np.arange(8) * np.pi / 4
    for turn, length in zip(turns, (11.0, 8.0) * 4, strict=True):
        centre = side / 2 + (radius + 9) * _FINE * np.array([np.cos(turn), np.sin(turn)])
        angles = np.arange(8) * np.pi / 4
        reach = np.where(np.arange(8) % 2 == 0, length, 0.3 * length) * _FINE
        points = centre + np.stack([reach * np.cos(angles), reach * np.sin(angles)], 1)
        cv2.fillPoly(canvas, [np.round(points).astype(np.int32)], 255)
    alpha = cv2.resize(canvas, (2 * MARGIN, 2 * MARGIN), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    colour = np.broadcast_to(np.array([0.86, 0.97, 1.0], np.float32), (*alpha.shape, 3))
    return np.dstack([colour, alpha]).astype(np.float32)
