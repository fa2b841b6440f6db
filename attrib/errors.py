"""The exception tree.

AttribError
├── InputError            bad input: one clear line, exit code 2
│   ├── UnknownName       a name that is not registered; carries the nearest valid one
│   ├── ConfigError       a configuration key or value that is not valid
│   ├── VideoError        a video that cannot be read or written
│   └── NotWritten        a file that cannot be written: the disk is full, the place is none
├── UnsupportedModel      the method or metric needs something that this model does not offer
├── AttributionError      a method returned no saliency volume, or lacks what it needs to
└── NotEnoughMemory       it did not fit; names what would need less
"""

from __future__ import annotations

import difflib
import re
import reprlib
import traceback
from collections.abc import Iterable
from pathlib import Path

# What would act on a terminal, or cannot be written as UTF-8: control characters but for tab and newline, line and
# paragraph separators, marks that turn the direction of writing, halves of surrogate pairs.
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST = 600  # characters of a message; of a longer one the middle is left out


class AttribError(Exception):
    """Base of every error that attrib raises on purpose; its text is one line for a person, safe to print."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class InputError(AttribError):
    """Bad input: the command line prints the message and exits with code 2."""


class UnknownName(InputError):
    """`kind` has no entry called `name`; the message gives the nearest valid choices."""

    def __init__(self, kind: str, name: str, choices: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; {nearest(name, choices)}")


class ConfigError(InputError):
    """A configuration key or value that is not valid; the message starts with its path."""


class VideoError(InputError):
    """A video file that cannot be read or written."""


class NotWritten(InputError):
    """A file that cannot be written, because the disk is full or its place is none: no work can be kept."""


class UnsupportedModel(AttribError):
    """This model does not offer what the method or metric needs."""


class AttributionError(AttribError):
    """A method returned something that is not a finite (t, h, w) volume, or lacks what it needs to make one."""


class NotEnoughMemory(AttribError):
    """Memory could not be had; the message names what would need less."""


def one_line(text: str, longest: int = LONGEST) -> str:
    """The text with harmful characters as escapes, its white space as single spaces, and the middle cut out."""
    words = " ".join(HARMFUL.sub(lambda found: ascii(found[0])[1:-1], text).split())
    half = (longest - 5) // 2
    return words if len(words) <= longest else f"{words[:half]} ... {words[-half:]}"


def shown(value: object) -> str:
    """A value from outside as it is quoted in a message: its `repr`, short whatever its size and depth."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother = 2, 80, 80
    try:
        return short.repr(value)
    except ValueError:  # an integer of too many digits
        return f"an unreadable {type(value).__name__}"


def first_line(error: BaseException) -> str:
    """`ValueError: what it says`, its first line only: for another's exception inside a message of ours."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def told(error: Exception) -> str:
    """One line for a failure that is recorded: attrib's own words, or the kind, text, file and line of another's."""
    words = " ".join(str(error).split())
    if isinstance(error, AttribError):
        return words
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return f"{type(error).__name__}: {words}" + "".join(f" ({Path(at.filename).name}:{at.lineno})" for at in last)


def nearest(name: str, choices: Iterable[str]) -> str:
    """Words for an error message: the closest of `choices`, or all of them when none is close."""
    known = sorted(choices)
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"choose one of: {', '.join(known)}" if known else "none is registered"
