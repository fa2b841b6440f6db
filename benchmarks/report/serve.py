"""HTTP server of a report for this machine only: serves the page and its folder, and no other file of the run."""

from __future__ import annotations

import mimetypes
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from attrib.benchmarks.report.paths import BESIDE, PAGE
from attrib.errors import InputError

HOST = "127.0.0.1"
KINDS = {".html", ".js", ".mp4", ".csv", ".png"}  # file types that a report consists of


@dataclass(frozen=True)
class Server:
    """A server ready to answer requests; `address` is the URL of the page."""

    http: ThreadingHTTPServer

    @property
    def address(self) -> str:
        """URL of the page."""
        return f"http://{HOST}:{self.http.server_address[1]}/"

    def serve(self) -> None:
        """Answer requests until interrupted, or until `http.shutdown()` is called from another thread."""
        self.http.serve_forever(poll_interval=0.1)


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[Server]:
    """Server of the report in `folder` on the loopback interface. Raises InputError if the port is not available."""
    root = folder.resolve()

    class Handler(_Handler):
        folder = root

    try:
        http = _Http((HOST, port), Handler)
    except OSError as error:
        raise InputError(f"cannot bind {HOST}:{port}: {error.strerror}; use --port 0 for any free port") from error
    with http:
        yield Server(http)


def find(folder: Path, path: str) -> Path | None:
    """File of the report at a request's path; None for any other path."""
    try:
        name = unquote(urlsplit(path).path, errors="strict")
    except ValueError:
        return None
    if name in ("/", f"/{PAGE}"):
        found = folder / PAGE
    elif (match := re.fullmatch(rf"/{BESIDE}/([^/\\\0]+)", name)) and Path(match[1]).suffix in KINDS:
        found = folder / BESIDE / match[1]
    else:
        return None
    try:
        inside = found.is_file() and found.resolve() == found  # no symbolic links: they could lead out of the folder
    except OSError:  # for example, the name is too long
        return None
    return found if inside else None


def span(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte of a Range header; None for the whole file. Raises ValueError if it cannot be satisfied.

    Several ranges, or another unit, return the whole file, as RFC 9110 (14.2) allows.
    """
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (header or "").strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        if int(last) == 0 or size == 0:
            raise ValueError("an empty range")
        return max(size - int(last), 0), size - 1
    if int(first) >= size or (last and int(last) < int(first)):
        raise ValueError("a range beyond the file")
    return int(first), min(int(last), size - 1) if last else size - 1


class _Http(ThreadingHTTPServer):
    """HTTP server with a thread for each connection; it ignores broken connections."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error of the server; ignore a browser that closed the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Handler of GET and HEAD requests for the report's files."""

    folder: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the name that http.server looks for
        """Send a file, or the requested range of it."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Send the headers that GET would."""
        self._answer(body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing to the terminal."""

    def _answer(self, body: bool) -> None:
        path = find(self.folder, self.path) if self._meant() else None
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with path.open("rb") as file:
            size = path.stat().st_size
            try:
                part = span(self.headers.get("Range"), size)
            except ValueError:
                self._begin(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, path, 0, {"Content-Range": f"bytes */{size}"})
                return
            first, last = part or (0, size - 1)
            ranged = {"Content-Range": f"bytes {first}-{last}/{size}"} if part else {}
            self._begin(HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK, path, last - first + 1, ranged)
            if body:
                self._send(file, first, last - first + 1)

    def _meant(self) -> bool:
        """True if the Host header names this machine; another site's name can be made to resolve to 127.0.0.1."""
        host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host")
        return host in (HOST, "localhost")

    def _begin(self, status: HTTPStatus, path: Path, size: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        text = "; charset=utf-8" if kind.startswith("text/") else ""
        fixed = {"Content-Type": kind + text, "Content-Length": str(size), "Accept-Ranges": "bytes"}
        safe = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        for name, value in {**fixed, **safe, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, file: BinaryIO, first: int, count: int) -> None:
        file.seek(first)
        while count > 0 and (chunk := file.read(min(count, 2**16))):
            self.wfile.write(chunk)
            count -= len(chunk)
