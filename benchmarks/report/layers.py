"""The layers x heads atlas in the report, for runs that have one."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from attrib.benchmarks.report.json_values import number
from attrib.benchmarks.report.paths import LAYERS
from attrib.runtime.files import writing

PICTURE, SELECTION = "atlas.png", "selection.json"
EMBEDDED = 2**20  # bytes; larger pictures are written to a file next to the page


def atlas(run: Path, beside: Path) -> dict[str, Any] | None:
    """Source of the picture, and (name, value) of every number about the selected heads; None without a picture."""
    source = source_of(run / LAYERS / PICTURE, beside)
    return {"source": source, "numbers": _numbers(run / LAYERS / SELECTION)} if source else None


def source_of(picture: Path, beside: Path) -> str:
    """Source of a picture in the page: embedded, or copied next to it where it is large; empty without a file."""
    if not picture.is_file():
        return ""
    content = picture.read_bytes()
    if len(content) <= EMBEDDED:
        return f"data:image/png;base64,{base64.b64encode(content).decode()}"
    with writing(beside / picture.name) as part:
        part.write_bytes(content)
    return f"{beside.name}/{picture.name}"


def _numbers(path: Path) -> list[list[str]]:
    """(path, value) of every value in the selection file, as text; empty if the file cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [[name, told] for name, told in _flat("", found)]


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    """(path, text) of every value; a mean with its interval counts as one value."""
    if isinstance(value, dict) and "mean" not in value:
        return [pair for key, each in value.items() for pair in _flat(f"{name} {_words(key)}".strip(), each)]
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return [pair for place, each in enumerate(value, 1) for pair in _flat(f"{name} {place}".strip(), each)]
    return [(name, _told(value))]


def _words(key: str) -> str:
    return key.replace("_", " ")


def _told(value: Any) -> str:
    """Value as text: a mean with interval, the length of a list of videos, heads as layer.head, or a plain value."""
    if isinstance(value, dict):
        ends = f" [{_told(value['low'])}, {_told(value['high'])}]" if {"low", "high"} <= value.keys() else ""
        rest = "".join(f", {name} {_told(each)}" for name, each in value.items() if name in ("videos", "p"))
        return f"{_told(value['mean'])}{ends}{rest}"
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return f"{len(value)} videos"
    if isinstance(value, list):
        return ", ".join(".".join(map(str, each)) if isinstance(each, list) else _told(each) for each in value)
    return f"{number(value):.4g}" if isinstance(value, float) and number(value) is not None else str(value)
