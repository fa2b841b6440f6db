"""Classes of plug-in files taken along to other processes, also to machines that do not have the files."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attrib import registry
from attrib.errors import InputError

Registered = tuple[registry.Kind, str]  # kind, and name of the class in its module


@dataclass(frozen=True)
class PluginSource:
    """Source of a module with registered classes, and the name under which it is imported, on which hashes depend."""

    module: str
    path: str
    text: str
    classes: tuple[Registered, ...]

    def load(self) -> None:
        """Run the source under its name, from its file if this machine has the same, and register its classes."""
        if self.module not in sys.modules:
            spec = importlib.util.spec_from_file_location(self.module, self._file())
            assert spec and spec.loader
            module = sys.modules[self.module] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        for kind, name in self.classes:
            registry.register(kind, getattr(sys.modules[self.module], name))

    def _file(self) -> Path:
        path = Path(self.path)
        if path.is_file() and path.read_text(encoding="utf-8") == self.text:
            return path
        copy = Path(tempfile.mkdtemp(prefix="attrib-plugin-")) / path.name
        copy.write_text(self.text, encoding="utf-8")
        return copy


def registered_sources() -> tuple[PluginSource, ...]:
    """Return the sources of all classes that this process registered beside the installed ones.

    Raises InputError for a class without a file of its own, such as one typed in a notebook.
    """
    classes: dict[str, list[Registered]] = {}
    for kind in registry.KINDS:
        for item in registry.added(kind).values():
            classes.setdefault(item.__module__, []).append((kind, item.__name__))
    return tuple(_source(module, tuple(names)) for module, names in classes.items())


def _source(module: str, classes: tuple[Registered, ...]) -> PluginSource:
    path: Any = getattr(sys.modules.get(module), "__file__", None)
    if module == "__main__" or path is None:
        kind, name = classes[0]
        raise InputError(
            f"{kind[:-1]} {registry.snake_case(name)!r} is defined in {module}, which other processes cannot import; "
            "put it into a plug-in file, or choose the engine process or fork"
        )
    return PluginSource(module, str(Path(path).absolute()), Path(path).read_text(encoding="utf-8"), classes)
