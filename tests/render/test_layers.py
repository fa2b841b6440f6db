"""Pages of layers read back: pixels, words of the PDF, frames of the film, and where labels stand."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from matplotlib.image import imread

from attrib.errors import InputError
from attrib.render.layers.labels import place_labels
from attrib.render.layers.page import DPI, LayersPage
from attrib.render.layers.write import Heading, LayerRows, layers_figure, layers_video, spaced
from attrib.render.options import Box, RenderOptions, colours
from attrib.types import Clip, Evidence, Track

FRAMES, LAYERS, SIDE = 5, 6, 4
HOT = (3, 2, 1, 3)  # layer, frame, row, column
HEADING = Heading("Which <cup> costs $5 or $6?", (("A. left", False), ("B. right", True)), "video_1 of a_b",
                  ("Rows: 2 of 6 layers.",))  # fmt: skip


def rows(columns: tuple[int, ...] = (0, 2, 4)) -> LayerRows:
    maps = np.full((LAYERS, FRAMES, SIDE, SIDE), 0.001, np.float32)
    maps[HOT] = 0.5
    mass = maps.sum(axis=(1, 2, 3)).astype(np.float64)
    shown = np.array([False, False, True, True, False, False])
    return LayerRows("layer", tuple("012345"), maps, mass, shown, 0.2, maps.max(axis=0), columns)


def clip() -> Clip:
    return Clip(np.full((FRAMES, 60, 80, 3), 100, np.uint8), np.arange(FRAMES) / 2, FRAMES / 2)


def drawing() -> RenderOptions:
    times = np.arange(FRAMES) / 2
    tracks = [
        Track(number, label, times, np.tile(box, (FRAMES, 1)), np.zeros(FRAMES, bool))
        for number, label, box in ((3, "cup", (0.05, 0.5, 0.3, 0.8)), (8, "a <b>ball</b>", (0.6, 0.6, 0.9, 0.9)))
    ]
    return RenderOptions(tracks=tuple(tracks), evidence=(Evidence(3),))


def colour_at(picture: np.ndarray, page: LayersPage, column: int, line: int, cell: tuple[int, int]) -> np.ndarray:
    """The middle of a cell (row, column) of a picture on the page."""
    x = page.left(column) + (cell[1] + 0.5) / SIDE * page.cell[0]
    y = page.top(line) + (cell[0] + 0.5) / SIDE * page.cell[1]
    return np.asarray(picture[int(y * DPI), int(x * DPI), :3] * 255)


def test_the_page_shows_the_chosen_rows_and_frames_cell_by_cell(tmp_path: Path) -> None:
    written = layers_figure(tmp_path / "page.v1", rows(), clip(), drawing(), HEADING)
    assert [path.name for path in written] == ["page.v1.png", "page.v1.pdf"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.v1.pdf", "page.v1.png"]
    picture, page = imread(written[0]), LayersPage.of_lines(clip(), (0, 2, 4), 3, HEADING)
    assert picture.shape[0] == pytest.approx(page.height * DPI, abs=1)
    brightest = 0.92 * colours(False)[255] + 0.08 * 0.42 * 100
    # Lines: frames, layer 2, layer 3, the maximum; columns: frames 0, 2, 4. The hot cell is frame 2's, of layer 3.
    for line, column, hot in ((1, 1, False), (2, 0, False), (2, 1, True), (2, 2, False), (3, 1, True)):
        found = colour_at(picture, page, column, line, HOT[2:])
        assert (np.abs(found - brightest).max() < 4) == hot, (line, column, found)
        assert np.abs(colour_at(picture, page, column, line, (0, 0)) - brightest).max() > 50
    assert colour_at(picture, page, 1, 0, HOT[2:]) == pytest.approx([100, 100, 100], abs=2)


@pytest.mark.parametrize("word", ["Donaudampfschiff ", "哪个杯子里藏着球", "W"])
def test_long_words_of_any_script_stay_on_the_page(word: str, tmp_path: Path) -> None:
    heading = replace(HEADING, title=word * 30, answers=((word * 30, True),), below=word * 40, notes=(word * 60,))
    written = layers_figure(tmp_path / "page", rows(), clip(), drawing(), heading)
    margin = int(0.1 * DPI)
    ink = imread(written[0])[..., :3].min(axis=-1) < 0.5
    assert not ink[:, -margin:].any() and not ink[:, :margin].any()
    assert ink[: int(0.3 * DPI), ink.shape[1] // 2 :].sum() > 100, "the title's first line is used"


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")
def test_words_of_the_pdf_are_text(tmp_path: Path) -> None:
    _, pdf = layers_figure(tmp_path / "page", rows(), clip(), drawing(), HEADING)
    words = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True).stdout
    for text in ("Which <cup> costs $5 or $6?", "B. right", "video_1 of a_b", "3 : cup", "8 : a <b>ball</b>", "layer 2",
                 "layer 3", "maximum", "0.00 s", "1.00 s", "2.00 s", "Rows: 2 of 6 layers."):  # fmt: skip
        assert text in words
    assert "layer 1" not in words and "0.50 s" not in words


def test_the_film_steps_through_all_rows_and_frames(tmp_path: Path) -> None:
    layers_video(tmp_path / "film.mp4", rows(), clip(), RenderOptions(), HEADING)
    with av.open(str(tmp_path / "film.mp4")) as film:
        shown = [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in film.decode(video=0)]
    assert [time for time, _ in shown] == pytest.approx(range(LAYERS + 1))  # the last: the maximum
    page = LayersPage.of_lines(clip(), range(FRAMES), 0, HEADING, captions=True)
    bright = [bool(colour_at(picture / 255, page, HOT[1], 0, HOT[2:]).sum() > 400) for _, picture in shown]
    assert bright == [row == HOT[0] for row in range(LAYERS)] + [True]


def test_one_scale_for_all_rows() -> None:
    found = rows()
    assert found.drawn.shape == (3, 3, SIDE, SIDE)
    assert found.top == pytest.approx(np.percentile(found.drawn, 99.5))
    level = found.level(np.array([0, found.top / 4, found.top, 1], np.float32))
    assert level == pytest.approx([0, 0.5, 1, 1])
    blank = replace(found, maps=np.zeros_like(found.maps), overall=np.zeros_like(found.overall))
    assert blank.top == 0 and not blank.level(blank.overall).any()


def test_frames_are_spaced_evenly_or_are_those_of_most_attention() -> None:
    assert spaced(16, 4) == (0, 5, 10, 15) and spaced(3, 8) == (0, 1, 2) and spaced(9, 1) == (0,)
    assert spaced(32, 8) == (0, 4, 9, 13, 18, 22, 27, 31)
    assert spaced(5, 2, [0.1, 0.5, 0.2, 0.5, 0.4]) == (1, 3) and spaced(3, 1, [1, 1, 1]) == (0,)
    with pytest.raises(InputError, match="columns: expected at least 1 frame, got 0"):
        spaced(4, 0)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    short = Clip(clip().frames[:3], clip().times[:3], 1.5)
    with pytest.raises(InputError, match="the rows have 5 frames, the clip 3"):
        layers_figure(tmp_path / "page", rows(), short, RenderOptions(), HEADING)
    with pytest.raises(InputError, match=re.escape("columns: expected frames from 0 to 4, got (0, 5)")):
        rows((0, 5))
    with pytest.raises(InputError, match=r"rows: expected 5 maps \(t, h, w\)"):
        replace(rows(), names=tuple("01234"))
    assert not list(tmp_path.iterdir())


def boxes(*corners: tuple[float, float, float, float]) -> list[Box]:
    return [Box(f"{number} : cup", each, (0, 0, 0), False) for number, each in enumerate(corners)]


def test_labels_stand_by_their_boxes_and_on_no_other_label() -> None:
    """Three cups side by side, as in the cup game."""
    found = boxes((0.38, 0.35, 0.48, 0.5), (0.5, 0.35, 0.6, 0.5), (0.62, 0.35, 0.72, 0.5))
    tags = place_labels(found, (0.8, 0.45))
    assert [tag.label for tag in tags] == ["0 : cup", "1 : cup", "2 : cup"]
    for place, tag in enumerate(tags):
        assert 0 <= tag.left < tag.right <= 1 and 0 <= tag.top < tag.bottom <= 1
        assert all(tag.over((t.left, t.top, t.right, t.bottom)) == 0 for t in tags[:place])
        assert all(tag.over(box.corners) < 0.3 for box in found)
    (alone,) = place_labels(boxes((0.3, 0.5, 0.6, 0.9)), (0.8, 0.45))
    assert (alone.left, alone.bottom, alone.away) == (0.3, 0.5, 0)


def test_where_there_is_no_room_labels_shrink_to_ids() -> None:
    crowd = [(x, y, x + 0.2, y + 0.2) for x in (0.05, 0.3, 0.55, 0.78) for y in (0.05, 0.3, 0.55, 0.78)]
    named = [replace(box, label=f"{place} : porcelain teacup") for place, box in enumerate(boxes(*crowd))]
    tags = place_labels(named, (0.8, 0.8))
    assert len(tags) == 16 and sum(tag.label == str(place) for place, tag in enumerate(tags)) >= 12
