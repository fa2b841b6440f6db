"""Atomic writing of files: to a temporary file in the same folder, then renamed."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrib.errors import NotWritten


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` on success, remove it on any exception.

    It has the suffix of `path`, since writers choose their format by it. Raises NotWritten if the file cannot be
    written.
    """
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise NotWritten(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # where the folder does not exist, there is nothing to remove
            temporary.unlink()


def remove_parts(folder: Path) -> None:
    """Remove temporary files of killed writers in `folder` and below. Call it only while nothing is written there."""
    for place, _, files in os.walk(folder):  # ten times as fast as Path.rglob
        for name in files:
            if name.startswith(".") and ".part" in name:
                Path(place, name).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


SMALL = 64 * 2**20  # most bytes of a file that is read in full for its fingerprint


def fingerprint(paths: Iterable[Path]) -> str:
    """Return 16 hex digits that change with the files: with their content up to 64 MiB, else with size and time."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        status = path.stat()
        digest.update(f"{path.name}:{status.st_size}:".encode())
        content = path.read_bytes() if status.st_size <= SMALL else str(status.st_mtime_ns).encode()
        digest.update(content)
    return digest.hexdigest()[:16]
