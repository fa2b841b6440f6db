"""Tokens of option letters and of given answers, which depend on how the prompt ends."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from attrib.errors import InputError
from attrib.models.replying import given, letter_id


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level, as of Qwen and SmolVLM: a blank and the letter after it are one token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "A"), ("Ġ", "B"), ("Ċ", "Ċ")]
    vocabulary = {token: index for index, token in enumerate([*alphabet, *("".join(pair) for pair in merges)])}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken("<turn>", special=True, normalized=False)])
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<turn>")


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Assistant:", "ĠA"),
        ("<turn>model\n", "A"),
        ("assistant\n\n", "A"),
        ("say <turn>", "A"),
        ("the answer is ", "A"),
    ],
)
def test_the_letter_is_the_token_that_continues_the_prompt(
    tokenizer: PreTrainedTokenizerFast, prompt: str, expected: str
) -> None:
    last = tokenizer(prompt).input_ids[-1]
    assert letter_id(tokenizer, "A", "m", last) == tokenizer.convert_tokens_to_ids(expected)
    whole = tokenizer(prompt + ("" if expected == "A" else " ") + "A").input_ids
    assert expected == "A" or whole[-1] == tokenizer.convert_tokens_to_ids(expected)


def test_a_letter_without_a_token_for_the_blank_is_taken_alone_and_none_is_refused(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    last = tokenizer("Assistant:").input_ids[-1]
    assert letter_id(tokenizer, "C", "m", last) == tokenizer.convert_tokens_to_ids("C")
    with pytest.raises(InputError, match="the option letter 'É' is not one token"):
        letter_id(tokenizer, "É", "m", last)


@pytest.mark.parametrize("prompt", ["Assistant:", "<turn>model\n"])
@pytest.mark.parametrize("text", ["A cup", "B", "cup", "É A"])
def test_a_given_answer_continues_the_prompt(tokenizer: PreTrainedTokenizerFast, prompt: str, text: str) -> None:
    """The tokens are those of the whole text, with the blank where it has a token with the answer's first letter."""
    start = tokenizer(prompt).input_ids
    reply = given(tokenizer, f" {text}\n", start[-1])
    merged = prompt.endswith(":") and text[0] in "AB"
    whole = tokenizer(f"{prompt} {text}" if merged else prompt + text).input_ids
    assert [*start, *reply.ids] == whole
    assert reply.text == text and reply.spans[0] == (0, 1) and reply.spans[-1][1] == len(text)
