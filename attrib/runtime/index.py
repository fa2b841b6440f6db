"""Contents of many small JSON files in one, as a cache: used while a file has the same size and time of change."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attrib.errors import NotWritten
from attrib.runtime.files import writing

RECENT = 2_000_000_000  # nanoseconds: a file may change twice within a tick of the disk's clock
Entry = list[Any]  # size, time of change in nanoseconds, content


@dataclass(frozen=True, eq=False)
class Index:
    """Contents of the files below a folder, kept in the file `path`; a lost or damaged one is made anew.

    An entry counts only while its file has the size and time of change that it had when it was read, and if the file
    was not changed in the two seconds before the index was written.
    """

    path: Path
    folder: Path
    entries: dict[str, Entry] = field(default_factory=dict)
    _new: list[str] = field(default_factory=list)

    @staticmethod
    def of(path: Path, folder: Path) -> Index:
        """Read the index of a folder; empty if there is none, or a damaged one."""
        return Index(path, folder, _read(path))

    def get(self, name: str) -> Any | None:
        """Return the content of a file below the folder that has not changed; None if it is not known."""
        entry = self.entries.get(name)
        if entry is None:
            return None
        if file_state(os.path.join(self.folder, name)) != entry[:2]:  # a path takes as long as all else
            del self.entries[name]
            return None
        return entry[2]

    def put(self, name: str, state: Entry | None, content: Any) -> None:
        """Add the content of a file below the folder, and its `state` before it was read."""
        if state:
            self.entries[name] = [*state, content]
            self._new.append(name)

    def save(self) -> None:
        """Write the index if it has new entries; without room on the disk there is none."""
        if self._new:
            body = json.dumps({"written": time.time_ns(), "entries": self.entries}).encode()
            with suppress(NotWritten), writing(self.path) as temporary:
                temporary.write_bytes(_sum(body) + b"\n" + body)


def file_state(file: Path | str) -> Entry | None:
    """Return size and time of change of a file; None if it does not exist."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _sum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _read(path: Path) -> dict[str, Entry]:
    """Return the entries of an intact index that were not written in the same moment as their files."""
    try:
        known, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return {}
    if known != _sum(body):
        return {}
    content: Mapping[str, Any] = json.loads(body)
    return {name: entry for name, entry in content["entries"].items() if entry[1] < content["written"] - RECENT}
