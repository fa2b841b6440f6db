from __future__ import annotations

import importlib.util
import os
import signal
import socket
import threading
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from attrib.cli import app
from attrib.errors import InputError


def refused(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["app", *arguments])
    assert isinstance(found.exception, InputError), found.output
    return str(found.exception)


def test_without_gradio_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr("attrib.commands.app.find_spec", lambda name: None if name == "gradio" else known(name))
    assert refused() == "the app needs Gradio: pip install 'attrib[app]'"


def test_bad_input_is_told_before_anything_is_served(tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="the extra [app] is not installed")
    assert refused("--model", str(tmp_path / "none")).startswith("unknown model")
    assert "model.frams" in refused("--set", "model.frams=3")
    assert refused("--run", str(tmp_path / "none")).startswith(f"{tmp_path / 'none'}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert refused("--port", str(port)).startswith(f"port {port}: is not available")
    assert CliRunner().invoke(app, ["app", "--port", "70000"]).exit_code == 2


def test_ctrl_c_stops_the_server_in_one_line_and_removes_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = pytest.importorskip("attrib.app.server", reason="the extra [app] is not installed", exc_type=ImportError)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(serving, "EXAMPLES", 1)
    seen: list[object] = []

    def visit(line: str) -> None:
        address = line.split()[2]
        threading.Thread(target=lambda: interrupt(address, seen, tmp_path)).start()

    monkeypatch.setattr("attrib.commands.app.say", visit)
    found = CliRunner().invoke(app, ["app", "--port", "0"])
    assert found.exit_code == 130
    assert seen == [200, 1], "it had served, from one folder"
    assert not list(tmp_path.glob("attrib-app-*"))


def interrupt(address: str, seen: list[object], place: Path) -> None:
    """Ask for the page, then press Ctrl-C."""
    try:
        seen.append(httpx.get(address, timeout=30).status_code)
        seen.append(len(list(place.glob("attrib-app-*"))))
    finally:
        os.kill(os.getpid(), signal.SIGINT)
