"""Engine of a benchmark run, as a user names it: which processes compute, where, and what each of them takes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, get_args

from attrib.errors import InputError, nearest

EngineName = Literal["auto", "process", "fork", "gpus", "ray"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


@dataclass(frozen=True)
class Engine:
    """Engine `name`; for Ray the address of a cluster, and the CPUs, GPUs and GiB of memory of each worker.

    auto: one process for each GPU where several are visible, else this process or, on the CPU, forks of it. Without an
    address a cluster of this machine is started. Without `gpus`, a worker has one where the cluster has some.
    """

    name: EngineName = "auto"
    address: str | None = None
    cpus: float | None = None
    gpus: float | None = None
    memory: float | None = None

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise InputError(f"--engine {self.name}: unknown engine; {nearest(self.name, ENGINES)}")
        given = {"--address": self.address, "--worker-cpus": self.cpus, "--worker-gpus": self.gpus,
                 "--worker-memory": self.memory}  # fmt: skip
        for option, value in given.items():
            if value is not None and self.name != "ray":
                raise InputError(f"{option}: only --engine ray has it, this is --engine {self.name}")
            if isinstance(value, int | float) and not 0 <= value < float("inf"):
                raise InputError(f"{option} {value}: expected a number from 0 on")
        if self.name == "ray" and find_spec("ray") is None:
            raise InputError("--engine ray: needs the package ray; pip install 'attrib[ray]'")


AUTO = Engine()
