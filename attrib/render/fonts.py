"""Fonts of pages that matplotlib draws: its own, then installed ones with the scripts that it lacks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib import font_manager

OTHERS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Arial Unicode MS", "Noto Sans Devanagari",
          "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Thai", "Noto Sans Bengali", "Noto Sans Tamil",
          "Noto Sans Symbols2")  # fmt: skip


@contextmanager
def any_script() -> Iterator[None]:
    """Take each letter from the first font that has it; one that none has is a box, without a foreign warning.

    Words in a PDF stay text.
    """
    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in OTHERS if name in installed)]
    with matplotlib.rc_context({"pdf.fonttype": 42, "font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield
