"""The layers x heads atlas in the report, where the run has one."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from attrib.benchmarks.report.numbers import number
from attrib.benchmarks.report.place import LAYERS
from attrib.files import writing

PICTURE, SELECTION = "atlas.png", "selection.json"
EMBEDDED = 2**20  # bytes of a picture that the page holds itself


def atlas(run: Path, beside: Path) -> dict[str, Any] | None:
    """The picture's source, and the numbers of the chosen heads by name; None without a picture."""
    picture = run / LAYERS / PICTURE
    if not picture.is_file():
        return None
    content = picture.read_bytes()
    if len(content) <= EMBEDDED:
        source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    else:
        source = f"{beside.name}/{PICTURE}"
        with writing(beside / PICTURE) as part:
            part.write_bytes(content)
    return {"source": source, "numbers": _numbers(run / LAYERS / SELECTION)}


def _numbers(path: Path) -> list[list[str]]:
    """Every value of the selection with its path, as text; nothing where it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [[name, told] for name, told in _flat("", found)]


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, each in value.items() for pair in _flat(f"{name} {key}".strip(), each)]
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return [pair for place, each in enumerate(value, 1) for pair in _flat(f"{name} {place}".strip(), each)]
    return [(name, _told(value))]


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_told, value))
    return f"{number(value):.4g}" if isinstance(value, float) and number(value) is not None else str(value)
