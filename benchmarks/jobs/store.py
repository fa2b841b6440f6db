"""On-disk cache of a run: each record is a small JSON file with the key of its inputs, written atomically.

items/A/B.json is the record named (A, B). Each computation adds a line to log.jsonl after its record is written: the
item, the computed pieces of it, its key, whether it failed, the damaged file that it replaces, seconds and process.
A shard has a log of its own, log.shard-1-of-2.jsonl, and so have other machines at work in the directory,
log.host-NAME.jsonl, since machines that share a disk would mix their lines.

index/A/B.json has the records of the folder items/A/B too, so that a rerun opens one file a sample and kind. It is only
a cache (see runtime/index): records that changed, and all where it is lost, are read from their own files.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from attrib.benchmarks.jobs.keys import digest
from attrib.errors import InputError, NotWritten, failure_message
from attrib.runtime.files import write_text
from attrib.runtime.index import Index, file_state

INDEX = "index"
LOG, OTHER_LOGS = "log.jsonl", "log.*.jsonl"
LONGEST = 150  # characters of a file name; file systems take 255 bytes
Name = tuple[str, ...]
State = Literal["kept", "missing", "failed"]


@dataclass(frozen=True)
class Failure:
    """One piece of work that ended with an error: an answer (no method), a map (no metric), a score, an overlay, ..."""

    sample: str
    video: str
    method: str
    metric: str  # or another kind of work: `overlay`, `curves`, `sanity`, `floors`, `nulls`
    error: str


@dataclass(frozen=True)
class Record:
    """Result of one piece of work: a JSON value, or the error that it ended with and its input."""

    key: str
    value: Any = None
    error: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)  # description of the input of a failed computation
    seconds: float = 0.0


@dataclass(frozen=True)
class Store:
    """Records in a directory. With `retry_failed`, records of errors count as missing. `log`: file name of its log."""

    directory: Path
    retry_failed: bool = False
    log: str = LOG
    indices: dict[Name, Index] | None = field(default=None, repr=False, compare=False)

    @contextmanager
    def indexed(self, save: bool = True) -> Iterator[Store]:
        """Yield a store that reads records of many files from an index of each sample's; `save`: write changed ones."""
        indices: dict[Name, Index] = {}
        yield replace(self, indices=indices)
        for index in indices.values() if save else ():
            index.save()

    def get_or_compute(
        self, name: Name, key: str, make: Callable[[], Any], given: Mapping[str, Any] | None = None
    ) -> Record:
        """Return the record `name` if it has this key; else compute it by `make` and store the value or the error.

        `key` is a `digest` of everything that the value depends on; the value is converted to JSON, without NaN.
        `given` describes the input in the record of a failure. Raises only NotWritten, if it cannot be stored.
        """
        return self.peek(name, key) or self.compute(name, key, make, given)

    def peek(self, name: Name, key: str) -> Record | None:
        """Return the record if it exists, is whole and has this key; compute nothing."""
        try:
            record = self.read(name)
        except InputError:
            return None
        usable = record is not None and record.key == key and not (record.error and self.retry_failed)
        return record if usable else None

    def compute(
        self, name: Name, key: str, make: Callable[[], Any], given: Mapping[str, Any] | None = None,
        log: Mapping[str, Any] | None = None,
    ) -> Record:  # fmt: skip
        """Compute and store the record, even if it exists. `log` has further fields for the line in the log.

        These are `what`, the computed pieces of the record, and `damaged`, the path of an unreadable file.
        """
        damaged = "" if self._readable(name) else str(self.path(name))
        started = time.perf_counter()
        try:
            value = json.loads(json.dumps(make(), allow_nan=False))  # the same whether it is new or read
            record = Record(key, value, seconds=time.perf_counter() - started)
        except NotWritten:
            raise
        except Exception as error:  # the data or a plug-in may raise anything; the other records go on
            record = Record(
                key, error=failure_message(error), given=dict(given or {}), seconds=time.perf_counter() - started
            )
        self.write(name, record)
        line = {"item": "/".join(map(file_name, name)), "what": [], "key": key, "failed": bool(record.error)}
        line |= {"damaged": damaged, "seconds": record.seconds, "pid": os.getpid()}
        self._log({**line, **(log or {})})
        return record

    def read(self, name: Name) -> Record | None:
        """Return the record, whatever its key; None if it does not exist. Raises InputError if it is damaged."""
        index = self._index(name)
        if index and (known := index.get(_within(name))):
            return Record(**known)
        path = self.path(name)
        state = file_state(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["sum"] != digest(content["record"]):
                raise ValueError("its checksum does not match")
            record = Record(**content["record"])
            if index:
                index.put(_within(name), state, content["record"])
            return record
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: expected a record of a run: {error}") from error

    def write(self, name: Name, record: Record) -> None:
        """Write a record. Raises NotWritten if that fails."""
        body = asdict(record)
        path, index = self.path(name), self._index(name)
        write_text(path, json.dumps({"record": body, "sum": digest(body)}, indent=1, allow_nan=False) + "\n")
        if index:
            index.put(_within(name), file_state(path), body)

    def _index(self, name: Name) -> Index | None:
        """Index of the records of one kind and sample; None for a kind with one record a sample."""
        if self.indices is None or len(name) < 3:
            return None
        if name[:2] not in self.indices:
            kind, sample = map(file_name, name[:2])
            folder = self.directory / "items" / kind / sample
            self.indices[name[:2]] = Index.of(self.directory / INDEX / kind / f"{sample}.json", folder)
        return self.indices[name[:2]]

    def path(self, name: Name) -> Path:
        """Path of a record; names come from data and are escaped."""
        *folders, last = map(file_name, name)
        return self.directory.joinpath("items", *folders, f"{last}.json")

    def logged(self, start: Mapping[Path, int] | None = None) -> Iterator[dict[str, Any]]:
        """Yield the lines of the run's log and of those of shards and other machines, except truncated ones.

        `start`: sizes from `log_sizes`; earlier lines are left out.
        """
        for path in self._logs():
            yield from _lines(path, (start or {}).get(path, 0))

    def log_sizes(self) -> dict[Path, int]:
        """Sizes in bytes of the logs that are there."""
        return {path: path.stat().st_size for path in self._logs() if path.exists()}

    def _logs(self) -> tuple[Path, ...]:
        return (self.directory / LOG, *sorted(self.directory.glob(OTHER_LOGS)))

    def add_lines(self, lines: bytes) -> None:
        """Append whole lines of another log to this store's. Raises NotWritten if that fails."""
        if lines:
            self._append(lines)

    def logged_here(self, start: int) -> Iterator[dict[str, Any]]:
        """Yield the lines of this store's log from byte `start` on, except truncated ones."""
        yield from _lines(self._log_path, start)

    def log_size(self) -> int:
        """Size of this store's log in bytes."""
        return self._log_path.stat().st_size if self._log_path.exists() else 0

    @property
    def _log_path(self) -> Path:
        return self.directory / self.log

    def mend_log(self) -> None:
        """Terminate a truncated last line, so that the next line is not lost with it."""
        if self._log_path.exists() and self._log_path.read_bytes()[-1:] not in (b"", b"\n"):
            self._append(b"\n")

    def _readable(self, name: Name) -> bool:
        """Return whether the record is intact or does not exist."""
        try:
            self.read(name)
        except InputError:
            return False
        return True

    def _log(self, line: Mapping[str, Any]) -> None:
        self._append((json.dumps(line) + "\n").encode())

    def _append(self, line: bytes) -> None:
        """Append in a single write, so that lines of several processes do not mix."""
        try:
            with self._log_path.open("ab", buffering=0) as file:
                file.write(line)
        except OSError as error:
            raise NotWritten(f"{self._log_path}: cannot be written: {error.strerror or error}") from error


def _lines(path: Path, start: int = 0) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def _within(name: Name) -> str:
    """Path of a record within the folder of its kind and sample."""
    return f"{os.sep.join(map(file_name, name[2:]))}.json"


@lru_cache(maxsize=4096)  # the names of methods and groups, again and again
def file_name(text: str) -> str:
    """Return a distinct file name for each text, without path separators."""
    quoted = quote(text, safe=" +=@~", errors="surrogatepass") or "%"
    if len(quoted) > LONGEST:
        quoted = f"{quoted[:LONGEST]}%{digest(text)}"
    return quoted.replace(".", "%2E", 1) if quoted.startswith(".") else quoted
