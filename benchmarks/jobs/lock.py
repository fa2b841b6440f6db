"""Lock of a run directory for one process at a time."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from filelock import lock_descriptor, unlock_descriptor

from attrib.errors import InputError, NotWritten

PATIENCE = 3.0  # seconds to wait, since worker processes of a killed run may still be ending


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock within the context; forked processes share it, so that it ends with the last of them.

    Raises InputError that names the owner if another process holds it, NotWritten if the directory is not writable.
    """
    path = directory / "lock"
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise NotWritten(f"{path}: cannot be written: {error.strerror or error}") from error
    with file:
        _acquire(file, directory)
        with suppress(OSError):  # on a full disk the lock works, but does not name its owner
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now():%Y-%m-%d %H:%M:%S}")
            file.flush()
        try:
            yield
        finally:
            unlock_descriptor(file.fileno())


def _acquire(file: IO[str], directory: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not lock_descriptor(file.fileno(), blocking=False):
        if time.monotonic() > until:
            owner = "another process"
            with suppress(OSError):  # Windows does not let others read a locked file
                file.seek(0)
                owner = file.read() or owner
            raise InputError(f"{directory}: {owner} is at work here; wait for it to end, or choose another directory")
        time.sleep(0.05)
