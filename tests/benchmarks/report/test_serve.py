"""A report is served to this machine alone: its own files, in parts where asked for, and nothing else."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attrib.benchmarks.report import serve
from attrib.benchmarks.report.serve import Server, find, serving, span
from attrib.cli import app
from attrib.errors import InputError

VIDEO = bytes(range(256)) * 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's directory with a report, what the report does not consist of, and a link out of it."""
    outside = tmp_path_factory.mktemp("served")
    run = outside / "run"
    (run / "report" / "deep").mkdir(parents=True)
    for name in ("report.html", "results.parquet", "config.yaml", "log.jsonl", "techreport.pdf"):
        (run / name).write_text(name)
    for name in ("report/a.js", "report/a%2Fb.mp4", "report/deep/a.js", "report/.hidden", "report/notes.txt"):
        (run / name).write_bytes(VIDEO)
    (outside / "secret.csv").write_text("secret")
    (run / "report" / "link.csv").symlink_to(outside / "secret.csv")
    return run


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        yield server
        server.http.shutdown()


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    """The answer to exactly this path: no client tidies it up."""
    connection = http.client.HTTPConnection(serve.HOST, server.http.server_address[1], timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    return response, response.read()


@pytest.mark.parametrize("path", ["/", "/report.html", "/report.html?x=1#y", "/report/a.js", "/report/a%252Fb.mp4"])
def test_the_reports_files_are_found(folder: Path, path: str) -> None:
    assert find(folder.resolve(), path) is not None


@pytest.mark.parametrize(
    "path",
    ["/results.parquet", "/config.yaml", "/log.jsonl", "/techreport.pdf", "/report", "/report/", "/report/deep/a.js",
     "/report/../config.yaml", "/report/..%2fconfig.yaml", "/report/%2e%2e/config.yaml", "/../secret.csv",
     "//etc/passwd", "/report/..", "/report/.hidden", "/report/notes.txt", "/report/link.csv",
     "/report/a.js%00.csv", "/report/%ff.js",
     "/report/..%5c..%5csecret.csv", "/report/none.js", "report.html", "", "/report.html/",
     "/REPORT.HTML/../config.yaml"],
)  # fmt: skip
def test_nothing_else_is(folder: Path, server: Server, path: str) -> None:
    assert find(folder.resolve(), path) is None
    response, body = ask(server, path or "*")
    assert response.status == 404
    assert not {b"secret", b"parquet", VIDEO} & {body}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None), ("bytes=0-0", (0, 0)), ("bytes=10-19", (10, 19)), ("bytes=90-", (90, 99)),
        ("bytes=90-500", (90, 99)), ("bytes=-10", (90, 99)), ("bytes=-500", (0, 99)), ("bytes=0-1,4-5", None),
        ("lines=1-2", None),
        ("bytes=-", None), ("bytes=a-b", None), ("bytes=100-", ValueError),
        ("bytes=20-10", ValueError), ("bytes=-0", ValueError),
    ],
)  # fmt: skip
def test_ranges_of_a_file_of_100_bytes(header: str | None, expected: tuple[int, int] | type[Exception] | None) -> None:
    if expected is ValueError:
        with pytest.raises(ValueError):
            span(header, 100)
    else:
        assert span(header, 100) == expected


def test_a_file_comes_whole_or_in_the_part_that_is_asked_for(server: Server) -> None:
    whole, body = ask(server, "/report/a%252Fb.mp4")
    assert (whole.status, body) == (200, VIDEO)
    assert whole.getheader("Content-Type") == "video/mp4" and whole.getheader("Accept-Ranges") == "bytes"
    part, body = ask(server, "/report/a%252Fb.mp4", Range="bytes=100-299")
    assert (part.status, body) == (206, VIDEO[100:300])
    assert part.getheader("Content-Range") == "bytes 100-299/1024"
    end, body = ask(server, "/report/a%252Fb.mp4", Range="bytes=-24")
    assert (end.status, body) == (206, VIDEO[1000:])
    beyond, body = ask(server, "/report/a%252Fb.mp4", Range="bytes=1024-")
    assert (beyond.status, body, beyond.getheader("Content-Range")) == (416, b"", "bytes */1024")
    head, body = ask(server, "/report/a.js", "HEAD")
    assert (head.status, head.getheader("Content-Length"), body) == (200, "1024", b"")
    assert ask(server, "/", "POST")[0].status == 501
    page, body = ask(server, "/")
    assert page.getheader("Content-Type") == "text/html; charset=utf-8" and body == b"report.html"


def test_it_answers_on_loopback_to_its_own_name_alone(server: Server) -> None:
    assert server.http.server_address[0] == "127.0.0.1"
    for host, status in (("127.0.0.1:80", 200), ("localhost", 200), ("evil.example", 404), ("evil.example:80", 404)):
        assert ask(server, "/", Host=host)[0].status == status


def test_no_request_puts_a_traceback_on_the_terminal(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    assert ask(server, f"/report/{'a' * 300}.js")[0].status == 404
    with socket.create_connection((serve.HOST, server.http.server_address[1]), timeout=10) as gone:
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed with a reset
        gone.sendall(b"GET / HTTP/1.1\r\n")
    assert ask(server, "/")[0].status == 200
    time.sleep(0.2)
    assert capfd.readouterr() == ("", "")


def test_a_port_that_is_taken_is_told(folder: Path, server: Server) -> None:
    port = server.http.server_address[1]
    message = rf"cannot bind 127\.0\.0\.1:{port}: .*; use --port 0 for any free port"
    with pytest.raises(InputError, match=message), serving(folder, port):
        pass


def test_the_report_is_made_anew_where_players_are_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(folder / "report.html", (2e9, 2e9))  # newer than the run
    made: list[int] = []
    monkeypatch.setattr("attrib.commands.report.report", lambda run, output, players, plugin: made.append(players))
    monkeypatch.setattr(Server, "serve", lambda self: None)
    for more in ([], ["--players", "3"], ["--players", "0"]):
        assert CliRunner().invoke(app, ["view", str(folder), "--no-browser", *more]).exit_code == 0
    assert made == [3, 0]


def test_the_command_stops_on_an_interrupt_with_one_line(folder: Path) -> None:
    os.utime(folder / "report.html", (2e9, 2e9))  # newer than the run: it is not made again
    command = [sys.executable, "-m", "attrib", "view", str(folder), "--no-browser"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout and process.stderr
        line = process.stdout.readline()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/ \(Ctrl-C stops\)\n", line)
        assert found, line + process.stderr.read()
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"report.html"
        connection.close()
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert errors == "interrupted; the report is no longer served\n"
