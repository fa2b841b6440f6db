"""Read the settings of a benchmark, add plug-ins to them and choose the directory of its run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from attrib import config, registry
from attrib.data.table_rows import is_table
from attrib.errors import ConfigError, InputError, UnknownName, nearest

EXTENDS = "extends"  # key of a file: the configuration that its settings are merged over


def run_directory(settings: Mapping[str, Any] | str | Path | None) -> Path:
    """Default directory of a run: runs/NAME for NAME.yaml, runs/demo without settings, runs/custom for a mapping."""
    return Path("runs") / ("custom" if isinstance(settings, Mapping) else Path(settings or "demo").stem)


def data_section(data: str) -> dict[str, Any]:
    """Return the section `data` for a table's file, the directory of a data set, or the name of a registered one.

    Raises InputError for anything else.
    """
    if is_table(data):
        return {"name": "table", "root": data}
    if os.path.exists(data):
        return {"name": "perception_test", "root": data}
    try:
        registry.check("datasets", data)
    except UnknownName as error:
        raise InputError(f"--data {data}: no such file or directory, and {error}") from None
    return {"name": data}


def run_settings(run: Path) -> dict[str, Any]:
    """Read the settings of a finished run. Raises InputError for a directory without."""
    try:
        return config.read(run / "config.yaml")
    except InputError as error:
        raise InputError(f"{run}: expected a finished run: {error}") from error


def bench_settings(path: str | Path | None = None, plugins: Iterable[str | Path] = ()) -> dict[str, Any]:
    """Settings of a YAML file, by default the built-in benchmark's, with the classes of each plug-in file added.

    `path` may also be the plain name of a shipped configuration, such as `perception_test`; a file of that name in the
    working directory comes first. Raises InputError when a file cannot be read or run.
    """
    settings = read_settings(path or "demo")
    for plugin in plugins:
        for kind, names in registry.load_plugin(plugin).items():
            section = settings.setdefault(kind, {}) if kind != "imputers" else _imputer_section(settings, names)
            if isinstance(section, dict):  # `config.parse` refuses a section of another type
                listed = {*section, *(row.get(kind[:-1]) for row in section.values() if isinstance(row, dict))}
                section.update(dict.fromkeys(name for name in names if name not in listed))
    return settings


def read_settings(path: str | Path) -> dict[str, Any]:
    """Settings of a YAML file or shipped configuration, merged over those of the one that it `extends`, if any.

    Sections are merged key by key; every other value takes the place of the base's. Raises InputError for a file that
    cannot be read, ConfigError for one that extends itself.
    """
    return _read_over_base(_settings_file(Path(path)), ())


def _read_over_base(file: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if file in above:
        names = " -> ".join(path.stem for path in (*above, file))
        raise ConfigError(f"{file}: extends: expected a configuration that does not extend this one, got {names}")
    settings = config.read(file)
    base = settings.pop(EXTENDS, None)
    if base is None:
        return settings
    if not isinstance(base, str) or not base:
        raise ConfigError(f"{file}: extends: expected a YAML file or the name of a shipped configuration, got {base!r}")
    beside = Path(os.path.normpath(file.parent / base))
    source = beside if beside.suffix or beside.is_file() else _settings_file(Path(base))
    return _merged(_read_over_base(source, (*above, file)), settings)


def _merged(base: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the base with the settings in it; sections, however deep, key by key."""
    merged = dict(base)
    for key, value in settings.items():
        own = merged.get(key)
        merged[key] = _merged(own, value) if isinstance(own, Mapping) and isinstance(value, Mapping) else value
    return merged


def _imputer_section(settings: dict[str, Any], added: list[str]) -> Any:
    """Section `imputers` of the settings; a list of names or the default becomes a mapping where `added` has names."""
    default = config.Config.model_fields["imputers"].default
    section = settings.get("imputers", default)
    if added:
        section = config.imputer_section(section) if isinstance(section, list) else section
        settings["imputers"] = dict(section) if section is default else section
    return settings.get("imputers")


def _settings_file(path: Path) -> Path:
    """Path itself, or that of the shipped configuration with this name. Raises InputError for an unknown name."""
    if path.suffix or os.path.isfile(path):
        return path
    shipped = {file.stem: file for file in Path(str(files("attrib.configs"))).glob("*.yaml")}
    if str(path) not in shipped:
        raise InputError(
            f"{path}: expected a YAML file or the name of a shipped configuration; {nearest(str(path), shipped)}"
        )
    return shipped[str(path)]
