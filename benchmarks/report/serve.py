"""A report over HTTP, for this machine alone: the page and what lies beside it, and nothing else of the run."""

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
KINDS = {".html", ".js", ".mp4", ".csv", ".png"}  # endings of what a report consists of


@dataclass(frozen=True)
class Server:
    """A server that waits for requests; `address` is where the page is."""

    http: ThreadingHTTPServer

    @property
    def address(self) -> str:
        """The page's address."""
        return f"http://{HOST}:{self.http.server_address[1]}/"

    def serve(self) -> None:
        """Answer requests until interrupted, or until `http.shutdown()` is called from another thread."""
        self.http.serve_forever(poll_interval=0.1)


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[Server]:
    """A server of the report in `folder`, on the loopback interface. Raises InputError where the port is taken."""
    root = folder.resolve()

    class Handler(_Handler):
        folder = root

    try:
        http = _Http((HOST, port), Handler)
    except OSError as error:
        raise InputError(f"port {port} of {HOST} cannot be had: {error.strerror}; 0 takes any that is free") from error
    with http:
        yield Server(http)


def find(folder: Path, path: str) -> Path | None:
    """The file of the report that a request's path names; None for anything else, wherever it leads."""
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
        inside = found.is_file() and found.resolve() == found  # a link would lead elsewhere
    except OSError:  # a name that is too long
        return None
    return found if inside else None


def span(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte that a Range header asks for; None for the whole. Raises ValueError where there is no such.

    Several ranges, or another unit, count as the whole, as RFC 9110 (14.2) allows.
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
    """A thread for each connection; one that breaks off is no news."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell what is a fault of ours, not a browser that went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the report's files."""

    folder: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the name that http.server looks for
        """Send a file, or the part of it that is asked for."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Send the headers that GET would."""
        self._answer(body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is for people."""

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
        """Whether the request was meant for this machine: a page elsewhere can point its own name at 127.0.0.1."""
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
