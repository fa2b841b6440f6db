"""Free answers in a tokenizer's tokens: a given text, or what a model generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from attrib.errors import InputError
from attrib.types.reply import Reply

BROKEN = "\ufffd"  # what a character decodes to whose bytes are not all there


def reserved(tokenizer: Any) -> Mapping[int, str]:
    """Return the tokens that the model reserves for itself, by id; the unknown token is none of them."""
    named = dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
    added = {index: str(token) for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    return {index: token for index, token in {**named, **added}.items() if index != tokenizer.unk_token_id}


def refuse_reserved(tokenizer: Any, text: str, owner: str) -> None:
    """Raises InputError for a text with a token that the model reserves for itself."""
    for special in reserved(tokenizer).values():
        if special in text:
            raise InputError(f"{owner}: the text holds {special!r}, which the model reserves for itself")


def letter_id(tokenizer: Any, letter: str, model: str, last: int) -> int:
    """Return the token of an option letter after a prompt that ends with the token `last`.

    After a word or a colon the answer begins with a blank, which most vocabularies hold within the letter's token.
    Raises InputError where the letter is not one token.
    """
    for text in dict.fromkeys((_blank_after(tokenizer, last) + letter, letter)):
        ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
        if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
            return ids[0]
    raise InputError(f"model {model!r}: the option letter {letter!r} is not one token of its vocabulary")


def _blank_after(tokenizer: Any, last: int) -> str:
    """Return the blank that divides an answer from a word or a colon before it; nothing after a line or a turn."""
    end = "" if last in tokenizer.all_special_ids else str(tokenizer.decode([last]))
    return " " if end and not end[-1].isspace() else ""


def given(tokenizer: Any, text: str, last: int) -> Reply:
    """A text without the blanks around it, and its tokens by the tokenizer's offsets where a prompt ends in `last`.

    Raises InputError for an empty text and for one that the vocabulary does not hold.
    """
    text = text.strip()
    refuse_reserved(tokenizer, text, "answer")
    for blank in dict.fromkeys((_blank_after(tokenizer, last), "")):
        encoded = tokenizer(blank + text, add_special_tokens=False, return_offsets_mapping=True)
        spans = [(max(start - len(blank), 0), end - len(blank)) for start, end in encoded.offset_mapping]
        if spans and spans[0][1]:  # not a token for the blank alone, which no answer begins with
            break
    for token, (start, end) in zip(encoded.input_ids, spans, strict=True):
        if token == tokenizer.unk_token_id:
            raise InputError(f"answer: {text[start:end]!r} is not in the model's vocabulary")
    return Reply(text, tuple(encoded.input_ids), tuple(spans))


def generated(tokenizer: Any, ids: Sequence[int], placeholder: int | None = None) -> Reply:
    """Just these tokens; each stands for what it adds to the text, and for all of a character that it is a part of.

    Raises InputError for an empty answer, and for one with the token that stands for visual tokens.
    """
    if placeholder in ids:
        raise InputError("answer: the model answered with its own placeholder for video; its weights may be untrained")
    texts = [str(tokenizer.decode(ids[:count], skip_special_tokens=True)) for count in range(len(ids) + 1)]
    spans = [(len(before.rstrip(BROKEN)), len(text)) for before, text in pairwise(texts)]
    return Reply(texts[-1], tuple(ids), tuple(spans), generated=True)


def unknown_words(tokenizer: Any, texts: Sequence[str]) -> tuple[str, ...]:
    """Distinct words of the texts that the tokenizer has no token for, in order."""
    if tokenizer.unk_token_id is None:
        return ()
    words: dict[str, None] = {}
    for text in texts:
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        for token, (start, end) in zip(encoded.input_ids, encoded.offset_mapping, strict=True):
            if token == tokenizer.unk_token_id and any(map(str.isalnum, text[start:end])):
                words[text[start:end]] = None
    return tuple(words)
