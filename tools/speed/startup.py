"""Processor time of commands that do little or nothing: `python -m tools.speed.startup [--runs N] [--video FILE]`.

The least of N runs, user and system time of the process and its children. The last command explains an answer: all that
an import costs there, and its work.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from attrib.demo.generate import generate

ASK = ("-q", "What moves?", "--option", "a", "--option", "b", "-O", "out")


def commands(video: Path) -> list[tuple[str, ...]]:
    """Command lines that are measured: help, list, refusals, and one explanation of `video`."""
    return [
        ("--help",), ("list",), ("explain", "no.mp4", *ASK), ("explain", str(video), *ASK, "--method", "no"),
        ("explain", str(video), *ASK, "--set", "model.frames=x"), ("check", "no"), ("bench", "no.yaml"),
        ("report", "no"), ("data", "check", "no"), ("explain", str(video), *ASK, "--method", "relevance"),
    ]  # fmt: skip


def seconds(arguments: Sequence[str], folder: Path) -> float:
    """Processor seconds of `attrib` with these arguments, run in `folder`."""
    before = os.times()
    command = [sys.executable, "-m", "attrib", *arguments]
    subprocess.run(command, cwd=folder, capture_output=True, check=False)  # noqa: S603 - our own program
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--video", type=Path, help="default: one of the built-in world")
    given = parser.parse_args()
    table = Table("attrib", "seconds", box=None)
    with tempfile.TemporaryDirectory() as folder:
        video = given.video or next((generate(Path(folder) / "world", videos=1) / "videos").glob("*.mp4"))
        for arguments in commands(video.resolve()):
            least = min(seconds(arguments, Path(folder)) for _ in range(given.runs))
            words = " ".join(word for word in arguments if word not in ASK).replace(str(video.resolve()), video.name)
            table.add_row(words, f"{least:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
