from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from attrib import registry
from attrib.benchmarks.imputers.blur import Blur
from attrib.benchmarks.imputers.freeze import Freeze, last_kept
from attrib.benchmarks.imputers.mean import Mean
from attrib.benchmarks.imputers.median import Median
from attrib.benchmarks.imputers.road import Road
from attrib.benchmarks.imputers.token import Token
from attrib.config import build
from attrib.errors import ConfigError
from attrib.imputer import Canvas, PixelImputer
from attrib.model import TokenGrid

FILLS = [name for name in registry.names("imputers") if issubclass(registry.get("imputers", name), PixelImputer)]


def noise(frames: int = 3, height: int = 8, width: int = 12) -> torch.Tensor:
    return torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(0))


def cells(*places: tuple[int, int, int], shape: tuple[int, int, int] = (3, 2, 3)) -> np.ndarray:
    found = np.zeros(shape, bool)
    for place in places:
        found[place] = True
    return found


@pytest.mark.parametrize("name", FILLS)
def test_kept_pixels_are_left_alone_and_removed_ones_change(name: str):
    pixels = noise(4)  # an even number, or a pixel might be its own median
    found = registry.get("imputers", name)().prepare(Canvas(pixels, 2, 3))(cells((1, 0, 1), (2, 1, 2), shape=(4, 2, 3)))
    changed = (found != pixels).all(dim=1)
    wanted = torch.zeros(4, 8, 12, dtype=torch.bool)
    wanted[1, :4, 4:8] = wanted[2, 4:, 8:] = True  # cells of 4 x 4 pixels
    assert torch.equal(changed, wanted)
    assert found.dtype == pixels.dtype and float(found.min()) >= 0 and float(found.max()) <= 1


@pytest.mark.parametrize("name", FILLS)
def test_nothing_removed_is_the_clip_itself(name: str):
    pixels = noise()
    assert torch.equal(registry.get("imputers", name)().prepare(Canvas(pixels, 2, 3))(cells()), pixels)


def test_a_pixel_is_of_the_cell_that_holds_its_centre():
    # 5 pixels in 3 columns: centres at 0.3, 0.9, 1.5, 2.1 and 2.7 cells.
    found = Canvas(noise(1, 5, 5), 3, 3).per_pixel(np.arange(9).reshape(1, 3, 3))
    assert found[0, 0].tolist() == [0, 0, 1, 2, 2]
    assert found[0, :, 0].tolist() == [0, 0, 3, 6, 6]


def test_blur_is_a_gaussian_by_axis_renormalised_at_the_edge():
    frame = np.random.default_rng(0).random((3, 20, 30)).astype(np.float32)
    sigma = (0, Blur().sigma * 20, Blur().sigma * 30)
    kwargs = {"sigma": sigma, "mode": "constant", "truncate": 20.0}
    wanted = gaussian_filter(frame, **kwargs) / gaussian_filter(np.ones_like(frame), **kwargs)
    found = Blur().prepare(Canvas(torch.from_numpy(frame)[None], 1, 1))(np.ones((1, 1, 1), bool))[0].numpy()
    assert found == pytest.approx(wanted, abs=1e-5)


def test_mean_is_the_colour_of_the_whole_video():
    pixels = noise()
    found = Mean().prepare(Canvas(pixels, 2, 3))(cells((1, 0, 1)))[1, :, :4, 4:8]
    assert torch.allclose(found, torch.from_numpy(pixels.numpy().mean(axis=(0, 2, 3)))[:, None, None].expand_as(found))


@pytest.mark.parametrize("frames", [3, 4])
def test_median_is_the_plate_over_all_frames(frames: int):
    pixels = noise(frames)
    found = Median().prepare(Canvas(pixels, 1, 1))(np.ones((frames, 1, 1), bool)).numpy()
    assert found == pytest.approx(np.broadcast_to(np.median(pixels.numpy(), axis=0), found.shape), abs=1e-6)


def test_a_static_background_behind_a_passing_object_is_restored_by_median():
    plate = noise(1)
    pixels = plate.repeat(5, 1, 1, 1)
    pixels[2, :, :4, :4] = 1
    found = Median().prepare(Canvas(pixels, 2, 3))(cells((2, 0, 0), shape=(5, 2, 3)))
    assert torch.equal(found, plate.expand_as(pixels))


def test_frozen_cells_show_their_last_kept_frame():
    removed = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 0], [0, 1, 1, 1]], bool)[:, None]  # (t, 1, 4)
    # Before the first kept frame: that one. Kept in none: -1.
    wanted = [[1, 0, -1, 1], [1, 0, -1, 1], [1, 0, -1, 2], [3, 0, -1, 2]]
    assert last_kept(removed)[:, 0].tolist() == wanted
    pixels = noise(4, 2, 8)
    found = Freeze().prepare(Canvas(pixels, 1, 4))(removed)
    colour = pixels.mean(dim=(0, 2, 3))
    for frame, row in enumerate(wanted):
        for cell, source in enumerate(row):
            part = slice(2 * cell, 2 * cell + 2)
            expected = pixels[source, :, :, part] if source >= 0 else colour[:, None, None].expand(3, 2, 2)
            assert torch.allclose(found[frame, :, :, part], expected)


def test_freezing_everything_leaves_the_mean_colour():
    pixels = noise()
    found = Freeze().prepare(Canvas(pixels, 2, 3))(np.ones((3, 2, 3), bool))
    assert torch.allclose(found, pixels.mean(dim=(0, 2, 3))[:, None, None].expand_as(found))


def test_roads_noise_is_seeded_and_small():
    grey, removed = torch.full((2, 3, 40, 40), 0.5), cells((0, 1, 1), shape=(2, 2, 2))
    one, same, other = (Road().prepare(Canvas(grey, 2, 2, seed))(removed) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    part = one[0, :, 20:, 20:] - 0.5
    assert float(part.std()) == pytest.approx(0.01, rel=0.1)
    assert abs(float(part.mean())) < 0.002
    # A pixel's noise is the same whatever else is removed.
    more = Road().prepare(Canvas(grey, 2, 2, 0))(cells((0, 1, 1), (1, 0, 0), shape=(2, 2, 2)))
    assert torch.allclose(more[0], one[0], atol=1e-6)


def test_road_fills_a_hole_smoothly():
    """Colour grows along x: the removed middle of it is between its neighbours, and no cell's edge shows."""
    ramp = torch.linspace(0, 1, 36).expand(1, 3, 36, 36).contiguous()
    found = Road().prepare(Canvas(ramp, 3, 3))(cells((0, 1, 1), shape=(1, 3, 3)))
    inside = found[0, :, 12:24, 12:24].mean(dim=(0, 1))
    assert inside.numpy() == pytest.approx(ramp[0, 0, 0, 12:24].numpy(), abs=0.02)


def test_road_without_anything_kept_shows_the_mean_colour():
    pixels = noise(2, 40, 40)
    found = Road().prepare(Canvas(pixels, 2, 2))(np.ones((2, 2, 2), bool))
    assert found.mean(dim=(0, 2, 3)).numpy() == pytest.approx(pixels.mean(dim=(0, 2, 3)).numpy(), abs=1e-3)


def test_a_token_goes_with_the_cell_of_its_centre():
    # Cells of 2 x 2 under tokens of 2 x 5: the middle column's centre, 2.5 of 5, is the left edge of the right cell.
    removed = cells((0, 0, 1), shape=(1, 2, 2))
    assert Token().keep(removed, TokenGrid(1, 2, 5)).tolist() == [True, True, False, False, False] + [True] * 5


def test_a_token_of_several_frames_goes_when_half_of_its_cells_are_removed():
    grid = TokenGrid(5, 1, 2, frames_per_step=2)  # the last step has one frame
    removed = np.array([[1, 1], [0, 1], [0, 0], [0, 0], [1, 0]], bool)[:, None]
    assert Token().keep(removed, grid).tolist() == [False, False, True, True, False, True]
    three = TokenGrid(3, 1, 2, frames_per_step=3)
    assert Token().keep(removed[:3], three).tolist() == [True, False]  # a third, two thirds


@pytest.mark.parametrize(("sigma", "wider"), [(0.05, False), (0.3, True)])
def test_sigma_sets_the_width_of_the_blur(sigma: float, wider: bool):
    """The variance that a single bright column is spread to, against that of the default."""
    frame = torch.zeros(1, 3, 9, 99)
    frame[..., 49] = 1

    def variance(imputer: Blur) -> float:
        row = imputer.prepare(Canvas(frame, 1, 1))(np.ones((1, 1, 1), bool))[0, 0, 4].double().numpy()
        return float((row * (np.arange(99) - 49) ** 2).sum() / row.sum())

    assert (variance(Blur(sigma)) > variance(Blur())) is wider
    assert variance(Blur(0.05)) == pytest.approx((0.05 * 99) ** 2, rel=1e-3)


def test_a_larger_share_drops_fewer_tokens():
    grid, removed = TokenGrid(4, 1, 1, frames_per_step=4), np.array([1, 1, 1, 0], bool)[:, None, None]
    assert [Token(share).keep(removed, grid).item() for share in (0.25, 0.75, 0.76, 1)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("blur", {"sigma": 0}, "imputers.blur: sigma: expected more than 0, got 0.0"),
        ("blur", {"sigma": float("nan")}, "imputers.blur: sigma: expected more than 0, got nan"),
        ("road", {"noise": -1}, "imputers.road: noise: expected 0 or more, got -1.0"),
        ("token", {"share": 1.5}, "imputers.token: share: expected more than 0 and at most 1, got 1.5"),
    ],
)
def test_bad_parameters_are_one_line(name: str, parameters: dict[str, float], message: str):
    with pytest.raises(ConfigError) as caught:
        build("imputers", name, parameters)
    assert str(caught.value) == message
