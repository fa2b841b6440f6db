"""Rows of a data set in one file, validated one by one; messages name the line."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attrib.errors import InputError, nearest, shown
from attrib.runtime.encoding import encoding_of
from attrib.runtime.parsing import DECODER

REQUIRED, OPTIONAL = ("video", "question", "options"), ("answer", "task", "boxes", "evidence", "intervals")
LINES, TABLES = (".jsonl", ".ndjson"), (".csv", ".tsv")
LATEST = 1e6  # seconds; later times are milliseconds or microseconds

Box = tuple[float, float, float, float, float]  # time, x1, y1, x2, y2
Span = tuple[float, float]


@dataclass(frozen=True)
class TableRow:
    """Question on a video: `answer` is the index of an option, `evidence` names some of the objects in `boxes`."""

    line: int
    video: str
    question: str
    options: tuple[str, ...]
    answer: int | None = None
    task: str = ""
    boxes: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    intervals: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)


def is_table(path: str | Path) -> bool:
    """Tell by its ending whether a path is that of a table or of JSON lines."""
    return Path(path).suffix.lower() in (*TABLES, *LINES)


def rows_of(path: Path) -> Iterator[TableRow]:
    """Yield the rows of a file. Raises InputError with path and line for the first fault."""
    if not is_table(path):
        raise InputError(f"{path}: expected a file that ends with {', '.join((*TABLES, *LINES))}")
    read = _json_lines if path.suffix.lower() in LINES else _table
    try:
        for line, values in read(path):
            try:
                yield _row(line, values)
            except InputError as error:
                raise InputError(f"{path}, line {line}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeError, csv.Error) as error:
        reason = "not a text file in UTF-8" if isinstance(error, UnicodeError) else error
        raise InputError(f"{path}: cannot be read: {reason}") from None


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding=encoding_of(path)) as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            value = _decoded(text, f"{path}, line {line}")
            if not isinstance(value, dict):
                raise InputError(f"{path}, line {line}: expected a JSON object, got {shown(value)}")
            _check_columns(path, list(value))
            yield line, value


def _table(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding=encoding_of(path), newline="") as file:
        head = file.readline()
        file.seek(0)
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ";" if head.count(";") > head.count(",") else ","
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        names = [name.strip() for name in reader.fieldnames or ()]
        _check_columns(path, names)
        reader.fieldnames = names
        for values in reader:
            if values.get(None):  # csv's name for what is beyond the last column
                raise InputError(
                    f"{path}, line {reader.line_num}: expected {len(names)} columns, got more; quote texts with commas"
                )
            yield reader.line_num, {name: value for name, value in values.items() if value}


def _check_columns(path: Path, names: list[str]) -> None:
    """Raise InputError for a missing, misspelt or repeated column; further columns are not read."""
    for name in REQUIRED:
        if name not in names:
            hint = difflib.get_close_matches(name, names, n=1)
            found = f"did you mean {name!r} by {hint[0]!r}?" if hint else f"found: {', '.join(map(shown, names[:12]))}"
            raise InputError(f"{path}: column {name!r} is missing; {found}")
    for name in names:
        close = difflib.get_close_matches(name.lower(), OPTIONAL, n=1, cutoff=0.75)
        if close and name not in OPTIONAL:
            raise InputError(f"{path}: unknown column {shown(name)}; did you mean {close[0]!r}?")
        if names.count(name) > 1:
            raise InputError(f"{path}: column {shown(name)} is given twice")


def _row(line: int, values: Mapping[str, Any]) -> TableRow:
    texts = {name: _text(name, values.get(name)) for name in ("video", "question", "task")}
    for name in ("video", "question"):
        if not texts[name]:
            raise InputError(f"{name}: the text is empty")
    options, boxes = _options(values.get("options")), _boxes(values.get("boxes"))
    answer = _answer(_text("answer", values.get("answer")), options)
    evidence, intervals = _evidence(values.get("evidence"), boxes), _intervals(values.get("intervals"))
    return TableRow(line, texts["video"], texts["question"], options, answer, texts["task"], boxes, evidence, intervals)


def _text(name: str, value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{value}"
    if not isinstance(value, str | None):
        raise InputError(f"{name}: expected a text, got {shown(value)}")
    return " ".join((value or "").split())


def _texts(name: str, value: Any) -> tuple[str, ...]:
    """Return the texts of a list, of a JSON list, or of a text with `|` between them."""
    if isinstance(value, str):
        value = _decoded(value, name) if value.lstrip().startswith("[") else value.split("|")
    if not isinstance(value, list):
        raise InputError(f"{name}: expected a list, or texts with | between them, got {shown(value)}")
    return tuple(_text(name, each) for each in value)


def _options(value: Any) -> tuple[str, ...]:
    options = _texts("options", value)
    if len(options) < 2:
        raise InputError(f"options: expected at least two, as a list or with | between them, got {shown(value)}")
    return options


def _evidence(value: Any, boxes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the objects that are evidence for the answer: all that have boxes, where the cell is empty."""
    if value in (None, "", []):
        return tuple(boxes)
    labels = _texts("evidence", value)
    for label in labels:
        if label not in boxes:
            known = nearest(label, boxes) if boxes else "this row has no boxes"
            raise InputError(f"evidence {shown(label)}: expected a label of `boxes`; {known}")
    return labels


def _answer(text: str, options: tuple[str, ...]) -> int | None:
    """Return the index of the option with this text, or else with this letter; None for an empty text."""
    if not text:
        return None
    folded = [option.casefold() for option in options]
    if folded.count(text.casefold()) == 1:
        return folded.index(text.casefold())
    letters = [chr(ord("A") + place) for place in range(len(options))]
    if text in letters:
        return letters.index(text)
    raise InputError(f"answer {shown(text)}: expected one of the options or its letter; {nearest(text, options)}")


def _boxes(value: Any) -> dict[str, tuple[Box, ...]]:
    found = {}
    for label, rows in _by_label("boxes", value, "[[time, x1, y1, x2, y2], ...]").items():
        where, times = f"boxes of {shown(label)}", [-1.0]
        for row in rows:
            time, *corners = _numbers(where, row, ("time", "x1", "y1", "x2", "y2"))
            if not all(0 <= corner <= 1 for corner in corners):
                raise InputError(f"{where}: expected corners from 0 to 1, in shares of the picture, got {corners}")
            if corners[0] >= corners[2] or corners[1] >= corners[3]:
                raise InputError(f"{where}: expected x1 < x2 and y1 < y2, got {corners}")
            if time <= times[-1]:
                raise InputError(f"{where}: expected times that increase, got {time:g} s after {times[-1]:g} s")
            times.append(time)
        found[label] = tuple(map(tuple, rows))
    return found


def _intervals(value: Any) -> dict[str, tuple[Span, ...]]:
    found = {}
    for label, rows in _by_label("intervals", value, "[[start, end], ...]").items():
        where = f"interval of {shown(label)}"
        for row in rows:
            start, end = _numbers(where, row, ("start", "end"))
            if end <= start:
                raise InputError(f"{where}: expected a start before its end, got [{start:g}, {end:g}] s")
        found[label] = tuple(map(tuple, rows))
    return found


def _by_label(name: str, value: Any, rows: str) -> dict[str, list[Any]]:
    """Return lists by label; in a table they are JSON. Empty for an empty cell."""
    if value in (None, ""):
        return {}
    value = _decoded(value, name) if isinstance(value, str) else value
    if not isinstance(value, dict) or not all(isinstance(each, list) and each for each in value.values()):
        raise InputError(f'{name}: expected {{"LABEL": {rows}}}, got {shown(value)}')
    return value


def _numbers(where: str, row: Any, names: tuple[str, ...]) -> list[float]:
    """Return the finite numbers of a row; times come first and are seconds."""
    known = isinstance(row, list) and all(isinstance(each, int | float) and not isinstance(each, bool) for each in row)
    if not known or len(row) != len(names):
        raise InputError(f"{where}: expected numbers [{', '.join(names)}], got {shown(row)}")
    times = row[: 1 if len(names) == 5 else 2]
    if not all(0 <= time <= LATEST for time in times):
        raise InputError(f"{where}: expected seconds from the start of the video, got {shown(times)}")
    return [float(each) for each in row]


def _decoded(text: str, where: str) -> Any:
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        reason = error if isinstance(error, json.JSONDecodeError | ValueError) else "nested too deeply"
        raise InputError(f"{where}: not valid JSON: {reason}") from None
