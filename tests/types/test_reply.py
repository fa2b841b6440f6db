"""Words of a free answer, and the tokens that they are made of."""

from __future__ import annotations

import re

import pytest

from attrib.errors import InputError
from attrib.types import Question
from attrib.types.reply import FUNCTION_WORDS, Reply


def reply(text: str, pieces: list[str]) -> Reply:
    """Tokens that are these pieces of the text, in order; blanks before a piece belong to no token."""
    spans, at = [], 0
    for piece in pieces:
        start = text.index(piece, at)
        at = start + len(piece)
        spans.append((start, at))
    return Reply(text, tuple(range(len(pieces))), tuple(spans))


CUP = reply("The red cup, it's a Cup!", ["The", " re", "d", " cup", ",", " it", "'s", " a", " Cu", "p!"])


def test_words_are_told_from_punctuation() -> None:
    assert CUP.words == ("the", "red", "cup", "it's", "a")
    assert CUP.content_words == ("red", "cup")
    assert reply("A T-shirt, 3 of them: no_one", ["A"]).words == ("a", "t-shirt", "3", "of", "them", "no", "one")
    assert reply("No, it is not.", ["No"]).content_words == ("no", "not")
    assert reply("... - ' !", ["..."]).words == ()


def test_function_words_are_words() -> None:
    assert {"the", "of", "it's", "are"} <= FUNCTION_WORDS
    assert not {"cup", "red", "left", "under", "no", "not", "three"} & FUNCTION_WORDS
    for word in FUNCTION_WORDS:
        assert re.fullmatch(r"[a-z]+('[a-z]+)?", word)


@pytest.mark.parametrize(
    ("words", "places"),
    [
        ((), tuple(range(10))),
        (("red",), (1, 2)),
        (("cup",), (3, 8, 9)),  # wherever it stands; the last token holds punctuation too
        (("CUP", "The"), (0, 3, 8, 9)),
        (("it's",), (5, 6)),
    ],
)
def test_words_are_made_of_the_tokens_that_touch_them(words: tuple[str, ...], places: tuple[int, ...]) -> None:
    assert CUP.token_indices(words) == places


def test_tokens_are_parts_of_the_text() -> None:
    assert "".join(CUP.tokens) == CUP.text
    assert CUP.tokens[1:4] == (" re", "d", " cup")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("cop", "word 'cop' is not in the answer \"The red cup, it's a Cup!\"; did you mean 'cup'?"),
        ("elephants", "choose one of: a, cup, it's, red, the"),
        ("red cup", "did you mean 'red'"),
        (",", "word ',' is not in the answer"),
    ],
)
def test_other_words_are_refused(word: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        CUP.token_indices((word,))


def test_an_answer_is_not_empty_and_has_a_span_for_each_token() -> None:
    for text, ids in (("", (1,)), (" \n", (1,)), ("red", ())):
        with pytest.raises(InputError, match="the text is empty"):
            Reply(text, ids, ((0, 1),) * len(ids))
    with pytest.raises(InputError, match="a span for each of 2 tokens, got 1"):
        Reply("red", (1, 2), ((0, 3),))


def test_a_question_has_options_or_an_answer() -> None:
    assert Question("Why?", reply=CUP).letters == ()
    with pytest.raises(InputError, match="options or a free answer, got both"):
        Question("Why?", ("a", "b"), reply=CUP)
