"""Streaming reader of a JSON object: one entry at a time, so that annotations need not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import ijson

from attrib.data import lmms_eval
from attrib.errors import InputError, shown
from attrib.runtime.encoding import open_utf8

CHUNK = 2**10  # bytes read at once; up to half as many levels can open and close within a chunk, uncounted
DEEPEST = 400  # open brackets at the end of a chunk, including those inside texts; annotations have six


def entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield key and value of each entry of the JSON object in `path`, in the file's order.

    About one entry is in memory at a time. Raises InputError for a file that cannot be read, is not a JSON object, has
    a duplicate key or is nested too deeply; entries before the fault are yielded first. A byte order mark is skipped.
    lmms-eval's parquet file is read as such an object of lists of questions.
    """
    if path.suffix == lmms_eval.SUFFIX:
        yield from lmms_eval.entries(path)
        return
    try:
        with open_utf8(path) as file:
            _require_object(file)
            known: set[str] = set()
            twice: list[str] = []
            kind = partial(_Watched, twice)
            for key, value in ijson.kvitems(_Shallow(file), "", use_float=True, map_type=kind, buf_size=CHUNK):
                if key in known or twice:
                    raise ValueError(f"key {shown(twice[0] if twice else key)} is given twice")
                known.add(key)
                yield key, value
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (ijson.JSONError, ValueError) as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise InputError(f"{path}: not valid JSON: {reason.splitlines()[0]}") from None


def _require_object(file: BinaryIO) -> None:
    """Raise InputError for a list, a text or a number, for which ijson would yield nothing."""
    start = file.read(CHUNK).lstrip()
    if start and not start.startswith(b"{"):
        raise InputError(f"expected a JSON object, got {shown(start[:20].decode(errors='replace'))}")
    file.seek(0)


class _Shallow:
    """File wrapper that limits the nesting depth: ijson's memory grows with the square of the depth."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._open = 0

    def read(self, size: int = -1) -> bytes:
        """Read bytes. Raises ValueError if too many brackets are open."""
        chunk = self._file.read(size)
        self._open += sum(chunk.count(sign) for sign in (b"[", b"{")) - sum(chunk.count(sign) for sign in (b"]", b"}"))
        if self._open > DEEPEST:
            raise ValueError("nested too deeply")
        return chunk


class _Watched(dict[str, Any]):
    """Mapping that notes duplicate keys. It must not raise, since ijson ignores the errors of setting an item."""

    def __init__(self, twice: list[str]) -> None:
        super().__init__()
        self._twice = twice

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self:
            self._twice.append(key)
        super().__setitem__(key, value)
