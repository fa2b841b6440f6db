"""Safe reading of YAML and JSON files, with errors, also those of pydantic, as one line."""

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
from attrib.runtime.encoding import encoding_of

# Settings are small. A file above these limits, with its aliases followed, is an accident or an attack.
MOST_CHARACTERS, MOST_VALUES, DEEPEST = 2**18, 20_000, 30
_MERGE, _TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"


class _Loader(yaml.SafeLoader):
    """Loader that reports the position of values that do not fit their tag, for which PyYAML raises Python errors."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int):
                value.to_bytes(8, signed=True)  # OverflowError for numbers too large to be meant, or even printed
            return value
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            kind = node.tag.rpartition(":")[2]
            raise ConstructorError(None, None, f"not a valid {kind}: {shown(node.value)}", node.start_mark) from None


def parse_yaml(text: str, what: str) -> Any:
    """Return the value of one YAML document; None for an empty one.

    Raises ConfigError with `what`, line, column and the fault, also for tags of Python objects, duplicate keys, control
    characters, and more values or levels (aliases followed) than settings have.
    """
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(f"{what}: expected at most {MOST_CHARACTERS} characters of settings, got more")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _count_values(node, (), {})
        return None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{what}{position}: not valid YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = shown(text[error.position])
        raise ConfigError(f"{what}, line {line}: not valid YAML: character {character} is not allowed") from None
    except RecursionError:
        raise ConfigError(f"{what}: not valid YAML: nested too deeply") from None


def _count_values(node: yaml.Node, above: tuple[yaml.Node, ...], known: dict[yaml.Node, int]) -> int:
    """Number of values of a node with its aliases followed. Aliases share nodes, so that each node is visited once."""
    if node in known:
        return known[node]
    if node in above or len(above) >= DEEPEST:
        problem = "a value that holds itself" if node in above else f"more than {DEEPEST} levels"
        raise ConstructorError(None, None, problem, node.start_mark)
    known[node] = 1 + sum(_count_values(child, (*above, node), known) for child in _children(node))
    if known[node] > MOST_VALUES:
        raise ConstructorError(None, None, f"more than {MOST_VALUES} values", node.start_mark)
    return known[node]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        names: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value == "null":  # a parameter may be called null: keys are always words
                    key.tag = _TEXT
                if (key.tag, key.value) in names:
                    raise ConstructorError(None, None, f"key {shown(key.value)} is given twice", key.start_mark)
                names.add((key.tag, key.value))
        return [child for pair in node.value for child in pair]
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    harmful = HARMFUL.search(node.value)
    if harmful:
        raise ConstructorError(None, None, f"character {shown(harmful[0])} is not allowed", node.start_mark)
    return []


def read_text(path: Path, most: int = -1) -> str:
    """Read at most `most` characters of text, UTF-8 unless a byte order mark names another encoding.

    Raises InputError if the file cannot be read or is not text.
    """
    try:
        with path.open(encoding=encoding_of(path)) as file:
            return file.read(most)
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path with a zero byte
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not a text file'}") from None


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises InputError if the file is missing, truncated, of another kind or ambiguous."""
    try:
        value = DECODER.decode(read_text(path))
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: not valid JSON: nested too deeply") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, got {shown(value)}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for index, name in enumerate(names) if name in names[:index])
        raise ValueError(f"key {shown(duplicate)} is given twice")
    return values


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no number")


DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refused
)  # raises ValueError for ambiguous documents


def complaint(error: ValidationError, path: str) -> str:
    """One-line message for pydantic's first error: the key below `path`, what was expected, the value, the nearest."""
    return describe_error(error.errors(include_url=False)[0], path)


def describe_error(error: ErrorDetails, path: str = "") -> str:
    """One-line message for one of pydantic's errors."""
    names = ".".join(str(name) for name in error["loc"] if name != "[key]")
    key = f"{path}{' ' if path.endswith(':') else '.'}{names}" if path and names else path or names
    if error["type"] == "missing":
        return f"{key}: is required"
    line = f"{key}: {error['msg'][:1].lower()}{error['msg'][1:]}, got {shown(error['input'])}"
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        choices = re.findall("'([^']*)'", error["ctx"]["expected"])
        return f"{line}; {nearest(error['input'], choices)}"
    return line
