"""Types of parameters and settings in the words of a reader who writes YAML."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

PLAIN = {
    bool: "true or false", int: "whole number", float: "number", str: "text", type(None): "none", Any: "any value",
}  # fmt: skip


def kind_of(hint: Any) -> str:
    """Return what a value of the type looks like, such as `whole number`, or its choices in code spans."""
    origin, inside = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return PLAIN[hint]
    if origin is Annotated:
        return kind_of(inside[0])
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inside)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind_of(each) for each in inside))
    if origin in (dict, Mapping):
        return "mapping"
    if origin in (tuple, list):
        return _listed(inside)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return "section"
    return getattr(hint, "__name__", str(hint)).lower()


def _listed(inside: tuple[Any, ...]) -> str:
    """Return the words for a list, or for a few values in a row."""
    if len(inside) > 1 and inside[-1] is not ...:
        return f"list of {len(inside)}: {', '.join(dict.fromkeys(map(kind_of, inside)))}"
    return f"list of: {kind_of(inside[0])}"
