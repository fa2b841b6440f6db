"""Text in any script: what is drawn compared with Pillow's own drawing of the whole line in one font."""

from __future__ import annotations

import logging
import unicodedata
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont, features

from attrib.render import text
from attrib.render.text import (
    abbreviated,
    drawable,
    families,
    font_of,
    isolated,
    lettering,
    missing_letters,
    plain,
    put,
    shortened,
    text_width,
    wrapped,
)

DEJAVU = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
WHITE = (255, 255, 255)
LINES = {
    "latin": "Which shape is it? café", "cyrillic": "Какая форма?", "greek": "Ποιο σχήμα;",
    "hebrew": "מה צורת העצם 12?", "arabic": "ما شكل الجسم؟", "chinese": "视频里的物体是什么形状",
    "hindi": "वस्तु का आकार क्या है?",
    "thai": "รูปร่างของวัตถุ", "korean": "물체의 모양", "emoji": "🤔 or 👍", "mixed": "shape 形状 צורה आकार",
}  # fmt: skip


def drawn(line: str, size: int = 24) -> np.ndarray:
    image = np.zeros((60, 900, 3), np.uint8)
    put(image, line, (10, 40), size, WHITE)
    return image[..., 0]


def by_pillow(line: str, size: int = 24) -> np.ndarray:
    picture = Pillow.new("L", (900, 60))
    font = ImageFont.truetype(str(DEJAVU), size, layout_engine=ImageFont.Layout.RAQM)
    ImageDraw.Draw(picture).text((10, 40), line, fill=255, font=font, anchor="ls")
    return np.asarray(picture)


def test_pillow_shapes_text() -> None:
    assert features.check("raqm"), "Pillow's wheels bundle libraqm"


@pytest.mark.parametrize("script", ["latin", "cyrillic", "greek", "hebrew", "arabic"])
def test_lines_that_one_font_draws_are_pillows_own(script: str) -> None:
    line = LINES[script]
    assert np.array_equal(drawn(line), by_pillow(line))
    assert (drawn(line) > 128).sum() > 200


@pytest.mark.parametrize("script", ["hebrew", "arabic"])
def test_lines_from_the_right_are_not_their_letters_one_by_one(script: str) -> None:
    line = LINES[script]
    letters = np.zeros((60, 900), np.uint8)
    x = 10
    for letter in line:
        picture = np.zeros((60, 900, 3), np.uint8)
        put(picture, letter, (x, 40), 24, WHITE)
        letters = np.maximum(letters, picture[..., 0])
        x += text_width(letter, 24)
    assert not np.array_equal(drawn(line) > 128, letters > 128)


@pytest.mark.parametrize("script", LINES)
def test_every_letter_leaves_a_mark_or_a_box_and_no_warning(script: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = drawn(LINES[script])
    assert (picture > 100).sum() > 60
    width = text_width(LINES[script], 24)
    assert not picture[:, 10 + width + 3 :].any() and picture[:, 10 + width // 2 : 10 + width].any()


def test_runs_of_several_fonts_stand_from_the_right_where_the_line_begins_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A font for x alone: `אx` begins from the right, so that x is on the left; `aאx` does not."""
    bold = DEJAVU.with_name("DejaVuSans-Bold.ttf")
    plain_has = text._has
    monkeypatch.setattr(text, "_has", lambda path, letter: letter != "x" and plain_has(path, letter))
    monkeypatch.setattr(text, "font_of", lambda letter: str(bold) if letter == "x" else None)
    text._layout.cache_clear()
    try:
        right, left = (text._layout(line, 20, False)[0] for line in ("אx", "aאx"))
    finally:
        text._layout.cache_clear()
    assert [run.letters for _, run in right] == ["x", "א"] and right[0][1].font == str(bold)
    assert [run.letters for _, run in left] == ["aא", "x"]


def test_letters_that_no_font_has_are_boxes_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_installed", lambda: ())
    font_of.cache_clear()
    text._layout.cache_clear()
    text._mask.cache_clear()
    try:
        assert [run.letters for _, run in text._layout("a形b", 20, False)[0]] == ["a□b"]
        (words,) = missing_letters(["a 形状", "आ"])
        assert words.startswith("no installed font has letters of Cjk, Devanagari: they are drawn as boxes")
        assert missing_letters(["plain", "צורה", "ما"]) == ()
        assert families(["形状"]) == ["DejaVu Sans"]
    finally:
        font_of.cache_clear()
        text._layout.cache_clear()
        text._mask.cache_clear()


def test_control_characters_and_bytes_that_are_no_text_do_no_harm() -> None:
    assert plain("a\tb\n c\x07 \x00d") == "a b c d"
    assert plain("caf\udce9.mp4") == "caf�.mp4"
    assert drawn("caf\udce9 \x1b[31m\u200b").any()
    assert text_width("", 12) == 0 and not drawn("").any()


def test_text_outside_the_picture_is_cut_off() -> None:
    image = np.zeros((10, 20, 3), np.uint8)
    for at in ((-30, 5), (15, 5), (0, -40), (0, 60), (400, 5)):
        put(image, "wide words", at, 12, WHITE)
    assert image.shape == (10, 20, 3) and image.any()


def test_colours_are_mixed_by_coverage() -> None:
    image = np.full((40, 60, 3), (10, 20, 30), np.uint8)
    put(image, "M", (5, 30), 24, (200, 100, 50))
    assert (image == (200, 100, 50)).all(axis=2).any() and (image[0] == (10, 20, 30)).all()


@pytest.mark.parametrize("script", ["latin", "chinese", "hebrew", "mixed"])
def test_lines_fit_their_width_and_lose_nothing(script: str) -> None:
    line = " ".join([LINES[script]] * 4)
    width = text_width(line, 16) / 2.5
    lines = wrapped(line, 16, width, 9)
    assert len(lines) >= 3 and all(text_width(each, 16) <= width for each in lines)
    assert "".join("".join(lines).split()) == "".join(line.split())
    short = wrapped(line, 16, width, 2)
    assert len(short) == 2 and short[1].endswith("…") and all(text_width(each, 16) <= width for each in short)
    assert shortened(line, 16, width).endswith("…") and text_width(shortened(line, 16, width), 16) <= width


@pytest.mark.parametrize(
    ("line", "letters", "expected"),
    [
        ("Which shape is it?", 18, "Which shape is it?"),
        ("Which shape is it?", 17, "Which shape is …"),
        ("Which shape is it?", 14, "Which shape …"),
        ("Donaudampfschiff", 10, "Donaudam …"),
        (LINES["chinese"], 22, LINES["chinese"]),  # eleven letters, each as wide as two
        (LINES["chinese"], 21, "视频里的物体是什么 …"),
        (LINES["chinese"], 12, "视频里的物 …"),
        ("कककिक", 4, "कककिक"),  # a vowel sign takes no room
        ("कककिक", 3, "क …"),
        ("", 5, ""),
    ],
)
def test_letters_are_counted_by_their_room(line: str, letters: int, expected: str) -> None:
    assert abbreviated(line, letters) == expected


def test_a_mark_is_not_parted_from_its_letter() -> None:
    for letters in range(2, 14):
        short = abbreviated(LINES["hindi"].replace(" ", ""), letters).removesuffix(" …")
        rest = LINES["hindi"].replace(" ", "")[len(short) :]
        assert not rest or not unicodedata.category(rest[0]).startswith("M")


def test_only_text_from_the_right_is_isolated() -> None:
    assert isolated("shape 形状") == "shape 形状"
    assert isolated(LINES["arabic"]) == f"\u2068{LINES['arabic']}\u2069"


def test_matplotlib_draws_them_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with lettering(LINES.values()):
            figure = Figure(figsize=(6, 4))
            canvas = FigureCanvasAgg(figure)
            for index, line in enumerate(LINES.values()):
                figure.text(0.02, 0.05 + index / 13, line, weight="bold" if index % 2 else "normal")
            canvas.draw()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert mpl.rcParams["font.family"] == ["sans-serif"]


def test_installed_fonts_are_found_by_letter() -> None:
    for letter in "形आ":
        path = font_of(letter)
        if path is None:
            pytest.skip(f"no installed font has {letter}")
        assert ImageFont.truetype(path, 20).getbbox(letter)[2] > 5
    assert len(families(["形", "आ"])) >= 2


def test_letters_that_no_font_has_are_boxes_for_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own boxes are wider than the one that is measured here, and left the page."""
    monkeypatch.setattr(text, "font_of", lambda letter: None)
    assert drawable("a\u5f62\u5f62 b") == "a\u25a1\u25a1 b"
    assert drawable("plain caf\u00e9") == "plain caf\u00e9"
