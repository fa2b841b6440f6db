"""Parameters of a plug-in: the fields of its dataclass, with the comments behind them."""

from __future__ import annotations

import ast
import inspect
import re
import tokenize
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from io import StringIO
from typing import Any, get_type_hints

from tools.pages.kinds import kind_of


@dataclass(frozen=True)
class Parameter:
    """Name, type in words, default as YAML has it, and the comment of the field; empty without one."""

    name: str
    kind: str
    default: str
    comment: str


def parameters(cls: Any) -> list[Parameter]:
    """Return the parameters of a dataclass in the order of its constructor; none for another class."""
    kind: type = cls
    if not is_dataclass(kind):
        return []
    hints = get_type_hints(kind)
    comments = {name: item for base in reversed(inspect.getmro(cls)) for name, item in _comments(base)}
    return [
        Parameter(field.name, kind_of(hints[field.name]), shown_default(field), comments.get(field.name, ""))
        for field in fields(kind)
    ]


def shown_default(field: Field[Any]) -> str:
    """Return a field's default as a configuration would name it; `required` without one."""
    if field.default is not MISSING:
        value = field.default
    elif field.default_factory is not MISSING:
        value = field.default_factory()
    else:
        return "required"
    if is_dataclass(value):
        return type(value).__name__.lower()
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return str(value) if value not in ("", {}) else '""' if value == "" else "{}"


def _comments(cls: type) -> Iterator[tuple[str, str]]:
    """Yield name and trailing comment of the fields that the class itself has."""
    statements = [each for each in _body(cls) if isinstance(each, ast.AnnAssign)]
    if not statements:
        return
    lines = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(StringIO(_source(cls)).readline)
        if token.type == tokenize.COMMENT and "fmt:" not in token.string
    }
    for statement in statements:
        if isinstance(statement.target, ast.Name) and statement.end_lineno in lines:
            yield statement.target.id, re.sub(r"\s*noqa.*", "", lines[statement.end_lineno])


def _body(cls: type) -> list[ast.stmt]:
    definitions = ast.parse(_source(cls)).body
    return definitions[0].body if definitions and isinstance(definitions[0], ast.ClassDef) else []


def _source(cls: type) -> str:
    """Return the source of a class of attrib; empty for others, such as `object`."""
    return inspect.getsource(cls) if cls.__module__.startswith("attrib") else ""
