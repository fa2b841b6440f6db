"""A small run with all checks and a plug-in, and what must hold after it whatever computed it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from attrib import registry
from attrib.benchmarks.jobs.store import Store
from attrib.demo.generate import generate

TABLES = ("results", "curves", "sanity", "floors", "nulls")
CSV = ("leaderboard", "differences", "ranks", "agreement", "tasks", "exceptions", "sanity", "floors")
COSTS = ["seconds", "peak_memory"]
VIDEOS = 4
PLUGIN = '''
import os, signal, time
from dataclasses import dataclass
from pathlib import Path
import torch
from attrib import Method

@dataclass(frozen=True)
class Deadly(Method):
    """A ramp; a process that computes the map of video `number` dies while the folder has a `fuse`."""
    folder: str = ""
    number: int = -1
    lasting: bool = False

    def values(self, subject):
        fuse = Path(self.folder) / "fuse"
        if subject.sample.id.endswith(f"{self.number}_0") and self.folder and fuse.exists():
            if not self.lasting:
                fuse.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        return torch.arange(len(subject.clip) * 4.0).reshape(-1, 2, 2)
'''


def settings(folder: Path) -> dict[str, Any]:
    """Settings of a run on a world in `folder`, with the plug-in registered; a file `fuse` there kills one process."""
    world, plugin = folder / "world", folder / "deadly.py"
    if not world.exists():
        generate(world, videos=VIDEOS, seed=6)
        plugin.write_text(PLUGIN)
    if "deadly" not in registry.names("methods"):
        registry.load_plugin(plugin)
    fragile = {"folder": str(folder), "number": 60001}
    return {
        "data": {"name": "perception_test", "root": str(world)}, "methods": {"deadly": fragile, "motion": None},
        "metrics": {"mass": None, "deletion": None}, "imputers": ["mean"], "overlays": 0, "resamples": 100,
        "model": {"name": "demo", "frames": 4}, "sanity": {"videos": 1, "stages": 1}, "floors": {"videos": 2},
        "null_pairs": 1, "null_metrics": ["mass"],
    }  # fmt: skip


def forget_plugins() -> None:
    """Forget the plug-ins of this process."""
    for kind in registry.KINDS:
        registry._files[kind].clear()


def logged(folder: Path) -> Counter[tuple[str, ...]]:
    """Number of computations of each record."""
    return Counter((line["item"], line["key"], *line["what"]) for line in Store(folder).logged())


def assert_same_run(folder: Path, one: Path, twice: int = 0) -> None:
    """Both directories have the same tables but for costs, and no more than `twice` records were computed again."""
    for name in TABLES:
        found, expected = (
            pd.read_parquet(each / f"{name}.parquet").drop(columns=COSTS, errors="ignore") for each in (folder, one)
        )
        assert len(expected)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    for name in CSV:
        assert (folder / f"{name}.csv").read_bytes() == (one / f"{name}.csv").read_bytes(), name
    assert not [path for path in folder.rglob("*") if ".part" in path.name or path.suffix == ".lease"]
    assert sum(count - 1 for count in logged(folder).values()) <= twice
