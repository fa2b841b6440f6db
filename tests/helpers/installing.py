"""Helpers that build and install real packages inside tests, without network."""

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
    """Run a command and return its standard output; a failure shows its whole output."""
    result = subprocess.run(command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def copy_tracked(folder: Path, under: str = ".") -> Path:
    """Copy the files that git tracks, in their current state, to `folder`; untracked files are ignored."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout, so that the tracked files are unknown")
    for name in run(["git", "ls-files", "-z", under], ROOT).split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of `project` with its own build backend and return its path."""
    run([*PIP, "wheel", *OFFLINE, "--wheel-dir", str(folder), str(project)], folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(package: Path, site: Path) -> Path:
    """Install a wheel or a project into the directory `site`."""
    run([*PIP, "install", *OFFLINE, "--target", str(site), str(package)], site.parent)
    return site


def python(arguments: list[str], site: Path, cwd: Path, *others: Path) -> str:
    """Run Python in `cwd` with `site`, then `others`, first on the import path."""
    return run([sys.executable, "-P", *arguments], cwd, PYTHONPATH=os.pathsep.join(map(str, (site, *others))))
