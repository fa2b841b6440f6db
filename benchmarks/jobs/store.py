"""The parts of a run that are kept: each a small file that names what it depends on, written whole or not at all.

items/A/B.json holds the part called (A, B). log.jsonl gets one line for each part that was computed, after it is kept:
the item, what of it, its key, seconds and process.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from attrib.benchmarks.jobs.keys import digest
from attrib.errors import InputError, NotWritten, told
from attrib.runtime.files import write_text

LONGEST = 150  # characters of a file name; file systems take 255 bytes
Name = tuple[str, ...]
State = Literal["kept", "missing", "failed"]


@dataclass(frozen=True)
class Failure:
    """One piece of work that ended with an error: an answer (no method), a map (no metric), a score, an overlay, ..."""

    sample: str
    video: str
    method: str
    metric: str  # or what else was computed: `overlay`, `curves`, `sanity`, `floors`, `nulls`
    error: str


@dataclass(frozen=True)
class Record:
    """What is kept of one piece of work: a value that JSON can hold, or the error that it ended with and its input."""

    key: str
    value: Any = None
    error: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)  # what a failed part was computed from, in words
    seconds: float = 0.0


@dataclass(frozen=True)
class Store:
    """The parts kept in a directory. With `retry_failed` a part that ended with an error counts as not there."""

    directory: Path
    retry_failed: bool = False
    notes: list[str] = field(default_factory=list)  # what was found damaged and made again, in words

    def keep(self, name: Name, key: str, make: Callable[[], Any], given: Mapping[str, Any] | None = None) -> Record:
        """The part kept under `name` if it has this key; else what `make` returns, or its error, kept from now on.

        `key` is a `digest` of all that the value depends on; the value is what JSON makes of it, without NaN. `given`
        says in words what a failure was computed from. Raises NotWritten when it cannot be kept, and nothing else.
        """
        return self.kept(name, key) or self.compute(name, key, make, given)

    def kept(self, name: Name, key: str) -> Record | None:
        """The part if it is there, whole, and has this key."""
        try:
            part = self.read(name)
        except InputError:
            return None
        usable = part is not None and part.key == key and not (part.error and self.retry_failed)
        return part if usable else None

    def compute(
        self, name: Name, key: str, make: Callable[[], Any], given: Mapping[str, Any] | None = None,
        what: Sequence[str] = (),
    ) -> Record:  # fmt: skip
        """As `keep`, whatever is there already. `what` says for the log which pieces of the part were computed."""
        self._note_damage(name)
        started = time.perf_counter()
        try:
            value = json.loads(json.dumps(make(), allow_nan=False))  # the same whether it is new or kept
            part = Record(key, value, seconds=time.perf_counter() - started)
        except NotWritten:
            raise
        except Exception as error:  # the data or a plug-in may raise anything; the other parts go on
            part = Record(key, error=told(error), given=dict(given or {}), seconds=time.perf_counter() - started)
        self.write(name, part)
        line = {"item": "/".join(map(file_name, name)), "what": list(what), "key": key, "failed": bool(part.error)}
        self._log({**line, "seconds": part.seconds, "pid": os.getpid()})
        return part

    def read(self, name: Name) -> Record | None:
        """The part, whatever its key; None when there is none. Raises InputError when the file is not whole."""
        path = self.path(name)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["sum"] != digest(found["part"]):
                raise ValueError("its checksum is another")
            return Record(**found["part"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: expected a kept part of a run: {error}") from error

    def write(self, name: Name, part: Record) -> None:
        """Keep a part. Raises NotWritten when that cannot be done."""
        body = asdict(part)
        write_text(self.path(name), json.dumps({"part": body, "sum": digest(body)}, indent=1, allow_nan=False) + "\n")

    def path(self, name: Name) -> Path:
        """Where a part is kept; names come from data and are quoted."""
        *folders, last = map(file_name, name)
        return self.directory.joinpath("items", *folders, f"{last}.json")

    def logged(self, start: int = 0) -> Iterator[dict[str, Any]]:
        """The log's lines from byte `start` on; one that was cut short is passed over."""
        if not self._log_path.exists():
            return
        with self._log_path.open("rb") as file:
            file.seek(start)
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue

    def log_size(self) -> int:
        """Bytes of the log so far."""
        return self._log_path.stat().st_size if self._log_path.exists() else 0

    @property
    def _log_path(self) -> Path:
        return self.directory / "log.jsonl"

    def mend_log(self) -> None:
        """End a last line that was cut short, or the next would be lost with it."""
        if self._log_path.exists() and self._log_path.read_bytes()[-1:] not in (b"", b"\n"):
            self._append(b"\n")

    def _note_damage(self, name: Name) -> None:
        try:
            self.read(name)
        except InputError:
            self.notes.append(f"{self.path(name)}: not readable, and made again")

    def _log(self, line: Mapping[str, Any]) -> None:
        self._append((json.dumps(line) + "\n").encode())

    def _append(self, line: bytes) -> None:
        """By one write, so that lines of several processes do not mix."""
        try:
            with self._log_path.open("ab", buffering=0) as file:
                file.write(line)
        except OSError as error:
            raise NotWritten(f"{self._log_path}: cannot be written: {error.strerror or error}") from error


def file_name(text: str) -> str:
    """A file name that no id can leave the directory with, and no two ids share."""
    quoted = quote(text, safe=" +=@~", errors="surrogatepass") or "%"
    if len(quoted) > LONGEST:
        quoted = f"{quoted[:LONGEST]}%{digest(text)}"
    return quoted.replace(".", "%2E", 1) if quoted.startswith(".") else quoted
