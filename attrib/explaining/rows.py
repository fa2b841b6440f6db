"""Turn a request to explain one answer into one subject for each method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrib import config, registry
from attrib.errors import InputError
from attrib.explaining.explanation import Rows
from attrib.method import Control, Method, can_explain
from attrib.subject import Subject, Target
from attrib.types import Question


def with_answer(question: Question, target: Target) -> Question:
    """Return the question with the right answer that a target `correct:K` names."""
    if target.kind == "correct" and target.options and target.options[0] < len(question.options):
        return Question(question.text, question.options, target.options[0], question.id)
    return question


def by_method(subject: Subject, methods: Mapping[str, Method]) -> Rows:
    """Return one row for each method."""
    return {label: (label, method, subject) for label, method in methods.items()}


def by_word(subject: Subject, methods: Mapping[str, Method], words: Sequence[str]) -> Rows:
    """Return one row for each method and word, by default the content words. Raises InputError without any."""
    reply = subject.question.reply
    assert reply is not None  # `check` refuses words with options
    chosen = tuple(dict.fromkeys(word.casefold() for word in words)) or reply.content_words
    if not chosen:
        raise InputError(f"words: the answer {reply.text!r} has no content word; choose words with --word")
    subjects = {word: subject.aimed(Target("answer", words=(word,))) for word in chosen}
    return {f"{label}.{word}": (label, methods[label], aimed) for label in methods for word, aimed in subjects.items()}


def method_objects(methods: Mapping[str, Any] | None, annotated: bool = False) -> dict[str, Method]:
    """Build the `labelled` methods.

    By default all except controls and, unless `annotated`, methods that need an annotation.
    """
    if methods is None:
        every = {name: config.build("methods", name).item for name in registry.names("methods")}
        usable = {name: item for name, item in every.items() if can_explain(item, annotated)}
        return {name: item for name, item in usable.items() if not isinstance(item, Control)}
    return {
        label: method if isinstance(method, Method) else config.build("methods", label, method).item
        for label, method in methods.items()
    }
