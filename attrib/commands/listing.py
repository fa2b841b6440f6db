"""`attrib list`: what is registered."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from attrib import registry
from attrib.commands.options import JsonFlag, Plugins, load_plugins
from attrib.commands.terminal.console import print_json, screen


class Kind(StrEnum):
    """What can be listed."""

    methods = "methods"
    metrics = "metrics"
    imputers = "imputers"
    models = "models"
    datasets = "datasets"


def list_registered(
    kind: Annotated[Kind | None, typer.Argument(help="Only this kind; all kinds by default.")] = None,
    plugin: Plugins = None,
    as_json: JsonFlag = False,
) -> None:
    """List registered methods, metrics, imputers, models and data sets, with what they are and where they come from."""
    load_plugins(plugin)
    kinds = [kind.value] if kind else [known.value for known in Kind]
    found = {name: [_entry(name, entry) for entry in registry.names(name)] for name in kinds}  # type: ignore[arg-type]
    if as_json:
        print_json(found)
        return
    for name, entries in found.items():
        table = Table(title=name, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=False)
        for entry in entries:
            parameters = f"\n[dim]parameters: {', '.join(entry['parameters'])}[/dim]" if entry["parameters"] else ""
            words = escape(entry["description"]) + parameters
            table.add_row(entry["name"], words, f"[dim]{entry['source']}[/dim]")
        screen.print(table, "")


def _entry(kind: Any, name: str) -> dict[str, Any]:
    item = registry.get(kind, name)
    parameters = [field.name for field in fields(item)] if is_dataclass(item) else []
    words = (item.__doc__ or "").strip().splitlines()[:1]
    source = registry.source(kind, name)
    return {"name": name, "description": " ".join(words), "parameters": parameters, "source": source}
