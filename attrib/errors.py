"""The exception tree.

AttribError
├── InputError            invalid input: one line, exit code 2
│   ├── UnknownName       a name that is not registered; carries the nearest valid one
│   ├── ConfigError       a configuration key or value that is not valid
│   ├── VideoError        a video that cannot be read or written
│   └── NotWritten        a file that cannot be written, e.g. because the disk is full
├── UnsupportedModel      a model without a capability that a method or metric needs
├── AttributionError      a method that returned no valid saliency volume, or lacks an input
└── NotEnoughMemory       memory was not enough; the message names what would need less
"""

from __future__ import annotations

import difflib
import re
import reprlib
import traceback
from collections.abc import Iterable
from pathlib import Path

# Characters that act on a terminal or cannot be written as UTF-8: control characters except tab and newline, line and
# paragraph separators, marks that change the direction of writing, halves of surrogate pairs.
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST = 600  # characters of a message; longer ones lose their middle


class AttribError(Exception):
    """Base of every error that attrib raises on purpose; its text is one line, safe to print."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class InputError(AttribError):
    """Invalid input: the command line prints the message and exits with code 2."""


class UnknownName(InputError):
    """Unknown `name` of some `kind`; the message suggests the nearest valid choice."""

    def __init__(self, kind: str, name: str, choices: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; {nearest(name, choices)}")


class ConfigError(InputError):
    """Invalid configuration key or value; the message starts with its path."""


class VideoError(InputError):
    """Video file that cannot be read or written."""


class NotWritten(InputError):
    """File that cannot be written, e.g. because the disk is full; work stops, since results cannot be stored."""


class UnsupportedModel(AttribError):
    """Model without a capability that a method or metric needs."""


class AttributionError(AttribError):
    """Method that returned no finite (t, h, w) volume, or lacks an input that it needs to compute one."""


class NotEnoughMemory(AttribError):
    """Memory was not enough; the message names what would need less."""


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return the text on one line: harmful characters escaped, white space collapsed, and a long text's middle cut."""
    words = " ".join(HARMFUL.sub(lambda match: ascii(match[0])[1:-1], text).split())
    half = (longest - 5) // 2
    return words if len(words) <= longest else f"{words[:half]} ... {words[-half:]}"


def shown(value: object) -> str:
    """Quote a user's value for a message: its `repr`, shortened whatever its size and depth."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother = 2, 80, 80
    try:
        return short.repr(value)
    except ValueError:  # an integer with too many digits
        return f"an unreadable {type(value).__name__}"


def first_line(error: BaseException) -> str:
    """Return `ValueError: message` with the message's first line only, to quote a foreign exception."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def failure_message(error: Exception) -> str:
    """One-line message for a recorded failure: attrib's own text, or type, text, file and line of a foreign error."""
    words = " ".join(str(error).split())
    if isinstance(error, AttribError):
        return words
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return f"{type(error).__name__}: {words}" + "".join(f" ({Path(at.filename).name}:{at.lineno})" for at in last)


def nearest(name: str, choices: Iterable[str]) -> str:
    """Suggestion for an error message: the closest of `choices`, or all of them if none is close."""
    known = sorted(choices)
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"choose one of: {', '.join(known)}" if known else "none is registered"
