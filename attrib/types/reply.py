"""Free answers: their text, a model's tokens for it, and the tokens of each word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from attrib.errors import InputError, nearest

WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
# Words that build a sentence and name nothing that a video could show. Yes, no, not and numbers are content words.
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
    """Free answer: its text, token ids, the characters [start, end) of each token, and whether the model generated it.

    A word is a run of letters and digits, inner apostrophes and hyphens included; case does not matter. A content word
    is a word outside `FUNCTION_WORDS`. Raises InputError for an empty text.
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
        """Text of each token."""
        return tuple(self.text[start:end] for start, end in self.spans)

    @property
    def words(self) -> tuple[str, ...]:
        """Distinct words in lower case, in order."""
        return tuple(dict.fromkeys(match.group().casefold() for match in WORD.finditer(self.text)))

    @property
    def content_words(self) -> tuple[str, ...]:
        """Distinct content words in lower case, in order."""
        return tuple(word for word in self.words if word not in FUNCTION_WORDS)

    def token_indices(self, words: Sequence[str] = ()) -> tuple[int, ...]:
        """Indices of the tokens of these words, at every occurrence; of all tokens if no words are given.

        Raises InputError, with the nearest word, for a word that is not in the answer.
        """
        if not words:
            return tuple(range(len(self.ids)))
        wanted = {word.casefold() for word in words}
        for word in words:
            if word.casefold() not in self.words:
                raise InputError(f"word {word!r} is not in the answer {self.text!r}; {nearest(word, self.words)}")
        occurrences = [match.span() for match in WORD.finditer(self.text) if match.group().casefold() in wanted]
        return tuple(
            index for index, (start, end) in enumerate(self.spans)
            if any(start < stop and begin < end for begin, stop in occurrences)
        )  # fmt: skip
