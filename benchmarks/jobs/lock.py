"""Locks of a run directory: one run at a time, or several shards, each with a lock of its own.

A run holds an operating system's lock, which ends with its last process. Beside it, run and shards hold leases: files
with their owner, created exclusively and touched every few seconds, which also work on network disks without locks. A
lease ends at once when its process is killed on this machine, and after LEASE seconds elsewhere.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import yaml
from filelock import SoftFileLease, Timeout, lock_descriptor, unlock_descriptor

from attrib.errors import InputError, NotWritten, shown
from attrib.runtime.files import write_text

PATIENCE = 3.0  # seconds to wait, since worker processes of a killed run may still be ending
LEASE = 60.0  # seconds without a touch after which a lease has ended
RUN = "run"  # name of a run's lease; a shard's is its file name
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}  # file systems without locks
REMEDY = "wait for it to end, or choose another directory"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock within the context; forked processes share it, so that it ends with the last of them.

    Raises InputError that names the owner if another process holds it or works on a shard, NotWritten if the directory
    is not writable.
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
            with leased(directory, RUN):
                refuse_others(directory, RUN)
                yield
        finally:
            with suppress(OSError):  # a file system without locks
                unlock_descriptor(file.fileno())


@contextmanager
def leased(directory: Path, name: str) -> Iterator[None]:
    """Hold the lease `name` of the directory. Raises InputError if it is held, NotWritten if it cannot be written."""
    path = directory / f"{name}.lease"
    lease = SoftFileLease(path, lease_duration=LEASE)
    try:
        try:
            lease.acquire(PATIENCE)
        except Timeout:
            if not _ends(path):
                raise
            lease.acquire(LEASE + PATIENCE)  # takes over after it has seen no touch for a while
    except Timeout:
        raise _refusal(directory, path) from None
    except OSError as error:
        raise NotWritten(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        lease.release()


@contextmanager
def declared(directory: Path, name: str, settings: Mapping[str, Any]) -> Iterator[None]:
    """Write the settings of a lease's holder beside it within the context. Call it while the lease is held.

    Raises InputError if another holder has other settings.
    """
    path = directory / f"{name}.yaml"
    write_text(path, yaml.safe_dump(dict(settings), allow_unicode=True))
    try:
        for other in sorted(directory.glob("shard-*-of-*.lease")):
            with suppress(OSError):  # one that has not written its settings will see these
                theirs = yaml.safe_load(other.with_suffix(".yaml").read_text(encoding="utf-8"))
                _refuse_other(other, settings, theirs)
        yield
    finally:
        path.unlink(missing_ok=True)


def _refuse_other(lease: Path, settings: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if theirs.get(name) != value and not _expired(lease):
            difference = f"{name} {shown(theirs.get(name))}, this configuration has {shown(value)}"
            raise InputError(f"{lease.parent}: {_holder(lease)} is at work here with {difference}; {REMEDY}")


def refuse_others(directory: Path, own: str) -> None:
    """Raise InputError if a lease is alive whose holder and that of `own` exclude each other: run and shard.

    Call it while the lease `own` is held: of two that begin at once, at least one then sees the other.
    """
    for path in sorted(directory.glob("*.lease")):
        if RUN in (own, path.stem) and path.stem != own and not _ends(path):
            raise _refusal(directory, path)


def remove_expired(directory: Path) -> None:
    """Remove what processes that were killed left: leases and settings."""
    for path in directory.glob("*.lease"):
        if _expired(path):
            path.unlink(missing_ok=True)
    for path in directory.glob("shard-*-of-*.yaml"):
        if not path.with_suffix(".lease").exists():
            path.unlink(missing_ok=True)


def _ends(path: Path) -> bool:
    """Return whether a lease has ended or ends now. One of another machine is watched until it is touched or expires.

    A job that waits for a killed one may begin elsewhere within seconds.
    """
    touched = _touched(path)
    while not _expired(path):
        with suppress(FileNotFoundError):
            here = _owner(path).get("host", "").split("?")[0] == socket.gethostname()  # `?`: a container's suffix
            if here or _touched(path) != touched:
                return False
        time.sleep(LEASE / 300)
    return True


def _touched(path: Path) -> int:
    """Time of a lease's last touch, in nanoseconds; 0 if it is gone."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _expired(path: Path) -> bool:
    """Return whether a lease has ended, since its process was killed; one of this machine's is removed.

    A lease of another machine has ended if it was not touched for LEASE. Its age is measured by the clock of the disk,
    by which this machine's may be wrong.
    """
    lease = SoftFileLease(path, lease_duration=LEASE)
    for _ in range(2):  # the first attempt removes it, the second takes it
        with suppress(Timeout):
            lease.acquire(0)
            lease.release()
            return True
    try:
        return _now(path.parent) - path.stat().st_mtime > LEASE
    except FileNotFoundError:
        return True
    except OSError:  # a disk that cannot tell
        return False


def _now(directory: Path) -> float:
    """Time by the clock of the directory's disk."""
    path = directory / f".clock.{os.getpid()}.part"
    path.touch()
    try:
        return path.stat().st_mtime
    finally:
        path.unlink(missing_ok=True)


def _owner(path: Path) -> dict[str, str]:
    """Fields of a lease: pid, host and others; none while it is being written."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _refusal(directory: Path, path: Path) -> InputError:
    """Error that names the owner of a lease."""
    return InputError(f"{directory}: {_holder(path)} is at work here; {REMEDY}")


def _holder(lease: Path) -> str:
    """Describe the holder of a lease: `shard 1/2 (process 12 on node7)`."""
    owner: dict[str, str] = {}
    with suppress(OSError):
        owner = _owner(lease)
    what = lease.stem.replace("shard-", "shard ").replace("-of-", "/")
    return f"{what} (process {owner.get('pid', '?')} on {owner.get('host', '?')})"


def _acquire(file: IO[str], directory: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not _try_lock(file):
        if time.monotonic() > until:
            owner = "another process"
            with suppress(OSError):  # Windows does not let others read a locked file
                file.seek(0)
                owner = file.read() or owner
            raise InputError(f"{directory}: {owner} is at work here; {REMEDY}")
        time.sleep(0.05)


def _try_lock(file: IO[str]) -> bool:
    """Try to take the operating system's lock; where the file system has none, the lease alone counts."""
    try:
        return lock_descriptor(file.fileno(), blocking=False)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return True
