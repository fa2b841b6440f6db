"""Text in any script: measured, shortened, wrapped and drawn by Pillow with libraqm; fonts for matplotlib.

Letters that DejaVu Sans (it comes with matplotlib) lacks are taken from the first installed font that has them. Letters
that no font has are drawn as boxes; `missing_letters` names their scripts, for a warning.
"""

from __future__ import annotations

import logging
import unicodedata
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from attrib.render.options import Colour, Image

BOX = "□"
MARKS = ("Mn", "Mc", "Cf")  # categories of what belongs to the letter before it
BOLD = 600  # weights from here on are bold
_CJK = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "IDEOGRAPHIC")
_UNFIT = ("bold", "italic", "oblique", "serif", "mono", "light", "thin", "black", "condensed", "color", "emoji")


class Run(NamedTuple):
    """Letters in a row that one font file draws."""

    font: str
    letters: str


def plain(text: str) -> str:
    """Return the text on one line, without control characters and with a mark for bytes that are no text."""
    letters = ("�" if unicodedata.category(each) == "Cs" else each for each in " ".join(text.split()))
    return "".join(each for each in letters if unicodedata.category(each) != "Cc")


def drawable(text: str) -> str:
    """Return the text on one line, with boxes for letters that no installed font has.

    For matplotlib, whose own boxes are wider than those that are measured here.
    """
    return "".join(run.letters for run in _runs(plain(text), bold=False))


def text_width(text: str, size: int, weight: int = 400) -> int:
    """Width of `text` in pixels, in letters of `size` pixels."""
    return int(np.ceil(_layout(plain(text), size, weight >= BOLD)[1]))


def shortened(text: str, size: int, width: float, weight: int = 400) -> str:
    """Return `text` on one line, cut with an ellipsis to fit `width` pixels; empty if nothing fits."""
    text = plain(text)
    if text_width(text, size, weight) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = text_width(text[:middle].rstrip() + "…", size, weight) <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return text[:low].rstrip() + "…" if low else ""


def abbreviated(text: str, letters: int) -> str:
    """Return `text` on one line, cut with an ellipsis to the room of so many Latin letters; wide letters take two.

    It is cut at a space where one is near, else between letters, never before a mark. For text of unknown letter size.
    """
    text = plain(text)
    ends = [*accumulate(_columns(letter) for letter in text)]
    if not ends or ends[-1] <= letters:
        return text
    end = bisect_right(ends, letters - 2)
    while end and unicodedata.category(text[end]) in MARKS:
        end -= 1
    space = text.rfind(" ", 0, end + 1)
    return f"{text[: space if space > end / 2 else end].rstrip()} …"


def isolated(text: str) -> str:
    """Return `text` as it stands in a sentence of another direction: in an isolate if any letter goes right to left."""
    turns = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)
    return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}" if turns else text


def _columns(letter: str) -> int:
    """Room of a letter in units of a Latin one: none for a mark, two for a wide letter or an emoji."""
    if unicodedata.category(letter) in MARKS:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def wrapped(text: str, size: int, width: float, most: int, weight: int = 400) -> list[str]:
    """Return `text` in at most `most` lines of `width` pixels, broken at spaces or, without any, between letters."""
    lines: list[str] = []
    left = plain(text)
    while left and len(lines) < most - 1 and text_width(left, size, weight) > width:
        whole = shortened(left, size, width, weight).removesuffix("…")
        end = whole.rfind(" ") if " " in whole and left[len(whole) : len(whole) + 1] != " " else len(whole)
        if end <= 0:
            break
        lines.append(left[:end].rstrip())
        left = left[end:].lstrip()
    return [*lines, shortened(left, size, width, weight)] if left else lines


def put(image: Image, text: str, at: tuple[int, int], size: int, colour: Colour, weight: int = 400) -> None:
    """Draw `text` into the picture with the left end of its baseline at (x, y); what lies outside is cut off."""
    mask, rise = _mask(plain(text), size, weight >= BOLD)
    x, y = at[0], at[1] - rise
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + mask.shape[0], image.shape[0]), min(x + mask.shape[1], image.shape[1])
    if bottom <= top or right <= left:
        return
    share = mask[top - y : bottom - y, left - x : right - x, None].astype(np.float32) / 255
    part = image[top:bottom, left:right]
    part[:] = np.rint(part * (1 - share) + np.asarray(colour, np.float32) * share).astype(np.uint8)


@lru_cache(maxsize=512)
def _mask(text: str, size: int, bold: bool) -> tuple[NDArray[np.uint8], int]:
    """Coverage (h, w) of the text's pixels from 0 to 255, and the row of its baseline."""
    placed, width = _layout(text, size, bold)
    rise, drop = round(1.3 * size), round(0.6 * size)
    picture = Pillow.new("L", (max(int(np.ceil(width)) + 1, 1), rise + drop))
    pen = ImageDraw.Draw(picture)
    for x, run in placed:
        pen.text((x, rise), run.letters, fill=255, font=_font(run.font, size), anchor="ls")
    return np.asarray(picture), rise


@lru_cache(maxsize=4096)
def _layout(text: str, size: int, bold: bool) -> tuple[list[tuple[float, Run]], float]:
    """Runs of the text with their left ends in pixels, and the width of all; from right to left where it begins so."""
    runs, x, placed = list(_runs(text, bold)), 0.0, []
    for run in reversed(runs) if _from_the_right(text) else runs:
        placed.append((x, run))
        x += _font(run.font, size).getlength(run.letters)
    return placed, x


def _runs(text: str, bold: bool) -> Iterator[Run]:
    """Yield the text in pieces of one font; marks and spaces stay with the letter before them."""
    base, font, letters = _base(bold), _base(bold), ""
    for each in text:
        follows = bool(letters) and (each.isspace() or unicodedata.category(each) in MARKS)
        wanted = font if follows and _has(font, each) else base if _has(base, each) else font_of(each) or ""
        if not wanted:
            each, wanted = ("" if unicodedata.category(each) in ("Cf", "Mn") else BOX), base
        if wanted != font and letters:
            yield Run(font, letters)
            letters = ""
        font, letters = wanted, letters + each
    if letters:
        yield Run(font, letters)


def _from_the_right(text: str) -> bool:
    """Tell whether the first letter with a direction is written from right to left."""
    strong = (unicodedata.bidirectional(each) for each in text)
    return next((kind in ("R", "AL") for kind in strong if kind in ("L", "R", "AL")), False)


@cache
def _base(bold: bool) -> str:
    return str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"))


@cache
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@cache
def _face(path: str) -> FT2Font | None:
    """Font file opened by FreeType; None if it cannot be read or scaled."""
    try:
        face = FT2Font(path)
        ImageFont.truetype(path, 16)
    except (OSError, RuntimeError, ValueError):
        return None
    return face


def _has(path: str, letter: str) -> bool:
    face = _face(path)
    return face is not None and bool(face.get_char_index(ord(letter)))


@cache
def font_of(letter: str) -> str | None:
    """Path of the installed font that draws a letter which DejaVu Sans lacks; None if no font has it."""
    script = _script(letter)
    named = ("cjk", "gothic", "hei", "ming", "song") if script in _CJK else (script.lower(),)

    def rank(path: str) -> tuple[bool, int, str]:
        name = Path(path).name.lower()
        return not any(word in name for word in named), sum(word in name for word in _UNFIT), path

    return next((path for path in sorted(_installed(), key=rank) if _has(path, letter)), None)


@cache
def _installed() -> tuple[str, ...]:
    """Paths of the fonts that the system has."""
    return tuple(str(path) for path in font_manager.findSystemFonts())


def _script(letter: str) -> str:
    """First word of the letter's name in Unicode, which is its script's."""
    return unicodedata.name(letter, "UNKNOWN").split()[0].split("-")[0]


def missing_letters(texts: Iterable[str]) -> tuple[str, ...]:
    """Return one warning that names the scripts for which no font is installed; none if all can be drawn."""
    letters = {each for text in texts for each in plain(text)}
    lacking = sorted(each for each in letters if not _has(_base(False), each) and font_of(each) is None)
    lacking = [each for each in lacking if unicodedata.category(each) not in ("Cf", "Mn")]
    if not lacking:
        return ()
    scripts = {_script(each).capitalize() if each.isalpha() else f"{each!r}" for each in lacking}
    words = f"no installed font has letters of {', '.join(sorted(scripts))}"
    return (f"{words}: they are drawn as boxes; install a font that has them, such as Noto Sans",)


def families(texts: Iterable[str]) -> list[str]:
    """Return names of font families for matplotlib that draw the texts together; registers those it does not know."""
    letters = {each for text in texts for each in plain(text) if not _has(_base(False), each)}
    paths = dict.fromkeys(filter(None, map(font_of, sorted(letters))))
    known = {Path(font.fname) for font in font_manager.fontManager.ttflist}
    for path in paths:
        if Path(path) not in known:
            font_manager.fontManager.addfont(path)
    names = {Path(font.fname): font.name for font in reversed(font_manager.fontManager.ttflist)}
    return ["DejaVu Sans", *(names[Path(path)] for path in paths)]


@contextmanager
def lettering(texts: Iterable[str]) -> Iterator[None]:
    """Let matplotlib draw these texts with the fonts that have their letters, and others as boxes, without warnings."""
    log = logging.getLogger("matplotlib.font_manager")  # it reports bold letters of a font that has none
    level = log.level
    with mpl.rc_context({"font.family": families(texts)}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)
