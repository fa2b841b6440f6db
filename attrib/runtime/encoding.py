"""Encoding of text files, by the byte order mark that Windows editors and spreadsheets write."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import BinaryIO, cast

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is its beginning
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def encoding_of(path: Path) -> str:
    """Return the encoding that the file's byte order mark names; UTF-8 without a mark. Raises OSError."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")


def open_utf8(path: Path) -> BinaryIO:
    """Open a text file whose bytes are read as UTF-8 without a byte order mark. Raises OSError."""
    encoding, file = encoding_of(path), path.open("rb")
    return file if encoding == "utf-8" else cast(BinaryIO, codecs.EncodedFile(file, "utf-8", encoding))
