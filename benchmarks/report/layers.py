"""The layers x heads atlas in the report, where the run has one."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from attrib.benchmarks.report.json_values import number
from attrib.benchmarks.report.paths import LAYERS
from attrib.runtime.files import writing

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
    """(path, text) of each value; a mean with its interval is one."""
    if isinstance(value, dict) and "mean" not in value:
        return [pair for key, each in value.items() for pair in _flat(f"{name} {_words(key)}".strip(), each)]
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return [pair for place, each in enumerate(value, 1) for pair in _flat(f"{name} {place}".strip(), each)]
    return [(name, _told(value))]


def _words(key: str) -> str:
    return key.replace("_", " ")


def _told(value: Any) -> str:
    """An interval, the number of videos of a list of them, heads as layer.head, or the value itself."""
    if isinstance(value, dict):
        ends = f" [{_told(value['low'])}, {_told(value['high'])}]" if {"low", "high"} <= value.keys() else ""
        rest = "".join(f", {name} {_told(each)}" for name, each in value.items() if name in ("videos", "p"))
        return f"{_told(value['mean'])}{ends}{rest}"
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return f"{len(value)} videos"
    if isinstance(value, list):
        return ", ".join(".".join(map(str, each)) if isinstance(each, list) else _told(each) for each in value)
    return f"{number(value):.4g}" if isinstance(value, float) and number(value) is not None else str(value)
