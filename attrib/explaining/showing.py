"""An explanation as HTML for notebooks: for each method the contact sheet and a small player of the overlay."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from attrib.render import overlay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attrib.subject import Subject
    from attrib.types import Clip, SaliencyVolume

MOST = 6 * 2**20  # characters of a page; further methods are named
SHEET, PLAYER = 1000, 360  # most pixels of a sheet's width, and of a player's frames


class _Explained(Protocol):
    """Parts of an Explanation that the page shows."""

    @property
    def subject(self) -> Subject: ...
    @property
    def volumes(self) -> Mapping[str, SaliencyVolume]: ...
    @property
    def failures(self) -> Mapping[str, str]: ...
    @property
    def explained(self) -> Mapping[str, str]: ...
    @property
    def answer(self) -> str: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...
    def drawing(self, name: str) -> overlay.RenderOptions: ...


def html(explanation: _Explained) -> str:
    """Return a page without scripts: question and answer, and each method until the page is `MOST` characters long.

    All texts are escaped, pictures and videos are embedded. The player shows the frames that the model saw.
    """
    parts, left = [_head(explanation)], []
    size = len(parts[0])
    clip = _small(explanation.subject.clip)
    for name in explanation.volumes:
        part = "" if size >= MOST else _method(explanation, name, clip)
        if not part or size + len(part) > MOST:
            left.append(name)
            continue
        parts.append(part)
        size += len(part)
    if left:
        parts.append(f"<p>Not shown here, to keep the notebook small: {escape(', '.join(left))}; see .volumes[...]</p>")
    failures = (f"<p>{escape(name)} failed: {escape(error)}</p>" for name, error in explanation.failures.items())
    return f"<div class='attrib'>{''.join(parts)}{''.join(failures)}</div>"


def _head(explanation: _Explained) -> str:
    subject = explanation.subject
    lines = "".join(_options(explanation))
    warnings = "".join(f"<p>warning: {escape(text)}</p>" for text in explanation.warnings)
    return f"<p><b>{escape(subject.question.text)}</b></p><ul>{lines}</ul>{warnings}"


def _options(explanation: _Explained) -> Iterator[str]:
    subject = explanation.subject
    if subject.question.reply:
        yield f"<li><b>{escape(explanation.answer)}</b></li>"
        return
    shares = np.exp(subject.logprobs.detach().float().cpu().numpy())
    for index, text in enumerate(subject.question.options):
        line = f"{escape(text)} ({shares[index]:.1%})"
        yield f"<li>{f'<b>{line}</b>' if index == subject.predicted else line}</li>"


def _method(explanation: _Explained, name: str, clip: Clip) -> str:
    volume, drawing = explanation.volumes[name], explanation.drawing(name)
    with tempfile.TemporaryDirectory() as folder:
        sheet, film = Path(folder) / "sheet.png", Path(folder) / "film.mp4"
        overlay.contact_sheet(sheet, volume, explanation.subject.clip, drawing)
        overlay.write_overlay(film, volume, clip, drawing, original=False)
        picture = np.asarray(cv2.imread(str(sheet)))
        scale = min(SHEET / picture.shape[1], 1.0)
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        png, mp4 = cv2.imencode(".png", small)[1].tobytes(), film.read_bytes()
    title = escape(name, quote=True)
    return (
        f"<details open><summary><b>{title}</b> {escape(explanation.explained[name])}</summary>"
        f"<img alt='contact sheet of {title}' style='max-width:100%' src='data:image/png;base64,{_coded(png)}'><br>"
        f"<video controls loop muted playsinline title='overlay of {title}' style='max-width:100%' "
        f"src='data:video/mp4;base64,{_coded(mp4)}'></video></details>"
    )


def _coded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _small(clip: Clip) -> Clip:
    """Return the clip with frames of at most `PLAYER` pixels a side."""
    height, width = clip.frames.shape[1:3]
    scale = PLAYER / max(height, width)
    if scale >= 1:
        return clip
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    frames = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in clip.frames])
    return replace(clip, frames=frames)
