"""The entries of a JSON object, one at a time: annotations of thousands of videos need not fit into memory at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from attrib.errors import InputError, shown
from attrib.runtime.parsing import DECODER

CHUNK = 2**20  # characters that are read at once, at least
_SPACE = re.compile(r"[ \t\n\r]*")
_AFTER = " \t\n\r,:}"  # what may follow a key or a value
_SLACK = 16  # a text that ends in the middle of a number, name or escape is found wrong so close to its end


def entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Key and value of each entry of the JSON object in `path`, in the file's order.

    Of the file little more than one entry is held. Raises InputError as `untrusted.read_json` does, in the words of the
    standard library's reader; what comes before the fault has been given by then.
    """
    try:
        with path.open(encoding="utf-8") as file:
            yield from _entries(_Window(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not a text file'}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: not valid JSON: nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None


def _entries(window: _Window) -> Iterator[tuple[str, Any]]:
    if window.next() != "{":
        raise InputError(f"expected a JSON object, got {shown(window.value())}")
    window.at += 1
    seen: set[str] = set()
    while window.next() != "}" or seen:
        if window.next() != '"':
            raise window.fault("Expecting property name enclosed in double quotes")
        key = window.value()
        if key in seen:
            raise ValueError(f"key {shown(key)} is given twice")
        seen.add(key)
        window.take(":")
        yield key, window.value()
        if window.next() != ",":
            break
        window.at += 1
    window.take("}", "',' delimiter")
    if window.next():
        raise window.fault("Extra data")


class _Window:
    """The part of a text that is being read; `at` is the next character's place in it."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self.at = 0
        self._passed, self._lines, self._column = 0, 0, 0  # characters, lines, and characters of the line before it

    def next(self) -> str:
        """The next character that is no white space, which is passed over; empty at the end."""
        while True:
            found = _SPACE.match(self._text, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self._text):
                return self._text[self.at]
            if not self._more():
                return ""

    def take(self, sign: str, wanted: str = "") -> None:
        """Pass over `sign`, or say that it was expected."""
        if self.next() != sign:
            raise self.fault(f"Expecting {wanted or repr(sign) + ' delimiter'}")
        self.at += 1

    def value(self) -> Any:
        """The next value. What is found wrong at the end of the window may only be cut off there."""
        self.next()
        while True:
            try:
                found, end = DECODER.raw_decode(self._text, self.at)
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self._text) - _SLACK or error.msg.startswith("Unterminated string")
                if cut and self._more():
                    continue
                raise self.fault(error.msg, error.pos) from None
            whole = end < len(self._text) and self._text[end] in _AFTER  # 12 or 12. at the end may become 12.3
            if whole or end < len(self._text) - _SLACK or not self._more():
                self.at = end
                return found

    def fault(self, what: str, place: int | None = None) -> ValueError:
        """What is wrong there, by default at the next character, with line and column of the whole text."""
        place = self.at if place is None else place
        before = self._text[:place]
        lines, column = before.count("\n"), len(before) - before.rfind("\n")
        column += 0 if lines else self._column
        return ValueError(f"{what}: line {self._lines + lines + 1} column {column} (char {self._passed + place})")

    def _more(self) -> bool:
        """Forget what was passed over and read as much again as there is; False at the end of the text."""
        fresh = self._file.read(max(CHUNK, len(self._text) - self.at))
        if not fresh:
            return False
        past = self._text[: self.at]
        lines = past.count("\n")
        self._column = len(past) - past.rfind("\n") - 1 + (0 if lines else self._column)
        self._lines += lines
        self._passed += self.at
        self._text, self.at = self._text[self.at :] + fresh, 0
        return True
