"""Hash of the code that can change a result: a class's module and all its imports from attrib or its own package.

Comments, docstrings, signature annotations, the texts of errors and the modules in NO_EFFECT do not count: rewording
them keeps every cached result valid. Any other change, e.g. of a default or an operator, changes the hash.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import attrib

# Modules of attrib that cannot change a number, since they only report, look up, parse or store.
NO_EFFECT = frozenset({
    "attrib.errors",  # exceptions and their wording
    "attrib.registry",  # finds a class by its name: the key includes the name and the class's own code
    "attrib.config",  # builds an object from parameters: the key includes the parameters
    "attrib.runtime.files",  # writes files atomically
    "attrib.runtime.parsing",  # reads YAML and JSON: the keys include the values
    "attrib.runtime.progress",  # reports progress
    "attrib.types.validation",  # rejects values and changes none
})  # fmt: skip


def source_text(module: str) -> str | None:
    """Source of a module, imported or not; None if it does not exist or has no Python file."""
    path = _file(module)
    return path.read_text(encoding="utf-8") if path else None


@dataclass(frozen=True)
class CodeHashes:
    """Hashes of the current code; `read` reads every module once per instance."""

    read: Callable[[str], str | None] = source_text
    _modules: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)  # by name: hash, imports

    def of(self, item: Callable[..., Any]) -> str:
        """Hash, 16 hex digits, of all code that a class or function depends on, or of its source if it has no file."""
        modules = sorted(self.modules(item.__module__))
        return _hash("".join(f"{name}:{self.of_module(name)};" for name in modules) or _text(item))

    def of_module(self, name: str) -> str:
        """Hash, 16 hex digits, of the code of one module without its imports; empty if it has no file."""
        return self._module(name)[0]

    def modules(self, name: str) -> set[str]:
        """Modules that count for module `name`: itself and its direct and indirect imports."""
        reached: set[str] = set()
        pending = [name]
        while pending:
            module = pending.pop()
            if module not in reached and module not in NO_EFFECT - {name} and self.of_module(module):
                reached.add(module)
                pending += self._module(module)[1]
        return reached

    def _module(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Hash of a module's code (empty if it has no file), and the modules that it imports."""
        if name not in self._modules:
            text = self.read(name)
            code, imports = _effective(text) if text is not None else ("", ())
            self._modules[name] = code, tuple(_imported(name, imports))
        return self._modules[name]


class _Effective(ast.NodeTransformer):
    """Reduction of a syntax tree to the code that can change a number.

    It drops docstrings, signature annotations, the texts of errors, and imports for type checkers.
    """

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop string expressions, among them docstrings."""
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if alone else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Drop the annotation of a parameter."""
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Drop the annotation of the returned value."""
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """Drop the annotation of the returned value."""
        node.returns = None
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Blank the strings of a raised error."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.JoinedStr):
                inner.values = [value for value in inner.values if isinstance(value, ast.FormattedValue)]
            elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                inner.value = ""
        return node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """Replace `if TYPE_CHECKING` by its else branch."""
        name = getattr(node.test, "id", None) or getattr(node.test, "attr", None)  # of a name, or of typing.NAME
        reduced = self.generic_visit(node)
        return node.orelse if name == "TYPE_CHECKING" else reduced


class _Import(NamedTuple):
    """Name that a module imports: from the module `home`, after dots if relative; a whole module without a home."""

    home: str
    name: str


@lru_cache(maxsize=1024)
def _effective(text: str) -> tuple[str, tuple[_Import, ...]]:
    """Hash of a module's code that can change a number, and all that it imports, also inside functions."""
    tree = _Effective().visit(ast.parse(text))
    imports: list[_Import] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += (_Import("", alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = "." * node.level + (node.module or "")
            imports += (_Import(home, alias.name) for alias in node.names)
    return _hash(ast.dump(tree)), tuple(imports)


def _imported(module: str, imports: Iterable[_Import]) -> Iterator[str]:
    """Yield those of a module's imports that are modules of attrib or of the module's own package."""
    own = {"attrib", module.partition(".")[0]}
    package = getattr(sys.modules.get(module), "__package__", None) or module.rpartition(".")[0]
    for one in imports:
        home = importlib.util.resolve_name(one.home, package) if one.home else one.name
        if home.partition(".")[0] in own:
            yield _home(home, one.name) if one.home else home


def _home(module: str, name: str) -> str:
    """Module that defines `name` of `module`: a submodule, the home of a public name of attrib, or `module` itself."""
    if _file(f"{module}.{name}") is not None:
        return f"{module}.{name}"
    return str(getattr(attrib, name).__module__) if module == "attrib" and name in attrib.__all__ else module


def _file(module: str) -> Path | None:
    """Path of a module's Python file; None if there is none."""
    loaded = sys.modules.get(module)
    try:
        spec = loaded.__spec__ if loaded else importlib.util.find_spec(module)
    except ModuleNotFoundError:  # a name inside a module that is not a package
        return None
    path = Path(spec.origin) if spec and spec.origin else None
    return path if path and path.suffix == ".py" and path.is_file() else None


def _text(item: Callable[..., Any]) -> str:
    """Source of a class or function without a file; its name if Python does not know its source."""
    try:
        return inspect.getsource(item)
    except (OSError, TypeError):  # typed interactively
        return item.__qualname__


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
