"""Questions with options or with a free answer."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from attrib.errors import HARMFUL, InputError, shown
from attrib.types.reply import Reply
from attrib.types.shot import Shot
from attrib.types.validation import require

_BLANKS = dict.fromkeys(map(ord, "\u115f\u1160\u2800\u3164\uffa0"), " ")  # letters and signs that show nothing


def visible_text(text: str) -> str:
    """Return what a reader sees of a text: no marks of width zero, one space for any run of blanks, none around it."""
    shown = "".join(sign for sign in text.translate(_BLANKS) if unicodedata.category(sign) != "Cf")
    return " ".join(shown.split())


def check_options(options: Sequence[str]) -> None:
    """Raise InputError for an option without text, and for options that are alike but for blanks."""
    texts = [visible_text(option) for option in options]
    if not all(texts):
        raise InputError(f"options: expected text in each, got {', '.join(map(shown, options))}")
    if len(set(texts)) < len(texts):
        raise InputError(f"options: expected different ones, got {', '.join(map(shown, options))}")


@dataclass(frozen=True)
class Question:
    """Text, and either two or more options with the index of the right one (if known), or a free answer.

    Without options, `reply` is the answer to explain; a question with neither can only be put to a model. `shot` is of
    the clip that is asked about, once it is known. Raises InputError for a text or an option that shows nothing, and
    for options that are alike but for blanks.
    """

    text: str
    options: tuple[str, ...] = ()
    answer: int | None = None
    id: int = 0
    reply: Reply | None = None
    shot: Shot | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        require(bool(visible_text(self.text)), "question: the text is empty")
        for text in (self.text, *self.options):
            harmful = HARMFUL.search(text)
            require(harmful is None, f"question: {shown(harmful and harmful[0])} in {shown(text)} is not allowed")
        require(len(self.options) != 1, "question: expected at least two options, got 1")
        require(len(self.options) <= 26, f"question: expected at most 26 options, got {len(self.options)}")
        check_options(self.options)
        require(not (self.options and self.reply), "question: expected options or a free answer, got both")
        known = self.answer is None or 0 <= self.answer < len(self.options)
        require(known, f"question: answer {self.answer} is not one of the options 0..{len(self.options) - 1}")

    @property
    def letters(self) -> tuple[str, ...]:
        """Option letters: A, B, C, ..."""
        return tuple(chr(ord("A") + i) for i in range(len(self.options)))
