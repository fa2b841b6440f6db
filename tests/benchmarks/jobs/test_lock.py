"""One process at a time in a run directory, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from attrib.benchmarks.jobs import lock
from attrib.benchmarks.jobs.lock import locked
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
    with locked(tmp_path):
        child.kill()


def test_it_needs_no_module_that_only_unix_has() -> None:
    program = "import sys; sys.modules['fcntl'] = sys.modules['resource'] = None; import attrib.benchmarks.jobs.lock"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(NotWritten, match="lock: cannot be written"), locked(tmp_path):
        pass
