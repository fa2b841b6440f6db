"""Questions with options or with a free answer."""

from __future__ import annotations

from dataclasses import dataclass

from attrib.errors import HARMFUL, shown
from attrib.types.reply import Reply
from attrib.types.validation import require


@dataclass(frozen=True)
class Question:
    """Text, and either two or more options with the index of the right one (if known), or a free answer.

    Without options, `reply` is the answer to explain; a question with neither can only be put to a model.
    """

    text: str
    options: tuple[str, ...] = ()
    answer: int | None = None
    id: int = 0
    reply: Reply | None = None

    def __post_init__(self) -> None:
        require(bool(self.text.strip()), "question: the text is empty")
        for text in (self.text, *self.options):
            harmful = HARMFUL.search(text)
            require(harmful is None, f"question: {shown(harmful and harmful[0])} in {shown(text)} is not allowed")
        require(len(self.options) != 1, "question: expected at least two options, got 1")
        require(len(self.options) <= 26, f"question: expected at most 26 options, got {len(self.options)}")
        require(not (self.options and self.reply), "question: expected options or a free answer, got both")
        known = self.answer is None or 0 <= self.answer < len(self.options)
        require(known, f"question: answer {self.answer} is not one of the options 0..{len(self.options) - 1}")

    @property
    def letters(self) -> tuple[str, ...]:
        """Option letters: A, B, C, ..."""
        return tuple(chr(ord("A") + i) for i in range(len(self.options)))
