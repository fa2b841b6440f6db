"""Questions as text, and the words that they and their answers are made of."""

from __future__ import annotations

import string
from dataclasses import dataclass

import numpy as np

from attrib.demo.training.settings import Kind
from attrib.demo.world.families import AUXILIARY, FAMILIES, Family
from attrib.demo.world.scene import COLOURS, SHAPES, Scene
from attrib.demo.world.table import JUMPS

INSTRUCTION = "Answer with the option's letter from the given choices directly."
LETTERS = "ABCDE"
UNKNOWABLE = -1
SUFFIXES: dict[Kind, str] = {"open": "?", "listed": ":", "options": "", "echo": ""}  # of names of questions
_PUNCTUATION = tuple(".,?!:;'-()\"")


def vocabulary() -> tuple[str, ...]:
    """Words of all questions and answers, and of the prompts around them."""
    questions = [f.question for f in (*FAMILIES.values(), *AUXILIARY)]
    words = " ".join(q.rstrip("?") for q in questions).split()
    roles = ("system", "user", "assistant")
    return (*string.ascii_uppercase, *COLOURS, *SHAPES, *map(str, JUMPS), *_PUNCTUATION, *roles, *sorted(set(words)))


def prompt(question: str, options: tuple[str, ...], by_letter: bool = True) -> str:
    """Text of a multiple-choice question in the form that all models get; without options, the question alone.

    Unless the answer is to be given `by_letter`, the instruction is left out.
    """
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([question, *lines, *[INSTRUCTION] * (by_letter and bool(options))])


@dataclass(frozen=True)
class PackedQuestion:
    """Question of a packed sequence: its family, text and the word that answers it; "" if the answer is unknowable.

    `choices` is the number of its options; 0 if it has none.
    """

    family: str
    text: str
    answer: str
    choices: int = 0
    kind: Kind = "options"

    @property
    def name(self) -> str:
        """Name of the kind of question: the family with one of SUFFIXES."""
        return self.family + SUFFIXES[self.kind]


def ask(
    family: Family, scene: Scene, rng: np.random.Generator, kind: Kind = "options", edited: Scene | None = None
) -> PackedQuestion:
    """Return the family's question about the scene, without options or with all in random order.

    If the video shows an `edited` scene, that decides which option is right; none may be.
    """
    if kind == "open":
        return PackedQuestion(family.name, prompt(family.question, ()), str(family.answer(scene)), kind=kind)
    choices = family.options(scene, rng, int(rng.integers(family.choices)))
    answer = family.answer(edited or scene)
    if kind == "listed":
        return PackedQuestion(family.name, prompt(family.question, choices, by_letter=False), str(answer), kind=kind)
    letter = LETTERS[choices.index(answer)] if answer in choices else ""
    return PackedQuestion(family.name, prompt(family.question, choices), letter, len(choices))


def echo(rng: np.random.Generator) -> PackedQuestion:
    """Return a question for the letter of a word; it needs no video and trains only the step from word to letter."""
    known = (list(COLOURS), list(SHAPES), [str(n) for n in JUMPS])[rng.choice(3, p=(0.4, 0.4, 0.2))]
    words = [str(w) for w in rng.permutation(known)[: 5 if rng.random() < 0.3 else 3]]
    right = int(rng.integers(len(words)))
    return PackedQuestion("echo", prompt(f"What is {words[right]}?", tuple(words)), LETTERS[right], len(words))
