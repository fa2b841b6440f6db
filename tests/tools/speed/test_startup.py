from __future__ import annotations

from pathlib import Path

from typer.main import get_command

from attrib.cli import app
from tools.speed import startup


def test_every_command_exists() -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]
    names = {arguments[0] for arguments in startup.commands(Path("clip.mp4"))} - {"--help"}
    assert names <= set(known)
    assert {"list", "explain"} <= names


def test_the_time_is_that_of_the_command(tmp_path: Path) -> None:
    """A refusal takes more than starting Python, and leaves nothing behind."""
    assert startup.seconds(("explain", "no.mp4", *startup.ASK), tmp_path) > 0.05
    assert not list(tmp_path.iterdir())
