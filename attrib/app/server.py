"""Serve the page on a loopback port, with all its files in one temporary folder, removed at the end."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from attrib.demo.dataset import Demo
from attrib.errors import InputError, VideoError
from attrib.model import VideoModel
from attrib.types import Sample

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported

import gradio as gr
import uvicorn
from fastapi import FastAPI
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import PlainTextResponse

from attrib.app import style
from attrib.app.explainer import Explainer
from attrib.app.page import Page
from attrib.app.request import MEGABYTES, check_video

HOST = "127.0.0.1"
EXAMPLES = 6  # one of each family of the built-in world
MOST_SAMPLES = 60  # of the user's runs
# The browser may ask this server only: not for fonts, nor for scripts, and nobody may frame the page.
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' data: blob:; object-src 'none'; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
FONTS = ("ui-sans-serif", "system-ui", "sans-serif")  # system fonts: the page fetches none
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Guarded:
    """ASGI application that adds POLICY to its responses and refuses requests of other origins."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Answer with the header; another site can make a browser send a request, even if it cannot read the reply."""
        headers = dict(scope.get("headers", ()))
        origin = headers.get(b"origin")
        if origin is not None and origin != b"http://" + headers.get(b"host", b""):
            await PlainTextResponse("expected a request of this page", 403)(scope, receive, send)
            return

        async def guarded(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                more = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        await self.app(scope, receive, guarded)


@contextmanager
def serving(
    model: VideoModel, port: int, settings: Mapping[str, Any] | None = None, examples: int | None = None,
    samples: Sequence[Sample] = (),
) -> Iterator[tuple[str, uvicorn.Server, socket.socket]]:  # fmt: skip
    """Yield the page's address, its server, and the socket for it. Port 0: any free port.

    `settings`: `model` and `seed`. The first examples are `samples`, of which videos within the page's limits are
    copied, then `examples` of the built-in world. On exit, every file of the page is removed.
    Raises InputError if the port is not available.
    """
    with _bound(port) as listening, tempfile.TemporaryDirectory(prefix="attrib-app-") as name:
        folder = Path(name).resolve()
        before = os.environ.get("GRADIO_TEMP_DIR")
        os.environ["GRADIO_TEMP_DIR"] = str(folder / "pages")
        try:
            app = application(Explainer(model, folder, settings or {}), examples or EXAMPLES, samples)
            server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, ws="none"))
            yield f"http://{HOST}:{listening.getsockname()[1]}/", server, listening
        finally:
            os.environ.pop("GRADIO_TEMP_DIR")
            os.environ.update({"GRADIO_TEMP_DIR": before} if before else {})


def application(explainer: Explainer, examples: int, samples: Sequence[Sample] = ()) -> FastAPI:
    """Page as an ASGI application, with `samples` and `examples` videos of the built-in world."""
    world = Demo(examples, root=str(explainer.folder / "examples"), counterfactuals=False)
    known = {_name(sample): sample for sample in (*_copied(samples, explainer.folder / "own"), *world)}
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    app.add_middleware(Guarded)
    theme = gr.themes.Base(primary_hue="amber", neutral_hue="slate", font=FONTS, font_mono=("ui-monospace",))
    theme.set(
        body_text_color_subdued="*neutral_600", block_info_text_color="*neutral_600",
        button_primary_background_fill="*primary_700", button_primary_background_fill_hover="*primary_800",
    )  # fmt: skip
    blocks = Page(explainer, known).build()
    blocks.has_launched = True  # where it is mounted and not launched, Gradio would copy any file that a request names
    return gr.mount_gradio_app(
        app, blocks, path="", server_name=HOST, max_file_size=MEGABYTES * 1_000_000,
        footer_links=[], run_history=False, show_error=False, ssr_mode=False, pwa=False, mcp_server=False,
        enable_monitoring=False, theme=theme, css=style.CSS, head=style.SCRIPT,
    )  # fmt: skip


def _copied(samples: Sequence[Sample], folder: Path) -> Iterator[Sample]:
    """Yield at most MOST_SAMPLES samples with copies of their videos in `folder`, the only place the page reads.

    Samples whose video is missing or beyond the page's limits are left out.
    """
    copies: dict[Path, Path | None] = {}
    for sample in samples[:MOST_SAMPLES]:
        if sample.video not in copies:
            copies[sample.video] = _copy(sample.video, folder / str(len(copies)) / sample.video.name)
        if own := copies[sample.video]:
            yield replace(sample, video=own)


def _copy(video: Path, copy: Path) -> Path | None:
    try:
        check_video(video, video.parent)
        copy.parent.mkdir(parents=True)
        shutil.copyfile(video, copy)
    except (OSError, InputError, VideoError):
        return None
    return copy


def _name(sample: Sample) -> str:
    return f"{sample.question.text} ({sample.video_id})"


@contextmanager
def _bound(port: int) -> Iterator[socket.socket]:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError(f"port {port}: is not available ({error.strerror if isinstance(error, OSError) else error}); "
                         "choose another with --port; 0: any free port") from error  # fmt: skip
    with listening:
        yield listening
