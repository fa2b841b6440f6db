"""One process at a time in a run directory."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from attrib.errors import InputError, NotWritten

PATIENCE = 3.0  # seconds: a run that was killed may have processes that are still ending


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock. It goes with the last of the processes that were forked within, however they end.

    Raises InputError that names the process that has it.
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
            fcntl.flock(file, fcntl.LOCK_UN)


def _acquire(file: IO[str], directory: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                file.seek(0)
                owner = file.read() or "another process"
                text = f"{directory}: {owner} is at work here; wait for it to end, or choose another directory"
                raise InputError(text) from None
            time.sleep(0.05)
