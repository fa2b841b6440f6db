"""Lock of a run directory: one process at a time."""

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

PATIENCE = 3.0  # seconds: the worker processes of a run that was killed may still be ending


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; forked processes hold it too, so that it ends with the last of them.

    Raises InputError that names the process that holds it, NotWritten where the directory cannot be written.
    """
    path = directory / "lock"
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise NotWritten(f"{path}: cannot be written: {error.strerror or error}") from error
    with file:
        _acquire(file, directory)
        with suppress(OSError):  # on a full disk the lock holds without saying whose it is
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
