"""`attrib bench --shard` as a user meets it: torchrun, refusals in one line, what is said, and the lines for Slurm."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from attrib.benchmarks.jobs import lock
from attrib.benchmarks.jobs.lock import leased, locked
from attrib.demo.generate import generate

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[int, str, str]]
COSTS = ["seconds", "peak_memory"]
BROKEN = """
from dataclasses import dataclass
import torch
from attrib import Method

@dataclass(frozen=True)
class BrokenMap(Method):
    def values(self, subject):
        return torch.full((len(subject.clip), 2, 2), float("nan"))
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = generate(tmp_path_factory.mktemp("world"), videos=3, seed=5)
    path = world / "bench.yaml"
    path.write_text(
        f'data: {{name: perception_test, root: "{world}"}}\nmodel: {{name: demo, frames: 4}}\n'
        "methods: {centre: , dataset_prior: }\nmetrics: {mass: , object_auc: }\noverlays: 0\nresamples: 100\n"
    )
    return path


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.1)


def refused(result: tuple[int, str, str], message: str) -> None:
    code, out, err = result
    assert (code, out) == (2, "")
    assert message in err and err.count("\n") == 1, err


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_under_torchrun_each_process_is_a_shard_and_the_command_without_it_finishes(
    attrib: Run, config: Path, tmp_path: Path
) -> None:
    broken, folder = tmp_path / "broken.py", tmp_path / "run"
    broken.write_text(BROKEN)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "attrib"]
    bench = ["bench", config, "--plugin", broken, "-O", folder]
    done = subprocess.run(
        [*map(str, [*command, *bench]), "--shard", "auto"], capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr  # an item that failed must not end the other process
    finish = shlex.join(["attrib", "bench", str(config), "-O", str(folder), "--plugin", str(broken)])
    assert (
        f"shard 1/2: 2 of 3 samples, 12 items computed; when all shards have ended, finish with: {finish}"
        in done.stdout
    )
    assert "shard 2/2: 1 of 3 samples, 6 items computed" in done.stdout
    assert done.stderr.count("broken_map: broken_map: 16 of 16") == 3
    assert not (folder / "results.parquet").exists()
    code, out, _ = attrib(*shlex.split(finish)[1:], "--json")
    assert (code, json.loads(out)["computed"]) == (1, 0)
    assert attrib("bench", config, "--plugin", broken, "-O", tmp_path / "one", "--json")[0] == 1
    one, shards = (pd.read_parquet(each / "results.parquet").drop(columns=COSTS) for each in (tmp_path / "one", folder))
    pd.testing.assert_frame_equal(one, shards, check_exact=True)
    assert (folder / "leaderboard.csv").read_bytes() == (tmp_path / "one" / "leaderboard.csv").read_bytes()


def test_whole_runs_under_torchrun_are_refused(attrib: Run, config: Path, tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused(attrib("bench", config, "-O", tmp_path / "run"), "share it by --shard auto")
    assert not (tmp_path / "run").exists()
    assert attrib("bench", config, "-O", tmp_path / "run", "--dry-run", "--json")[0] == 0


def test_what_does_not_fit_is_one_line_and_writes_nothing(attrib: Run, config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    refused(
        attrib("bench", config, "-O", folder, "--shard", "5/4"), "--shard 5/4: expected I/N with 1 <= I <= N, or auto"
    )
    refused(attrib("bench", config, "-O", folder, "--shard", "auto"), "--shard auto: expected SLURM_ARRAY_TASK_ID")
    refused(attrib("bench", config, "-O", folder, "--shard", "1/2", "--replace"), "choose a new directory (-O)")
    assert not folder.exists()


def test_shards_of_another_question_and_whole_runs_beside_shards_are_refused(
    attrib: Run, config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    command = ("bench", config, "-O", folder)
    code, out, err = attrib(*command, "--shard", "1/2")
    assert (code, err) == (0, "")
    assert out.startswith("shard 1/2: 2 of 3 samples, ") and out.count("\n") == 1
    before = contents(folder)
    refused(attrib(*command, "--shard", "2/2", "--set", "seed=1"), "holds a run with seed 0, this configuration has 1")
    assert contents(folder) == before
    with leased(folder, "shard-2-of-2"):
        held = contents(folder)
        refused(attrib(*command), f"shard 2/2 (process {os.getpid()} on ")
        refused(attrib(*command, "--shard", "2/2"), f"shard 2/2 (process {os.getpid()} on ")
        assert {name: text for name, text in contents(folder).items() if name != "lock"} == held
    with locked(folder):
        refused(attrib(*command, "--shard", "2/2"), "run (process ")
        refused(attrib(*command), f"process {os.getpid()} on ")
    assert {name: text for name, text in contents(folder).items() if name != "lock"} == before
    code, out, _ = attrib(*command, "--shard", "2/2", "--json")
    assert (code, json.loads(out)["shard"], json.loads(out)["samples"]) == (0, "2/2", 1)


def test_a_dry_run_forecasts_the_shards_and_gives_the_lines_for_slurm(
    attrib: Run, config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "a run"
    command = ("bench", config, "-O", folder, "--set", "methods.centre.sigma=0.2", "--dry-run", "--shard", "1/2")
    code, out, _ = attrib(*command)
    assert code == 0 and not folder.exists()
    lines = out.splitlines()[-3:]
    assert lines[0] == "as 2 shards, a GPU each: unknown"
    told = shlex.split(lines[1].removeprefix("job=$(").removesuffix(")"))
    assert told[:6] == ["sbatch", "--parsable", "--array=1-2", "--ntasks=1", "--gres=gpu:1", "--wrap"]
    own = ["attrib", "bench", str(config), "-O", str(folder), "--set", "methods.centre.sigma=0.2"]
    assert shlex.split(told[6]) == [*own, "--shard", "$SLURM_ARRAY_TASK_ID/2"]
    told = shlex.split(lines[2])
    assert told[:5] == ["sbatch", "--dependency=afterany:$job", "--ntasks=1", "--gres=gpu:1", "--wrap"]
    assert shlex.split(told[5]) == own
