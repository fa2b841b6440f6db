"""The code that a class or function rests on: its module and all that this imports from attrib or its own package."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import attrib


@dataclass(frozen=True)
class CodeHashes:
    """Hashes of code as it is now; files are read once for each Sources."""

    _known: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)  # by module: hash, imports

    def of(self, item: Callable[..., Any]) -> str:
        """16 hex digits that change when a line of that code does; of the item's own text where there is no file."""
        if _file(item.__module__) is None:
            return _hashed(_text(item))
        found: set[str] = set()
        todo = [item.__module__]
        while todo:
            module = todo.pop()
            if module not in found and self._module(module)[0]:
                found.add(module)
                todo += self._module(module)[1]
        return _hashed("".join(f"{name}:{self._module(name)[0]};" for name in sorted(found)))

    def _module(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Its text's hash, empty where it has no file, and what it imports."""
        if name not in self._known:
            path = _file(name)
            text = path.read_text(encoding="utf-8") if path else ""
            self._known[name] = (_hashed(text), tuple(_imports(name, text))) if path else ("", ())
        return self._known[name]


def _imports(module: str, text: str) -> Iterator[str]:
    """Modules of attrib and of the module's own package that it imports, anywhere in its text."""
    own = {"attrib", module.partition(".")[0]}
    package = getattr(sys.modules.get(module), "__package__", None) or module.rpartition(".")[0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in own)
        elif isinstance(node, ast.ImportFrom):
            home = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            if home.partition(".")[0] in own:
                yield from (_home(home, alias.name) for alias in node.names)


def _home(module: str, name: str) -> str:
    """Where `name` of `module` comes from: a module below it, the module itself, or that of a public name of attrib."""
    if _file(f"{module}.{name}") is not None:
        return f"{module}.{name}"
    return str(getattr(attrib, name).__module__) if module == "attrib" and name in attrib.__all__ else module


def _file(module: str) -> Path | None:
    """The file of a module, imported or not; None where there is no such module, or it has no Python file."""
    loaded = sys.modules.get(module)
    try:
        spec = loaded.__spec__ if loaded else importlib.util.find_spec(module)
    except ModuleNotFoundError:  # a name in a module that is no package
        return None
    path = Path(spec.origin) if spec and spec.origin else None
    return path if path and path.suffix == ".py" and path.is_file() else None


def _text(item: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(item)
    except (OSError, TypeError):  # typed in
        return item.__qualname__


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
