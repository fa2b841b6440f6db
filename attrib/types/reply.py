"""A free answer: its text, a model's tokens for it, and which tokens a word is made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from attrib.errors import InputError, nearest

WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
# Words that build a sentence and name nothing that a video could show. Yes, no, not and numbers do say something.
_BUILDING = """
    a an the this that these those some any each every either neither such
    i you he she it we they me him her us them my your his its our their mine yours hers ours theirs
    myself yourself himself herself itself ourselves themselves who whom whose which what there here
    am is are was were be been being do does did doing done have has had having
    can could will would shall should may might must it's there's that's he's she's they're
    of in on at by to from with into onto for about as
    and or but nor so yet if then than because while when where how why whether
    also too very just only
"""
FUNCTION_WORDS = frozenset(_BUILDING.split())


@dataclass(frozen=True)
class Reply:
    """A free answer: its text, token ids, the characters [start, end) of each token, and whether the model said it.

    A word is a run of letters and digits, inner apostrophes and hyphens included; case does not matter. A content word
    is one that is not in `FUNCTION_WORDS`. Raises InputError for an empty text.
    """

    text: str
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    generated: bool = False

    def __post_init__(self) -> None:
        if not self.text.strip() or not self.ids:
            raise InputError("answer: the text is empty")
        if len(self.ids) != len(self.spans):
            raise InputError(f"answer: expected a span for each of {len(self.ids)} tokens, got {len(self.spans)}")

    @property
    def tokens(self) -> tuple[str, ...]:
        """Each token's part of the text."""
        return tuple(self.text[start:end] for start, end in self.spans)

    @property
    def words(self) -> tuple[str, ...]:
        """The different words in lower case, in order."""
        return tuple(dict.fromkeys(match.group().casefold() for match in WORD.finditer(self.text)))

    @property
    def content_words(self) -> tuple[str, ...]:
        """The different content words in lower case, in order."""
        return tuple(word for word in self.words if word not in FUNCTION_WORDS)

    def places(self, words: Sequence[str] = ()) -> tuple[int, ...]:
        """Numbers of the tokens that any of these words is made of, wherever it stands; all tokens without words.

        Raises InputError for a word that is not in the answer, with the nearest.
        """
        if not words:
            return tuple(range(len(self.ids)))
        wanted = {word.casefold() for word in words}
        for word in words:
            if word.casefold() not in self.words:
                raise InputError(f"word {word!r} is not in the answer {self.text!r}; {nearest(word, self.words)}")
        found = [match.span() for match in WORD.finditer(self.text) if match.group().casefold() in wanted]
        return tuple(
            place for place, (start, end) in enumerate(self.spans)
            if any(start < stop and begin < end for begin, stop in found)
        )  # fmt: skip
