"""Registered methods, metrics, imputers, models and data sets: entry points, and plug-in files named by the user."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import sys
import zlib
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

from attrib.errors import ConfigError, InputError, UnknownName, first_line
from attrib.runtime.outline import Uncertain, outline

Kind = Literal["methods", "metrics", "imputers", "models", "datasets"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_files: dict[Kind, dict[str, Any]] = {kind: {} for kind in KINDS}


@cache
def _entries(kind: Kind) -> Mapping[str, EntryPoint]:
    entries: dict[str, EntryPoint] = {}
    for entry in entry_points(group=f"attrib.{kind}"):
        other = entries.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise ConfigError(f"{kind[:-1]} {entry.name!r} is registered twice: {other.value} and {entry.value}")
    return entries


def names(kind: Kind) -> list[str]:
    """Sorted names of the registered objects of a kind."""
    return sorted({*_entries(kind), *_files[kind]})


def added(kind: Kind) -> Mapping[str, type]:
    """Classes by name that this process registered beside those of installed packages."""
    return _files[kind]


def check(kind: Kind, name: str) -> None:
    """Raise UnknownName with the nearest name if no object of the kind has this one. Loads nothing."""
    if name not in names(kind):
        raise UnknownName(kind[:-1], name, names(kind))


def get(kind: Kind, name: str) -> Any:
    """Load the registered object. Raises UnknownName with the nearest name, ConfigError if it cannot be loaded."""
    if name in _files[kind]:
        return _files[kind][name]
    check(kind, name)
    entry = _entries(kind)[name]
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        message = f"{kind[:-1]} {name!r} ({entry.value}) cannot be loaded: {first_line(error)}"
        raise ConfigError(message) from error


def outlined(kind: Kind, name: str) -> Any:
    """Return the registered object, or a stand-in with its docstring, dataclass fields and `needs`, read from source.

    Nothing is imported where the source alone tells them. Raises UnknownName, and ConfigError as `get`.
    """
    if name not in _files[kind]:
        check(kind, name)
        entry = _entries(kind)[name]
        with suppress(Uncertain):
            return outline(entry.module, entry.attr)
    return get(kind, name)


def source(kind: Kind, name: str) -> str:
    """Origin of an entry: the distribution's name and version, the plug-in file, or `__main__` (a notebook)."""
    if name in _files[kind]:
        return _home(_files[kind][name])
    check(kind, name)
    entry = _entries(kind)[name]
    return _named(entry.dist) if entry.dist else entry.value


@cache
def _named(distribution: Distribution) -> str:
    return f"{distribution.name} {distribution.version}"


def load_plugin(path: str | Path) -> dict[Kind, list[str]]:
    """Register the concrete methods, metrics and imputers that a Python file defines, under their snake_case names.

    A class whose name begins with an underscore is private and is not registered; a concrete base class with a public
    name is. Runs the file. Raises InputError when it cannot be run or defines none.
    """
    from attrib.imputer import PixelImputer, TokenImputer
    from attrib.method import Method
    from attrib.metric import ContrastMetric, Metric, RemakingMetric

    bases: dict[Kind, tuple[type, ...]]
    metrics = (Metric, ContrastMetric, RemakingMetric)
    bases = {"methods": (Method,), "metrics": metrics, "imputers": (PixelImputer, TokenImputer)}
    module = _run(Path(path))
    added: dict[Kind, list[str]] = {kind: [] for kind in bases}
    for item in filter(partial(_is_plugin, module), vars(module).values()):
        for kind, classes in bases.items():
            if issubclass(item, classes):
                added[kind].append(register(kind, item))
    if not any(added.values()):
        words = "attrib.Method, attrib.Metric, attrib.PixelImputer or attrib.TokenImputer"
        raise InputError(f"{path}: expected a class derived from {words}, found none")
    return added


def _is_plugin(module: ModuleType, item: Any) -> bool:
    """Tell whether `item` is a public concrete class that `module` itself defines."""
    own = inspect.isclass(item) and item.__module__ == module.__name__
    return own and not inspect.isabstract(item) and not item.__name__.startswith("_")


def register(kind: Kind, item: type) -> str:
    """Register a class for this process under its snake_case name, and return that name.

    Raises ConfigError when another class has it already; the same class redefined (a notebook cell) replaces the old.
    """
    name = snake_case(item.__name__)
    other = _files[kind].get(name)
    if name in _entries(kind) or (other is not None and _home(other) != _home(item)):
        raise ConfigError(f"{kind[:-1]} {name!r} is registered already by {source(kind, name)}; rename {item.__name__}")
    _files[kind][name] = item
    return name


def _home(item: type) -> str:
    return str(getattr(sys.modules.get(item.__module__), "__file__", item.__module__))


def snake_case(name: str) -> str:
    """`GradCAM` -> `grad_cam`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _run(path: Path) -> ModuleType:
    if not os.path.isfile(path):  # never raises, whatever the name
        raise InputError(f"plug-in {path}: no such file")
    name = f"attrib_plugin_{path.stem}_{zlib.crc32(str(path.resolve()).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"plug-in {path}: expected a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise InputError(f"plug-in {path}: {first_line(error)}") from error
    return module
