"""`attrib list`: list the registered methods, metrics, imputers, models and data sets."""

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
    """Kinds of plug-ins."""

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
    """List registered methods, metrics, imputers, models and data sets, with their descriptions and origins."""
    load_plugins(plugin)
    kinds = [each for each in registry.KINDS if kind in (None, each)]
    entries_by_kind = {name: [_entry(name, entry) for entry in registry.names(name)] for name in kinds}
    if as_json:
        print_json(entries_by_kind)
        return
    for name, entries in entries_by_kind.items():
        table = Table(title=name, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=False)
        for entry in entries:
            details = (f"\n[dim]{key}: {', '.join(entry[key])}[/dim]" for key in ("parameters", "needs") if entry[key])
            words = escape(entry["description"]) + "".join(details)
            table.add_row(entry["name"], words, f"[dim]{entry['source']}[/dim]")
        screen.print(table, "")


def _entry(kind: Any, name: str) -> dict[str, Any]:
    item = registry.outlined(kind, name)
    parameters = [field.name for field in fields(item)] if is_dataclass(item) else []
    words = (item.__doc__ or "").strip().splitlines()[:1]
    needs, source = sorted(getattr(item, "needs", ())), registry.source(kind, name)
    return {"name": name, "description": " ".join(words), "parameters": parameters, "needs": needs, "source": source}
