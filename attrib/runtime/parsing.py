"""YAML and JSON that others wrote, and what pydantic says of it: read safely, or told in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from yaml.constructor import ConstructorError

from attrib.errors import HARMFUL, ConfigError, InputError, nearest, shown

# Settings are small. What is larger than this, once its aliases are followed, is an accident or an attack.
MOST_CHARACTERS, MOST_VALUES, DEEPEST = 2**18, 20_000, 30
_MERGE, _TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"


class _Loader(yaml.SafeLoader):
    """Tells the place of a value that its own tag or form does not fit, where PyYAML lets Python's errors through."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int):
                value.to_bytes(8, signed=True)  # OverflowError: too large to be meant, or even to be shown
            return value
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            kind = node.tag.rpartition(":")[2]
            raise ConstructorError(None, None, f"not a valid {kind}: {shown(node.value)}", node.start_mark) from None


def parse_yaml(text: str, what: str) -> Any:
    """The value of one YAML document; None for an empty one. Raises ConfigError: `what`, line, column and the fault.

    Refused beside faults of form: tags of Python objects, keys given twice, control characters, and more values or
    levels, aliases followed, than settings have.
    """
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(f"{what}: expected at most {MOST_CHARACTERS} characters of settings, got more")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _size(node, (), {})
        return None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{what}{place}: not valid YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        found = f"character {shown(text[error.position])}"
        raise ConfigError(f"{what}, line {line}: not valid YAML: {found} is not allowed") from None
    except RecursionError:
        raise ConfigError(f"{what}: not valid YAML: nested too deeply") from None


def _size(node: yaml.Node, above: tuple[yaml.Node, ...], known: dict[yaml.Node, int]) -> int:
    """How many values a node stands for. Aliases share nodes, so that each is looked at once and none is expanded."""
    if node in known:
        return known[node]
    if node in above or len(above) >= DEEPEST:
        problem = "a value that holds itself" if node in above else f"more than {DEEPEST} levels"
        raise ConstructorError(None, None, problem, node.start_mark)
    parts = _parts(node)
    known[node] = 1 + sum(_size(part, (*above, node), known) for part in parts)
    if known[node] > MOST_VALUES:
        raise ConstructorError(None, None, f"more than {MOST_VALUES} values", node.start_mark)
    return known[node]


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        names: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value == "null":  # a parameter's name: keys are words, never nothing
                    key.tag = _TEXT
                if (key.tag, key.value) in names:
                    raise ConstructorError(None, None, f"key {shown(key.value)} is given twice", key.start_mark)
                names.add((key.tag, key.value))
        return [part for pair in node.value for part in pair]
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    harmful = HARMFUL.search(node.value)
    if harmful:
        raise ConstructorError(None, None, f"character {shown(harmful[0])} is not allowed", node.start_mark)
    return []


def read_text(path: Path, most: int = -1) -> str:
    """A file's text, UTF-8, at most so many characters. Raises InputError when it cannot be read or is no text."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(most)
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path with a zero byte
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not a text file'}") from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises InputError when it is missing, cut short, of another kind, or ambiguous."""
    try:
        found = DECODER.decode(read_text(path))
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: not valid JSON: nested too deeply") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected a JSON object, got {shown(found)}")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"key {shown(twice)} is given twice")
    return found


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no number")


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refused)  # what is ambiguous is a ValueError


def complaint(error: ValidationError, path: str) -> str:
    """One line for pydantic's first error: its place below `path`, what was expected, what came, the nearest choice."""
    return told(error.errors(include_url=False)[0], path)


def told(found: ErrorDetails, path: str = "") -> str:
    """One line for one of pydantic's errors."""
    names = ".".join(str(part) for part in found["loc"] if part != "[key]")
    place = f"{path}{' ' if path.endswith(':') else '.'}{names}" if path and names else path or names
    if found["type"] == "missing":
        return f"{place}: is required"
    line = f"{place}: {found['msg'][:1].lower()}{found['msg'][1:]}, got {shown(found['input'])}"
    if found["type"] == "literal_error" and isinstance(found["input"], str):
        choices = re.findall("'([^']*)'", found["ctx"]["expected"])
        return f"{line}; {nearest(found['input'], choices)}"
    return line
