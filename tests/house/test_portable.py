"""What only Unix has, and packages without wheels for every machine, are not needed to import, explain and bench."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from attrib.demo.generate import generate

HIDDEN = ("resource", "fcntl", "termios", "decord")
# `python -c PROGRAM HIDDEN ARGUMENTS`: the command line where those modules cannot be imported.
PROGRAM = """
import sys

import filelock, psutil  # on Linux they use those modules themselves

hidden = sys.argv[1].split(",")


class Hider:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ImportError(f"{name} is hidden")


for name in hidden:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Hider())
del sys.argv[1]
import attrib

if sys.argv[1:]:
    sys.argv[0] = "attrib"
    from attrib.cli import main

    main()
"""


def run(*arguments: object, warnings: str = "error") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", warnings, "-c", PROGRAM, ",".join(HIDDEN), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("world"), videos=1, seed=5)


def test_hidden_modules_cannot_be_imported() -> None:
    program = PROGRAM.replace("import attrib", "import fcntl", 1)
    done = subprocess.run([sys.executable, "-c", program, "fcntl"], capture_output=True, text=True, check=False)
    assert "fcntl is hidden" in done.stderr


def test_import_without_warnings() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, "")


def test_list() -> None:
    done = run("list", warnings="default")
    assert done.returncode == 0, done.stderr
    assert "grad_cam" in done.stdout


def test_explain(world: Path, tmp_path: Path) -> None:
    (clip,) = (world / "videos").glob("*.mp4")
    question = ("--question", "What colour is the object that moves?", "--option", "red", "--option", "blue")
    done = run("explain", clip, *question, "--method", "centre", "-O", tmp_path / "out", warnings="default")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "summary.json").exists()


def test_bench(world: Path, tmp_path: Path) -> None:
    settings = {"data": {"name": "perception_test", "root": str(world)}, "methods": {"centre": None},
                "metrics": {"mass": None}, "overlays": 0, "workers": 2}  # fmt: skip
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(settings))
    done = run("bench", tmp_path / "small.yaml", "-O", tmp_path / "run", warnings="default")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "results.parquet").exists()
