"""Match of annotation labels with a question's text: words as written, without a language model or lists.

Words are runs of letters and digits in lower case, so that hyphens part them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from attrib.types.reply import FUNCTION_WORDS

_WORD = re.compile(r"[^\W_]+")
_ENDINGS = ("ing", "es", "ed", "s")


@lru_cache(maxsize=2**12)
def words(text: str) -> tuple[str, ...]:
    """The words of a text, in order."""
    return tuple(_WORD.findall(text.casefold()))


def named(labels: Iterable[str], text: str) -> frozenset[str]:
    """Return the labels that the text contains, word by word, in the singular or plural (s, es).

    The longest come first, and no word counts for two of them: of "water bottle" and "bottle" a text with "water
    bottles" names the first alone. Labels of nothing but function words and single characters name nothing.
    """
    found, left = set(), [*words(text)]
    for label in sorted(set(labels), key=lambda label: (-len(words(label)), label)):
        wanted = words(label)
        if all(len(word) == 1 or word in FUNCTION_WORDS for word in wanted):
            continue
        for start in range(len(left) - len(wanted) + 1):
            part = slice(start, start + len(wanted))
            if all(map(_same, wanted, left[part])):
                found.add(label)
                left[part] = [""] * len(wanted)
    return frozenset(found)


def _same(one: str, other: str) -> bool:
    """The same word, up to the plural's ending."""
    short, long = sorted((one, other), key=len)
    return bool(short) and long in (short, f"{short}s", f"{short}es")


@lru_cache(maxsize=2**12)
def told_of(label: str, text: str) -> bool:
    """Return whether the text contains all content words of an action ("Putting something into something": put).

    Words are compared by their stems, in any order.
    """
    wanted = [stem(word) for word in words(label) if word not in _EMPTY]
    return bool(wanted) and set(wanted) <= {stem(word) for word in words(text)}


_EMPTY: frozenset[str] = FUNCTION_WORDS | {"something", "someone", "somebody", "somewhere"}


@lru_cache(maxsize=2**14)  # the same words come again and again
def stem(word: str) -> str:
    """A verb without ing, es, ed, s, a doubled last consonant (but l, s, z) and a last e: put, putting; move, moves."""
    endings = (end for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= 3)
    ending = "" if word.endswith("ss") else next(endings, "")
    short = word.removesuffix(ending)
    if ending and len(short) > 3 and short[-1] == short[-2] and short[-1] not in "lszaeiou":
        short = short[:-1]
    return short.removesuffix("e") if len(short) > 3 else short


def first_named(labels: Sequence[str], texts: Iterable[tuple[str, str]]) -> tuple[str, frozenset[str]]:
    """Return the first (rule, text) pair whose text names a label, as its rule and those labels; empty without one."""
    for rule, text in texts:
        found = named(labels, text)
        if found:
            return rule, found
    return "", frozenset()
