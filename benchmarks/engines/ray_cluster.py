"""Connection to a Ray cluster: one that answers at an address, or one of this machine's own that ends with the run.

The own one listens on 127.0.0.1 only, has no dashboard, sends no usage statistics and prints nothing.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import floor
from typing import Any

from attrib.errors import InputError, first_line
from attrib.settings.engine import Engine

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray is imported
import ray

OBJECT_STORE = 256 * 2**20  # bytes; records and volumes on their way, of a few MiB each
HOME = "127.0.0.1"
ANSWER = 5.0  # seconds in which an address must answer
LONGEST = 40  # characters of a temporary directory; a socket's path may have 107 in all


@dataclass(frozen=True)
class Resources:
    """CPUs, GPUs and bytes of memory that each worker takes."""

    cpus: float
    gpus: float
    memory: int

    def __str__(self) -> str:
        memory = f" and {self.memory / 2**30:g} GiB" if self.memory else ""
        return f"{self.cpus:g} CPUs, {self.gpus:g} GPUs{memory}"

    def room(self) -> int:
        """Return the number of workers that the cluster's nodes can hold."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return sum(
            min((floor(node.get(name, 0) / each + 1e-9) for name, each in wanted.items() if each), default=1)
            for node in nodes()
        )


@contextmanager
def connected(engine: Engine, workers: int) -> Iterator[None]:
    """Connect to the engine's cluster, or start one for `workers`; end the connection after the context.

    A connection that this process has already is used and kept. Raises InputError where no Ray answers.
    """
    if ray.is_initialized():
        yield
        return
    address = engine.address or os.environ.get("RAY_ADDRESS") or "local"
    if address not in ("local", "auto"):
        _refuse_silent(address)
    stop = signal.getsignal(signal.SIGTERM)
    folder = _folder() if address == "local" else None
    own: dict[str, Any] = {}
    if folder:
        cpus = max(os.cpu_count() or 1, round(workers * (engine.cpus or 1)))
        own = {"include_dashboard": False, "_node_ip_address": HOME, "num_cpus": cpus, "_temp_dir": folder,
               "object_store_memory": OBJECT_STORE, "_system_config": {"worker_niceness": 0}}  # fmt: skip
    try:
        _init(address, own)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, stop)  # which ray has replaced
        yield
    finally:
        with suppress(Exception):  # a cluster that is gone
            ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _init(address: str, own: dict[str, Any]) -> None:
    constants: Any = ray._private.ray_constants
    cluster = constants.ENABLE_RAY_CLUSTER
    try:
        if own:
            constants.ENABLE_RAY_CLUSTER = False  # else Ray replaces 127.0.0.1 by an address that others reach
        ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **own)
    except Exception as error:  # of many types, some of them bare
        where = "a cluster of this machine did not start" if own else f"no cluster answers at {address}"
        raise InputError(f"--engine ray: {where}: {first_line(error)}") from None
    finally:
        constants.ENABLE_RAY_CLUSTER = cluster


def nodes() -> list[dict[str, float]]:
    """Return the resources of each living node."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _refuse_silent(address: str) -> None:
    host, colon, port = address.rpartition(":")
    if "://" in address or not (host and colon and port.isdecimal()):
        raise InputError(
            f"--address {address}: expected HOST:PORT of a cluster's head, from one of its nodes; elsewhere submit "
            "the command by `ray job submit`"
        )
    reached = str(ray._private.services.canonicalize_bootstrap_address(address))  # as Ray will, not by a loopback
    try:
        socket.create_connection((reached.rpartition(":")[0], int(port)), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--address {address}: no Ray cluster answers there: {error}") from None


def _folder() -> str:
    """Create a directory for the cluster's files and sockets."""
    where = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="attrib-ray-", dir=where if len(where) <= LONGEST else "/tmp")  # noqa: S108
