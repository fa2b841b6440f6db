"""Building and installing real packages inside tests, without network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
OFFLINE = ("--no-deps", "--no-build-isolation", "--no-index")


def run(command: list[str] | tuple[str, ...], cwd: Path, **env: str) -> str:
    """Standard output; a failure shows what the program said."""
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy_tracked(folder: Path, under: str = ".") -> Path:
    """The files that git tracks, as they are now, in `folder`; what lies about untracked stays behind."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout: there is no list of tracked files")
    for name in run(["git", "ls-files", "-z", under], ROOT).split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def build_wheel(project: Path, folder: Path) -> Path:
    """The wheel of `project`, built by its own build backend."""
    run([*PIP, "wheel", *OFFLINE, "--wheel-dir", str(folder), str(project)], folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(what: Path, site: Path) -> Path:
    """Install a wheel or a project into the directory `site`."""
    run([*PIP, "install", *OFFLINE, "--target", str(site), str(what)], site.parent)
    return site


def python(arguments: list[str], site: Path, cwd: Path) -> str:
    """Run Python in `cwd` with `site` before everything that is installed."""
    return run([sys.executable, "-P", *arguments], cwd, PYTHONPATH=str(site))
