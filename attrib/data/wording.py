"""Matching of annotation labels with a question's text by its words, without a language model or word lists.

Words are runs of letters and digits in lower case; a hyphen separates words.
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
    """Words of a text, in order."""
    return tuple(_WORD.findall(text.casefold()))


def labels_in(labels: Iterable[str], text: str) -> frozenset[str]:
    """Return the labels that the text contains, word by word, in the singular or plural (s, es).

    Longer labels match first, and each word of the text is used once: "water bottles" matches "water bottle" and not
    "bottle". Labels that consist of function words and single characters never match.
    """
    matched, left = set(), [*words(text)]
    for label in sorted(set(labels), key=lambda label: (-len(words(label)), label)):
        wanted = words(label)
        if all(len(word) == 1 or word in FUNCTION_WORDS for word in wanted):
            continue
        for start in range(len(left) - len(wanted) + 1):
            span = slice(start, start + len(wanted))
            if all(map(_same, wanted, left[span])):
                matched.add(label)
                left[span] = [""] * len(wanted)
    return frozenset(matched)


def _same(word: str, other: str) -> bool:
    """Return whether two words are equal up to a plural ending."""
    short, long = sorted((word, other), key=len)
    return bool(short) and long in (short, f"{short}s", f"{short}es")


@lru_cache(maxsize=2**12)
def mentions_action(label: str, text: str) -> bool:
    """Return whether the text contains all content words of an action's label, in any order, compared by stems.

    The only content word of "Putting something into something" is "put".
    """
    wanted = [stem(word) for word in words(label) if word not in _EMPTY]
    return bool(wanted) and set(wanted) <= {stem(word) for word in words(text)}


_EMPTY: frozenset[str] = FUNCTION_WORDS | {"something", "someone", "somebody", "somewhere"}


@lru_cache(maxsize=2**14)  # words repeat across questions
def stem(word: str) -> str:
    """Strip ing, es, ed or s, a doubled final consonant (except l, s, z) and a final e: putting -> put, move -> mov."""
    endings = (end for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= 3)
    ending = "" if word.endswith("ss") else next(endings, "")
    short = word.removesuffix(ending)
    if ending and len(short) > 3 and short[-1] == short[-2] and short[-1] not in "lszaeiou":
        short = short[:-1]
    return short.removesuffix("e") if len(short) > 3 else short


def first_rule(labels: Sequence[str], texts: Iterable[tuple[str, str]]) -> tuple[str, frozenset[str]]:
    """Return the rule of the first (rule, text) pair whose text contains a label, and these labels; empty if none."""
    for rule, text in texts:
        matched = labels_in(labels, text)
        if matched:
            return rule, matched
    return "", frozenset()
