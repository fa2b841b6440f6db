"""What all tests share: no network, little threading, the command line, and the sample data beside the repository."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported: no test may reach for the network
os.environ.setdefault("OMP_NUM_THREADS", "1")  # also in the processes that tests start

import pytest
import torch

HIDDEN = [name for name in os.environ.get("ATTRIB_HIDDEN", "").split(",") if name]
if HIDDEN:  # as on a platform without these modules: ATTRIB_HIDDEN=decord,fcntl,resource make test
    import filelock  # noqa: F401  # on Linux they use such modules themselves
    import psutil  # noqa: F401

    sys.modules |= dict.fromkeys(HIDDEN)  # type: ignore[arg-type]  # None: importing it raises ImportError

ROOT = Path(__file__).parent.parent
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and their children, ignore it
torch.set_num_threads(1)  # tensors here are tiny, and pytest-xdist fills the other cores


def pytest_collection_finish() -> None:
    """Take what all tests share out of the garbage collector's rounds, which it would make long."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def scheduling() -> Iterator[None]:
    """Fail a test that makes this thread a real-time one: what later tests start would inherit it, and could freeze."""
    policy = getattr(os, "sched_getscheduler", int)  # int(0) where the platform has no such policies
    before = policy(0)
    yield
    assert policy(0) == before


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def attrib(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run `attrib ARGUMENTS` in this process: exit code, standard output, standard error."""
    from attrib import registry
    from attrib.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["attrib", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capfd.readouterr()

    yield run
    for kind in registry.KINDS:
        registry._files[kind].clear()  # plug-in files stay registered for a process; tests share one


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real videos and Perception Test annotations; they are not part of the repository."""
    folder = Path(os.environ.get("ATTRIB_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no sample data at {folder}: set ATTRIB_SHARED_DATA to their directory")
    return folder
