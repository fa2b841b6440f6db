"""What the pictures show, read back from pixels and from the files written."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from matplotlib.image import imread
from scipy.ndimage import gaussian_filter

from attrib import video
from attrib.errors import InputError
from attrib.render import overlay
from attrib.render.options import RenderOptions, View, bands, blend, boxes, colours, dots
from attrib.render.panel import draw_boxes
from attrib.render.sheet import _grid
from attrib.render.text import shortened, text_width
from attrib.types import (
    Clip,
    Evidence,
    PointTrack,
    Provenance,
    Question,
    SaliencyVolume,
    Sample,
    Segment,
    Track,
)


def grey(count: int = 4, height: int = 120, width: int = 160) -> Clip:
    frames = np.full((count, height, width, 3), 90, np.uint8)
    return Clip(frames, np.arange(count, dtype=np.float64), float(count))


def volume(values: np.ndarray) -> SaliencyVolume:
    times = np.arange(len(values), dtype=np.float64)
    return SaliencyVolume(values.astype(np.float32), times, Provenance("grad_cam", target="option A"))


def spot(count: int = 4, frame: int = 2, value: float = 1.0) -> SaliencyVolume:
    """One salient cell, in the top left quarter of one frame."""
    values = np.zeros((count, 8, 8))
    values[frame, 2, 2] = value
    return volume(values)


def track(number: int = 3) -> Track:
    corners = np.array([[0.25, 0.25, 0.75, 0.75]] * 4)
    return Track(number, "cup", np.arange(4, dtype=np.float64), corners, np.zeros(4, bool))


def test_heat_lies_where_and_when_the_saliency_is() -> None:
    shown = overlay.overlay(spot(), grey())[:, :120]
    changed = (shown.astype(int) != 90).any(axis=-1)
    assert changed.any(axis=(1, 2)).tolist() == [False, False, True, False]
    y, x = np.nonzero(changed[2])
    assert y.mean() == pytest.approx(2.5 / 8 * 120, abs=1)
    assert x.mean() == pytest.approx(2.5 / 8 * 160, abs=1)


def test_scale_is_of_the_whole_volume_never_of_a_frame() -> None:
    values = np.ones((2, 4, 4))
    values[0] *= 0.25
    view = View.of(volume(values), overlay.RenderOptions(percentile=100))
    assert view.values[:, 0, 0].tolist() == [0.25, 1.0]
    assert (view.scale, view.bars.tolist()) == (1.0, [0.25, 1.0])
    quiet, loud = overlay.overlay(volume(values), replace(grey(2), end=2.0))[:, 60, 80].astype(int)
    assert abs(quiet - 90).sum() < abs(loud - 90).sum() / 2


def test_scale_is_a_percentile_of_the_positive_part() -> None:
    values = np.arange(-100, 300, dtype=np.float64).reshape(1, 20, 20)
    expected = float(np.percentile(np.maximum(values, 0), 90))
    view = View.of(volume(values), overlay.RenderOptions(percentile=90))
    assert view.scale == pytest.approx(expected)
    np.testing.assert_allclose(view.values, np.clip(values / expected, 0, 1), rtol=1e-6)
    signed = View.of(volume(values), overlay.RenderOptions(percentile=100, signed=True))
    np.testing.assert_allclose(signed.values, values / 299, rtol=1e-6)


def test_one_salient_cell_beyond_the_percentile_still_shows() -> None:
    view = View.of(spot(value=0.01), overlay.RenderOptions())  # its 99.5th percentile is 0
    assert view.scale == pytest.approx(0.01)
    assert view.values.max() == 1


def test_opacity_is_what_covers_the_picture() -> None:
    picture = np.full((8, 8, 3), 90, np.uint8)
    for opacity in (0.3, 1.0):
        drawing = overlay.RenderOptions(opacity=opacity)
        full = blend(picture, np.ones((2, 2), np.float32), drawing)[4, 4]
        np.testing.assert_allclose(full, (1 - opacity) * 90 + opacity * colours(False)[255].astype(float), atol=1.01)
        assert (blend(picture, np.zeros((2, 2), np.float32), drawing) == picture).all()


def test_colours_go_from_dark_to_light() -> None:
    lightness = cv2.cvtColor(colours(False)[None], cv2.COLOR_RGB2LAB)[0, :, 0].astype(int)
    assert (np.diff(lightness) >= 0).all()
    low, high = colours(True)[0].astype(int), colours(True)[255].astype(int)
    assert low[2] > low[0] + 50  # blue against
    assert high[0] > high[2] + 50  # orange for


@pytest.mark.parametrize(("value", "signed"), [(0.0, False), (0.0, True), (-1.0, False)])
def test_nothing_to_show_leaves_the_picture(value: float, signed: bool) -> None:
    shown = overlay.overlay(volume(np.full((4, 3, 5), value)), grey(), overlay.RenderOptions(signed=signed))
    assert (shown[:, :120] == 90).all()


def test_signed_shows_what_speaks_against() -> None:
    shown = overlay.overlay(spot(value=-1), grey(), overlay.RenderOptions(signed=True))[2, 37, 50].astype(int)
    assert shown[2] > shown[0] + 30


@pytest.mark.parametrize("size", [(2, 2), (48, 64), (171, 255), (320, 180), (1080, 1920)])
def test_size_is_the_videos_own_and_a_panel(size: tuple[int, int]) -> None:
    long = "a title that is far longer than any video is wide " * 6
    drawing = overlay.RenderOptions(long, long, tracks=(track(),), segments=(Segment("sound", long, 0.5, 1.5),))
    shown = overlay.overlay(spot(2, 1), grey(2, *size), drawing)
    assert shown.dtype == np.uint8
    assert shown.shape[0] == 2
    assert shown.shape[2:] == (size[1], 3)
    assert (shown.shape[1] - size[0]) % 2 == size[0] % 2
    assert 60 <= shown.shape[1] - size[0] <= max(0.5 * size[0], 150)


def test_cursor_and_bars_follow_time() -> None:
    shown = overlay.overlay(spot(), grey())[:, 120:].astype(int)
    bright = [np.nonzero((frame != shown[0 if place else 1]).any(axis=(0, 2)))[0] for place, frame in enumerate(shown)]
    assert bright[3].max() > bright[2].min() > 0
    orange = (shown[0] == (252, 165, 10)).all(axis=-1).any(axis=0).nonzero()[0]
    assert orange.min() == pytest.approx(160 * 2 / 4, abs=6)  # the third of four seconds
    assert orange.max() == pytest.approx(160 * 3 / 4, abs=6)


def test_text_is_shortened_to_its_room() -> None:
    text = "how many objects does the person use?"
    assert shortened(text, 12, 1000) == text
    short = shortened(text, 12, 100)
    assert short.endswith("…")
    assert text.startswith(short[:-1])
    assert text_width(short, 12) <= 100 < text_width(text[: len(short) + 1] + "…", 12)
    assert shortened(text, 12, 2) == ""


def test_boxes_and_evidence() -> None:
    drawing = overlay.RenderOptions(
        tracks=(track(3), track(4)), evidence=(Evidence(3, 1.0, 2.0), Evidence(4, role="context"))
    )
    assert [(box.label, box.strong) for box in boxes(drawing, 1.0)] == [("4 : cup", False), ("3 : cup", True)]
    assert not any(box.strong for box in boxes(drawing, 2.0))
    assert boxes(drawing, 9.0) == []
    shown = overlay.overlay(spot(value=0), grey(), drawing)
    assert tuple(shown[1, 90, 80]) == (0, 200, 140)  # the lower edge, at 0.75 of 120, where evidence lies on top


def test_points_are_dots_in_the_colour_of_what_they_lie_on() -> None:
    one = PointTrack(0, "corner", np.array([1.0, 2.0]), np.array([[0.25, 0.5], [0.75, 0.5]]), (9, 3))
    other = PointTrack(1, "", np.array([1.0]), np.array([[0.5, 0.75]]))
    outside = PointTrack(2, "", np.array([1.0]), np.array([[1.5, 0.5]]))
    drawing = overlay.RenderOptions(tracks=(track(3),), points=(one, other, outside), evidence=(Evidence(3, 2.0, 3.0),))
    blue, white = dots(drawing, 1.0)
    assert (blue.at, white.at, white.colour) == ((0.25, 0.5), (0.5, 0.75), (255, 255, 255))
    assert blue.colour == boxes(drawing, 1.0)[0].colour
    assert [dot.colour for dot in dots(drawing, 2.0)] == [(0, 200, 140)]  # evidence by then
    assert dots(drawing, 1.1) == []  # a frame that is left out is one in which it is hidden
    bare = overlay.RenderOptions(points=(one, other))
    shown = overlay.overlay(spot(value=0), grey(), bare)[:, :120]
    changed = (shown != 90).any(axis=-1)
    assert changed.any(axis=(1, 2)).tolist() == [False, True, True, False]
    y, x = np.nonzero(changed[2])
    assert (y.mean(), x.mean()) == pytest.approx((0.5 * 119, 0.75 * 159), abs=1)
    assert tuple(shown[1, round(0.75 * 119), round(0.5 * 159)]) == (255, 255, 255)


def test_points_are_on_the_sheet_too(tmp_path: Path) -> None:
    point = PointTrack(0, "", np.array([1.0]), np.array([[0.5, 0.5]]))
    pages = []
    for name, points in (("bare", ()), ("dotted", (point,))):
        overlay.contact_sheet(
            tmp_path / f"{name}.png", spot(value=0), grey(), overlay.RenderOptions("x", points=points)
        )
        pages.append(cv2.imread(str(tmp_path / f"{name}.png")).astype(int))
    rows, columns = np.nonzero((pages[0] != pages[1]).any(axis=-1))
    assert 20 < len(rows) < 600  # one dot
    assert np.ptp(rows) < 25 and np.ptp(columns) < 25


def test_a_drawing_of_a_sample_has_all_that_is_annotated() -> None:
    point = PointTrack(0, "", np.array([1.0]), np.array([[0.5, 0.5]]))
    sample = Sample(
        "v_0", Path("v.mp4"), Question("Why?", ("a", "b")), tracks=(track(),), points=(point,),
        segments=(Segment("action", "lift", 0, 1),), evidence=(Evidence(3),),
    )  # fmt: skip
    drawing = overlay.RenderOptions.of(sample, "mine")
    assert (drawing.title, drawing.subtitle) == ("mine", "Why?")
    assert overlay.RenderOptions.of(sample, "mine", "other").subtitle == "other"
    for part in ("tracks", "points", "segments", "evidence"):
        assert getattr(drawing, part) == getattr(sample, part) != ()


def test_labels_do_not_cover_each_other() -> None:
    corners = [np.array([[x, 0.5, x + 0.05, 0.6]] * 4) for x in (0.4, 0.46, 0.52)]
    times, seen = np.arange(4, dtype=np.float64), np.zeros(4, bool)
    tracks = tuple(Track(place, "cup", times, box, seen) for place, box in enumerate(corners))
    image = np.zeros((200, 400, 3), np.uint8)
    draw_boxes(image, overlay.RenderOptions(tracks=tracks), 1.0)
    filled = [(image == box.colour).all(axis=-1).sum() for box in boxes(overlay.RenderOptions(tracks=tracks), 1.0)]
    assert max(filled) - min(filled) < 60  # each label's ground shows in full
    narrow = np.zeros((24, 24, 3), np.uint8)
    draw_boxes(narrow, overlay.RenderOptions(tracks=tracks), 1.0)
    assert narrow.any()


def test_bands_that_overlap_take_lanes() -> None:
    segments = (Segment("action", "a", 0, 2), Segment("sound", "b", 1, 3), Segment("action", "c", 2, 9))
    lanes = bands(overlay.RenderOptions(segments=segments, evidence=(Evidence(3),)), 4.0)
    assert [[band.label for band in lane] for lane in lanes] == [["evidence: 3"], ["a", "c"], ["b"]]
    assert (lanes[0][0].end, lanes[1][1].end) == (4.0, 4.0)


def test_volume_of_other_frames_is_refused(tmp_path: Path) -> None:
    for draw in (
        lambda: overlay.overlay(spot(3), grey(4)),
        lambda: overlay.contact_sheet(tmp_path / "a.png", replace(spot(), times=np.arange(4) + 0.5), grey()),
    ):
        with pytest.raises(InputError, match="they must be the same"):
            draw()
    assert list(tmp_path.iterdir()) == []


def played(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    with av.open(str(path)) as file:
        shown = [(frame.to_ndarray(format="rgb24"), frame.time) for frame in file.decode(video=0)]
    return [frame for frame, _ in shown], np.array([time for _, time in shown], dtype=np.float64)


def test_video_plays_the_original_at_its_own_times(tmp_path: Path) -> None:
    times = np.array([0, 0.2, 0.3, 1.0, 1.1, 2.5])
    video.write(tmp_path / "in.mp4", grey(6).frames, times, end=3.0)
    clip = video.read(tmp_path / "in.mp4", 2)  # 0 and 1.0 s
    salient = SaliencyVolume(
        np.stack([np.zeros((4, 4)), np.ones((4, 4))]).astype(np.float32), clip.times, Provenance("m")
    )
    overlay.write_overlay(tmp_path / "out.mp4", salient, clip)
    frames, at = played(tmp_path / "out.mp4")
    np.testing.assert_allclose(at, times, atol=2e-5)
    heated = [bool(abs(frame[60, 80].astype(int) - 90).max() > 40) for frame in frames]
    assert heated == [False, False, False, True, True, True]  # from the frame that it was computed on, onwards
    assert video.read(tmp_path / "out.mp4", 1).end == pytest.approx(3.0, abs=1e-4)


def test_video_of_the_clips_frames_alone(tmp_path: Path) -> None:
    clip = replace(grey(), path=tmp_path / "gone.mp4", end=5.5)
    overlay.write_overlay(tmp_path / "a.mp4", spot(), clip)
    overlay.write_overlay(tmp_path / "b.mp4", spot(), clip, original=False)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    frames, at = played(tmp_path / "a.mp4")
    np.testing.assert_allclose(at, clip.times, atol=1e-5)
    expected = overlay.overlay(spot(), clip)
    assert np.abs(np.stack(frames).astype(int) - expected).mean() < 3


def test_long_videos_are_thinned_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video.write(tmp_path / "in.mp4", grey(10).frames, np.arange(10) / 10)
    clip = video.read(tmp_path / "in.mp4", 2)
    monkeypatch.setattr(overlay, "PIXELS", 4 * 120 * 160)
    salient = SaliencyVolume(np.ones((2, 4, 4), np.float32), clip.times, Provenance("m"))
    overlay.write_overlay(tmp_path / "out.mp4", salient, clip)
    np.testing.assert_allclose(played(tmp_path / "out.mp4")[1], [0, 0.3, 0.6, 0.9], atol=1e-5)


def test_real_videos(shared_data: Path, tmp_path: Path) -> None:
    for name in ("pancake_variable_rate.mp4", "dog_odd_255x171.mp4"):
        clip = video.read(shared_data / "videos" / name, 4)
        values = np.random.default_rng(0).random((4, 16, 16), dtype=np.float32)
        overlay.write_overlay(tmp_path / name, SaliencyVolume(values, clip.times, Provenance("random")), clip)
        np.testing.assert_allclose(played(tmp_path / name)[1], played(shared_data / "videos" / name)[1], atol=1e-5)


@pytest.mark.parametrize(
    ("count", "shape", "grid"),
    [
        (1, 0.56, (1, 1)),
        (8, 0.56, (2, 4)),
        (8, 1.0, (2, 4)),
        (16, 0.56, (4, 4)),
        (32, 0.56, (4, 8)),
        (3, 0.56, (1, 3)),
    ],
)
def test_grid_of_the_sheet(count: int, shape: float, grid: tuple[int, int]) -> None:
    assert _grid(count, shape) == grid


def test_contact_sheet(tmp_path: Path) -> None:
    drawing = overlay.RenderOptions(
        title="costs $3_{x}$", tracks=(track(),), segments=(Segment("action", "lift", 1, 2),)
    )
    overlay.contact_sheet(tmp_path / "a.png", spot(), grey(), drawing)
    overlay.contact_sheet(tmp_path / "b.png", spot(), grey(), drawing)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    page = np.rint(imread(tmp_path / "a.png")[..., :3] * 255).astype(int)
    assert page.shape[1] == 1600
    frames = (page == 90).all(axis=-1)
    assert frames.sum() > 0.3 * frames.size  # the frames fill the page
    for colour in ((86, 180, 233), (221, 133, 0)):  # a box and a band, and the bar of the one salient frame
        assert (page == colour).all(axis=-1).sum() > 500
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(InputError, match="cannot be written"):
        overlay.contact_sheet(tmp_path / "a.png" / "b.png", spot(), grey())


def test_pixels_are_smoothed_with_their_signs_and_grids_are_left() -> None:
    """Against SciPy: smoothing after clipping would leave specks of either sign where they cancel."""
    values = np.random.default_rng(0).standard_normal((2, 60, 80)).astype(np.float32)
    view = View.of(volume(values), RenderOptions(smooth=0.05, percentile=100))
    expected = np.maximum([gaussian_filter(frame, (3.0, 4.0), mode="reflect", truncate=4) for frame in values], 0)
    np.testing.assert_allclose(view.values * view.scale, expected, atol=2e-3)
    coarse = volume(values[:, :6, :6].copy())
    plain = View.of(coarse, RenderOptions(smooth=0.05, percentile=100))
    np.testing.assert_allclose(plain.values * plain.scale, np.maximum(coarse.values, 0), atol=1e-6)


def test_a_sheet_of_any_script_is_drawn_without_a_foreign_warning(tmp_path: Path) -> None:
    drawing = overlay.RenderOptions(title="centre", subtitle="वस्तु 形状 מה شكل รูป 🤔 \U00012000")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        overlay.contact_sheet(tmp_path / "a.png", spot(), grey(), drawing)
    assert (imread(tmp_path / "a.png")[..., :3] < 1).any()
