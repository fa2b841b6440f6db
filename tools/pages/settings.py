"""Table of the settings of a benchmark, from the models that validate them."""

from __future__ import annotations

import ast
import inspect
import tokenize
from collections.abc import Iterator
from dataclasses import astuple
from io import StringIO
from typing import Any

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from attrib.config import Config
from tools.pages.kinds import kind_of
from tools.pages.text import escaped, paragraph, table

LIMITS = {Ge: "{} or more", Gt: "more than {}", Le: "at most {}", Lt: "below {}", MinLen: "at least {}"}


def sections(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the name and the model of each section of the settings, the top one first, with the name ""."""
    yield prefix.rstrip("."), model
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from sections(field.annotation, f"{prefix}{name}.")


def settings() -> str:
    """Return a heading, the docstring and a table of the settings of each section."""
    parts = []
    for name, model in sections():
        rows = [
            (f"`{key}`", kind_of(field.annotation), *_default_and_limits(field), meaning(model, key))
            for key, field in model.model_fields.items()
        ]
        text = escaped(" ".join((inspect.getdoc(model) or "").split()))
        parts += [f"## {f'`{name}`' if name else 'Top level'}", text]
        parts += [table(("setting", "value", "default", "limits", "meaning"), rows)]
    return "\n\n".join(parts)


def _default_and_limits(field: FieldInfo) -> tuple[str, str]:
    words = [LIMITS[type(one)].format(*astuple(one)) for one in _constraints(field)]
    return _default(field), ", ".join(words)


def _constraints(field: FieldInfo) -> list[Any]:
    return [each for each in field.metadata if type(each) in LIMITS]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, dict):
        return f"`{{{', '.join(f'{key}: {item}' if item is not None else key for key, item in value.items())}}}`"
    return "none" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def meaning(model: type[BaseModel], key: str) -> str:
    """Return the comment of a setting in the class that has it."""
    own = next(base for base in inspect.getmro(model) if key in vars(base).get("__annotations__", {}))
    return escaped(comments(own).get(key, ""))


def comments(model: type) -> dict[str, str]:
    """Return the comment behind each field, or on the lines before it."""
    source = inspect.getsource(model)
    lines = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    (definition,) = ast.parse(source).body
    for statement in definition.body if isinstance(definition, ast.ClassDef) else []:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = lines.get(statement.end_lineno or 0) or lines.get(statement.lineno - 1, "")
            found[statement.target.id] = paragraph(text)
    return found
