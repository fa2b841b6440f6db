"""Tokenised questions: the vocabulary of the built-in model, and the packing of several questions after one video."""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PerceptionLMProcessor, PreTrainedTokenizerFast

from attrib.demo.world.families import AUXILIARY, FAMILIES, Family
from attrib.demo.world.scene import COLOURS, SHAPES, Scene
from attrib.demo.world.table import CUPS
from attrib.models.perception_lm_init import SYSTEM_PROMPT, word_tokenizer

INSTRUCTION = "Answer with the option's letter from the given choices directly."
LETTERS = "ABC"
UNKNOWABLE = -1
_PUNCTUATION = tuple(".,?!:;'-()\"")


def tokenizer() -> PreTrainedTokenizerFast:
    """Return the word tokenizer of all questions and answers; the two fixed sentences of a prompt are a token each."""
    questions = [f.question for f in (*FAMILIES.values(), *AUXILIARY)]
    words = " ".join(q.rstrip("?") for q in questions).split()
    roles = ("system", "user", "assistant")
    known = (*string.ascii_uppercase, *COLOURS, *SHAPES, *map(str, CUPS), *_PUNCTUATION, *roles, *sorted(set(words)))
    return word_tokenizer(known, (SYSTEM_PROMPT, INSTRUCTION))


def prompt(question: str, options: tuple[str, ...]) -> str:
    """Text of a multiple-choice question in the form that all models get; without options, the question alone."""
    if not options:
        return question
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True)]
    return "\n".join([question, *lines, INSTRUCTION])


@dataclass(frozen=True)
class PackedQuestion:
    """Question of a packed sequence: its family, text and the word that answers it; "" if the answer is unknowable."""

    family: str
    text: str
    answer: str


def ask(
    family: Family, scene: Scene, rng: np.random.Generator, options: bool = True, edited: Scene | None = None
) -> PackedQuestion:
    """Return the family's question about the scene, without options or with three in random order.

    If the video shows an `edited` scene, that decides which option is right; none may be.
    """
    if not options:
        return PackedQuestion(family.name, prompt(family.question, ()), str(family.answer(scene)))
    right = int(rng.integers(len(LETTERS)))
    choices = family.options(scene, rng, right)
    answer = family.answer(edited or scene)
    letter = LETTERS[choices.index(answer)] if answer in choices else ""
    return PackedQuestion(family.name, prompt(family.question, choices), letter)


def echo(rng: np.random.Generator) -> PackedQuestion:
    """Return a question for the letter of a word; it needs no video and trains only the step from word to letter."""
    words = [str(w) for w in rng.permutation(list(COLOURS) if rng.random() < 0.5 else list(SHAPES))[:3]]
    right = int(rng.integers(len(LETTERS)))
    return PackedQuestion("echo", prompt(f"What is {words[right]}?", tuple(words)), LETTERS[right])


class Packer:
    """Packer of questions into token blocks that all follow the same video and do not attend to each other."""

    def __init__(self, processor: PerceptionLMProcessor, visual: int, block: int = 32) -> None:
        self.processor, self.visual, self.block = processor, visual, block
        self.prefix = self._halves("x")[0]
        self._suffix = lru_cache(maxsize=200_000)(lambda text: self._halves(text)[1])

    def _halves(self, text: str) -> tuple[list[int], list[int]]:
        message = {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": text}]}
        whole = self.processor.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
        before, after = whole.split(self.processor.video_token)
        encode = self.processor.tokenizer
        return encode(before, add_special_tokens=False).input_ids, encode(after, add_special_tokens=False).input_ids

    def word(self, text: str) -> int:
        """Token id of a single word."""
        return int(self.processor.tokenizer.convert_tokens_to_ids(text))

    def blocks(self, questions: list[PackedQuestion]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return token ids (k, block), the answer's position in each block (k,), and the answers' ids (k,).

        The id of an unknowable answer is UNKNOWABLE.
        """
        ids = np.full((len(questions), self.block), self.processor.tokenizer.pad_token_id, np.int64)
        ends = np.zeros(len(questions), np.int64)
        for i, question in enumerate(questions):
            suffix = self._suffix(question.text)
            if len(suffix) > self.block:
                raise ValueError(f"expected a question of at most {self.block} tokens, got {len(suffix)}")
            ids[i, : len(suffix)], ends[i] = suffix, len(suffix) - 1
        answers = [self.word(q.answer) if q.answer else UNKNOWABLE for q in questions]
        return ids, ends, np.array(answers, np.int64)

    def mask(self, visual: int, questions: int) -> torch.Tensor:
        """Attention mask, bool (1, 1, n, n): causal, and blind to the blocks of other questions."""
        shared = len(self.prefix) + visual
        owner = torch.cat([torch.zeros(shared), 1 + torch.arange(questions).repeat_interleave(self.block)])
        allowed = (owner[None, :] == 0) | (owner[None, :] == owner[:, None])
        return (allowed & torch.ones_like(allowed).tril())[None, None]

    def positions(self, selected: torch.Tensor, questions: int) -> torch.Tensor:
        """Position ids (b, n) for the visual tokens with indices `selected` (b, v); all questions start equally."""
        batch = len(selected)
        before = torch.arange(len(self.prefix)).expand(batch, -1)
        block = (len(self.prefix) + self.visual + torch.arange(self.block)).repeat(questions).expand(batch, -1)
        return torch.cat([before, len(self.prefix) + selected, block], 1)
