"""What only Unix has, and packages without wheels for every machine, are not needed to import, explain and bench."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from attrib.demo.generate import generate

pytestmark = pytest.mark.slow

HIDDEN = ("resource", "fcntl", "termios", "decord")
# `python -c PROGRAM HIDDEN LINES`: command lines, as JSON, where those modules cannot be imported; their exit codes.
PROGRAM = """
import json, sys

import filelock, psutil  # on Linux they use those modules themselves

hidden = sys.argv[1].split(",")


class Hider:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ImportError(f"{name} is hidden")


for name in hidden:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Hider())
import attrib

for line in json.loads(sys.argv[2]):
    from attrib.cli import main

    sys.argv = ["attrib", *line]
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    print(f"{line[0]} ended with {code}")
"""


def run(*lines: list[str], warnings: str = "error") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", warnings, "-c", PROGRAM, ",".join(HIDDEN), json.dumps(lines)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("portable")


@pytest.fixture(scope="module")
def done(folder: Path) -> subprocess.CompletedProcess[str]:
    """Three commands in one process, since starting torch takes longer than they do."""
    world = generate(folder / "world", videos=1, seed=5)
    (clip,) = (world / "videos").glob("*.mp4")
    question = ["--question", "What colour is the object that moves?", "--option", "red", "--option", "blue"]
    settings = {"data": {"name": "perception_test", "root": str(world)}, "methods": {"centre": None},
                "metrics": {"mass": None}, "overlays": 0, "workers": 2, "resamples": 100}  # fmt: skip
    (folder / "small.yaml").write_text(yaml.safe_dump(settings))
    return run(
        ["list"], ["explain", str(clip), *question, "--method", "centre", "-O", str(folder / "out")],
        ["bench", str(folder / "small.yaml"), "-O", str(folder / "run")], warnings="default",
    )  # fmt: skip


def test_hidden_modules_cannot_be_imported() -> None:
    program = PROGRAM.replace("import attrib", "import fcntl", 1)
    done = subprocess.run([sys.executable, "-c", program, "fcntl", "[]"], capture_output=True, text=True, check=False)
    assert "fcntl is hidden" in done.stderr


def test_import_without_warnings() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, "")


def test_list(done: subprocess.CompletedProcess[str]) -> None:
    assert "list ended with 0" in done.stdout, done.stderr
    assert "grad_cam" in done.stdout


def test_explain(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert "explain ended with 0" in done.stdout, done.stderr
    assert (folder / "out" / "summary.json").exists()


def test_bench(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert "bench ended with 0" in done.stdout, done.stderr
    assert (folder / "run" / "results.parquet").exists()
