"""One of several processes that share a run's samples: which one, given by hand or by the launcher's environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from attrib.errors import InputError

MOST = 100_000  # shards
FORM = "expected I/N with 1 <= I <= N, or auto"
Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Shard `number` of `count`, counted from 1.

    `launched`: started by a launcher (torchrun, accelerate) that ends all its processes when one fails.
    """

    number: int
    count: int
    launched: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= MOST:
            raise InputError(f"--shard {self}: {FORM}, such as {min(max(self.count, 1), MOST)}/{max(self.count, 1)}")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def file_name(self) -> str:
        """Name for the files that only this shard writes."""
        return f"shard-{self.number}-of-{self.count}"

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the shard's items: every `count`-th one, so that the items of long videos are dealt out evenly."""
        return items[self.number - 1 :: self.count]


def parse_shard(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """Parse I/N, or `auto`: the Slurm array task, the rank of torchrun or accelerate, or the rank within the task.

    Raises InputError for another form, and for `auto` where neither is in the environment.
    """
    if text != "auto":
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
        if not found:
            raise InputError(f"--shard {text}: {FORM}")
        return Shard(int(found[1]), int(found[2]), _rank(environment) is not None)
    task, rank = _array_task(environment), _rank(environment)
    if task is None and rank is None:
        raise InputError(
            "--shard auto: expected SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, or RANK and WORLD_SIZE, in the "
            "environment; give I/N"
        )
    (task_number, tasks), (rank_number, ranks) = task or (0, 1), rank or (0, 1)
    return Shard(task_number * ranks + rank_number + 1, tasks * ranks, rank is not None)


def refuse_unshared(environment: Mapping[str, str] = os.environ) -> None:
    """Raise InputError if this process is one of several of torchrun or accelerate, which would do the same work."""
    rank = _rank(environment)
    if rank and rank[1] > 1:
        raise InputError(
            f"one of {rank[1]} processes (WORLD_SIZE) that would do the same work; share it by --shard auto, or start "
            "one process"
        )


def _array_task(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Place of a Slurm array task, from 0, and the number of tasks; None outside of an array.

    Raises InputError for an array with gaps, as when only some tasks are submitted again: its place in the whole is
    not known.
    """
    names = ("ID", "COUNT", "MIN", "MAX", "STEP")
    given = {name: environment.get(f"SLURM_ARRAY_TASK_{name}") for name in names}
    if not given["ID"] or not given["COUNT"]:
        return None
    task, count = (_number(f"SLURM_ARRAY_TASK_{name}", given[name]) for name in ("ID", "COUNT"))
    first, step = (_number(name, given[name] or default) for name, default in (("MIN", "1"), ("STEP", "1")))
    last = _number("MAX", given["MAX"] or str(first + (count - 1) * step))
    if last != first + (count - 1) * step or (task - first) % step:
        raise InputError(
            f"--shard auto: this Slurm array has gaps ({count} tasks from {first} to {last}), which hides their "
            "place in the whole run; give --shard $SLURM_ARRAY_TASK_ID/N"
        )
    return (task - first) // step, count


def _rank(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Rank from 0 and number of processes, as torchrun and accelerate give them; None outside of them."""
    rank, size = environment.get("RANK"), environment.get("WORLD_SIZE")
    return (_number("RANK", rank), _number("WORLD_SIZE", size)) if rank and size else None


def _number(name: str, text: str | None) -> int:
    try:
        return int(text or "")
    except ValueError:
        raise InputError(f"--shard auto: expected a number in {name}, got {text!r}") from None
