"""Files are written beside their place and renamed, so that a reader never sees half of one."""

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
    """Give a fresh path beside `path`; on success rename it to `path`, on any exception remove it.

    The name keeps the ending, since writers choose their format by it. Raises NotWritten where it cannot be.
    """
    part = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        raise NotWritten(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # where even the folder is none, there is nothing to remove
            part.unlink()


def remove_parts(folder: Path) -> None:
    """Remove what killed writers have left in `folder` and below. Nobody may be writing there."""
    for part in folder.rglob(".*.part*"):
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, beside and renamed."""
    with writing(path) as part:
        part.write_text(text, encoding="utf-8")


SMALL = 64 * 2**20  # bytes read in full for a fingerprint


def fingerprint(paths: Iterable[Path]) -> str:
    """16 hex digits that change when the files do: by content up to 64 MiB a file, by size and time above."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        status = path.stat()
        digest.update(f"{path.name}:{status.st_size}:".encode())
        content = path.read_bytes() if status.st_size <= SMALL else str(status.st_mtime_ns).encode()
        digest.update(content)
    return digest.hexdigest()[:16]
