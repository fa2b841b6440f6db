"""One run, or several shards, at a time in a run directory, however they end."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from attrib.benchmarks.jobs import lock
from attrib.benchmarks.jobs.lock import declared, leased, locked, refuse_others
from attrib.errors import InputError, NotWritten

FORK = multiprocessing.get_context("fork")


def hold(folder: Path, held: Connection) -> None:
    with locked(folder):
        held.send(True)
        time.sleep(60)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.1)


def test_the_second_process_is_told_which_holds_it_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    here, there = FORK.Pipe()
    process = FORK.Process(target=hold, args=(tmp_path, there))
    process.start()
    here.recv()
    with pytest.raises(InputError, match=rf"process {process.pid} on .+, since \d{{4}}-.+ is at work here") as caught:
        locked(tmp_path).__enter__()
    assert "\n" not in str(caught.value)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with locked(tmp_path):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")


def test_it_is_free_after_an_error_and_held_again(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path), pytest.raises(InputError, match="at work here"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_processes_forked_within_hold_it_until_they_end(tmp_path: Path) -> None:
    """Else a run could begin beside the workers of one that was killed."""
    here, there = FORK.Pipe()

    def orphaned() -> None:
        with locked(tmp_path):
            child = FORK.Process(target=time.sleep, args=(60,))
            child.start()
            there.send(child.pid)
            os.kill(os.getpid(), signal.SIGKILL)

    process = FORK.Process(target=orphaned)
    process.start()
    child = here.recv()
    process.join()
    with pytest.raises(InputError, match="at work here"), locked(tmp_path):
        pass
    os.kill(child, signal.SIGKILL)
    lock.PATIENCE = 10  # the monkeypatch puts it back
    with locked(tmp_path):
        pass


def test_a_run_that_ends_by_itself_lets_go_though_a_child_is_left(tmp_path: Path) -> None:
    with locked(tmp_path):
        child = FORK.Process(target=time.sleep, args=(60,))
        child.start()
    with locked(tmp_path):  # would be refused
        assert child.is_alive()
        child.kill()


def test_it_needs_no_module_that_only_unix_has() -> None:
    program = "import sys; sys.modules['fcntl'] = sys.modules['resource'] = None; import attrib.benchmarks.jobs.lock"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(NotWritten, match="lock: cannot be written"), locked(tmp_path):
        pass


def lease(folder: Path, name: str, age: float, duration: float) -> Path:
    """Write the lease of a process on another machine, last touched `age` seconds ago."""
    path = folder / f"{name}.lease"
    path.write_text(f"filelock/2\npid=1\nhost=elsewhere\nmode=lease\ntoken=abc\nduration={duration}\n")
    os.utime(path, (time.time() - age,) * 2)
    return path


def keep(folder: Path, name: str, held: Connection) -> None:
    with leased(folder, name):
        held.send(True)
        time.sleep(60)


def test_a_shard_excludes_runs_and_itself_but_no_other_shard_and_nothing_once_it_is_killed(tmp_path: Path) -> None:
    here, there = FORK.Pipe()
    process = FORK.Process(target=keep, args=(tmp_path, "shard-1-of-2", there))
    process.start()
    here.recv()
    message = rf"shard 1/2 \(process {process.pid} on .+\) is at work here; wait"
    with pytest.raises(InputError, match=message), locked(tmp_path):
        pass
    with pytest.raises(InputError, match=message), leased(tmp_path, "shard-1-of-2"):
        pass
    with leased(tmp_path, "shard-2-of-2"):
        refuse_others(tmp_path, "shard-2-of-2")
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with leased(tmp_path, "shard-1-of-2"):
        refuse_others(tmp_path, "shard-1-of-2")
    message = r"run \(process .+\) is at work here"
    with locked(tmp_path), leased(tmp_path, "shard-1-of-2"), pytest.raises(InputError, match=message):
        refuse_others(tmp_path, "shard-1-of-2")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_lease_of_another_machine_counts_while_it_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE", 1.0)
    theirs = lease(tmp_path, "shard-1-of-2", age=0, duration=1.0)
    ended = threading.Event()

    def touch() -> None:
        while not ended.wait(0.1):
            os.utime(theirs)

    thread = threading.Thread(target=touch)
    thread.start()
    message = r"shard 1/2 \(process 1 on elsewhere\) is at work here"
    try:
        with pytest.raises(InputError, match=message), locked(tmp_path):
            pass
        with pytest.raises(InputError, match=message), leased(tmp_path, "shard-1-of-2"):
            pass
    finally:
        ended.set()
        thread.join()
    os.utime(theirs)
    with locked(tmp_path):  # it was killed just now, for all that one can know
        assert time.time() - theirs.stat().st_mtime > 0.9
    theirs.unlink()


def test_an_old_lease_of_another_machine_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE", 0.5)
    old = lease(tmp_path, "shard-1-of-2", age=10, duration=0.5)
    with locked(tmp_path):
        assert old.exists()
        lock.remove_expired(tmp_path)
        assert not old.exists()
    lease(tmp_path, "shard-1-of-2", age=10, duration=0.5)
    with leased(tmp_path, "shard-1-of-2"):
        assert f"pid={os.getpid()}\n" in (tmp_path / "shard-1-of-2.lease").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_disk_without_locks_is_guarded_by_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_locks(*_: object, **__: object) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "lock_descriptor", without_locks)
    monkeypatch.setattr(lock, "unlock_descriptor", without_locks)
    with locked(tmp_path), pytest.raises(InputError, match=r"run \(process .+\) is at work here"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_shards_of_another_configuration_are_refused_while_one_is_at_work(tmp_path: Path) -> None:
    one, two = {"seed": 0, "methods": {"a": None}}, {"seed": 0, "methods": {"a": None, "b": None}}
    first, second = "shard-1-of-2", "shard-2-of-2"
    message = r"shard 1/2 \(process \d+ on .+\) is at work here with methods \{'a': None\}, this configuration has"
    with leased(tmp_path, first), declared(tmp_path, first, one), leased(tmp_path, second):
        with declared(tmp_path, second, dict(one)):
            pass
        with pytest.raises(InputError, match=message), declared(tmp_path, second, two):
            pass
    with leased(tmp_path, "shard-2-of-2"), declared(tmp_path, "shard-2-of-2", two):
        pass
    assert not list(tmp_path.iterdir())
