"""Seconds of one benchmark on one GPU by one process, and by several at once: `python -m tools.gpu_workers`.

The model has random weights of the size M (see tools.gpu). The several processes are shards of one run, as two workers
of a GPU would be. The command also compares the scores of both runs, and prints the GPU's mean utilisation.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
import yaml
from rich.console import Console
from rich.table import Table

from tools.gpu import MODELS, Utilisation, drawn

KEYS = ["sample", "method", "metric", "imputer"]


@dataclass(frozen=True)
class WorkersTiming:
    """Wall-clock seconds of a run by `workers` processes, start-up included, and the GPU's mean utilisation in %."""

    workers: int
    seconds: float
    utilisation: float | None


def benchmark(folder: Path, model: str, device: str, dtype: str, frames: int, videos: int) -> Path:
    """Save a model with random weights and the configuration of a benchmark with it; return the latter's path."""
    with tempfile.TemporaryDirectory() as parts:
        built = drawn(model, Path(parts), torch.device(device), getattr(torch, dtype))
    built.family.network.save_pretrained(folder / "model")
    built.family.processor.save_pretrained(folder / "model")
    settings = {
        "data": {"name": "demo", "videos": videos, "counterfactuals": False, "root": str(folder / "videos")},
        "model": {"name": str(folder / "model"), "device": device, "dtype": dtype, "frames": frames},
        "methods": {"raw_attention": None, "relevance": None, "random": None, "input_x_gradient": None},
        "metrics": {"srg": None},
        "imputers": ["mean"],
    }
    path = folder / "benchmark.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def run(config: Path, out: Path, workers: int) -> WorkersTiming:
    """Run the benchmark by `workers` shards at once and then, if they are several, the command that completes it.

    Raises CalledProcessError with what a failed process printed.
    """
    command = [sys.executable, "-m", "attrib.cli", "bench", str(config), "-O", str(out)]
    shards = [[*command, "--shard", f"{i}/{workers}"] for i in range(1, workers + 1)] if workers > 1 else []
    began = time.perf_counter()
    with Utilisation() as utilisation:
        running = [subprocess.Popen(each, stdout=subprocess.DEVNULL) for each in shards]  # noqa: S603 - our own module
        for process in running:
            if process.wait():
                raise subprocess.CalledProcessError(process.returncode, process.args)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own module
    return WorkersTiming(workers, time.perf_counter() - began, utilisation.mean)


def largest_difference(one: Path, other: Path) -> float:
    """Largest difference of a score between two runs of one configuration."""
    both = [pd.read_parquet(out / "results.parquet").fillna({"imputer": ""}) for out in (one, other)]
    pairs = both[0].merge(both[1], on=KEYS, how="outer", validate="1:1")
    return float((pairs["value_x"] - pairs["value_y"]).abs().max(skipna=False))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="perception_lm_1b", choices=list(MODELS))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args(arguments)
    console, table = Console(), Table("processes", "seconds", "GPU busy %")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = benchmark(folder, given.model, given.device, given.dtype, given.frames, given.videos)
        generated = [
            sys.executable,
            "-m",
            "attrib.demo.generate",
            str(folder / "videos"),
            "--videos",
            str(given.videos),
        ]
        subprocess.run(generated, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
        try:
            timings = [run(config, folder / str(workers), workers) for workers in (1, given.workers)]
        except subprocess.CalledProcessError as error:
            console.print(f"failed: {error}", style="red")
            return 1
        for each in timings:
            busy = "-" if each.utilisation is None else f"{each.utilisation:.0f}"
            table.add_row(str(each.workers), f"{each.seconds:.1f}", busy)
        console.print(table)
        difference = largest_difference(folder / "1", folder / str(given.workers))
        console.print(f"largest difference of a score between both runs: {difference:.2g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
