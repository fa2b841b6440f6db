"""`report.html`: collect the data of the run, render the page, and write large files to a folder next to it."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from attrib.benchmarks.checks.sampling import spread_out
from attrib.benchmarks.jobs import finished_run
from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.jobs.store import file_name
from attrib.benchmarks.report import columns, curves, header, layers, media, players, tables, trace
from attrib.benchmarks.report.paths import BESIDE, PAGE
from attrib.benchmarks.stats.permutation import FEW_VIDEOS
from attrib.errors import InputError, NotWritten, VideoError
from attrib.render.options import BANDS, EVIDENCE, colours
from attrib.runtime.files import write_text, writing
from attrib.runtime.progress import Progress, report_progress
from attrib.types import Sample

EMBEDDED = 6 * 2**20  # bytes of all samples and videos; up to this size they are embedded in the page
TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = (  # the order matters
    "dom", "board", "plane", "ranks", "curves", "centre", "tasks", "checks", "canvas", "timeline", "view", "player",
    "main",
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """A written report: path and size (bytes) of the page, whether videos and maps are embedded in it, number of
    samples with a player, number of samples in the run, and warnings about videos that could not be included."""

    path: Path
    size: int
    embedded: bool
    shown: int
    samples: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Shown:
    """A sample with a player: the player's data, and the file name of its video (None if it has no video)."""

    sample: Sample
    body: dict[str, Any]
    video: str | None


def write(run: Path, output: Path | None = None, most: int = 60, step: Progress | None = None) -> Report:
    """Write report.html and the folder report/ to `output`, by default the directory of the run.

    At most `most` samples get a player, spread evenly over tasks. Raises InputError if the run is not finished.
    """
    found, folder = finished_run.read(run), output or run
    beside = folder / BESIDE
    _make(beside)
    shown, notes = _players(found, beside, most, step)
    report_progress(step, "writing the page", 0, 0)
    body = _body(found, shown, notes)
    embedded = _weight(shown, beside) <= EMBEDDED
    islands = _embed(shown, beside) if embedded else _lay(shown, beside)
    body["atlas"] = layers.atlas(found.directory, beside)
    body["trace"] = trace.trace(found.directory, beside)
    body["files"] = _copy_tables(found, beside)
    text = render(body, islands)
    write_text(folder / PAGE, text)
    samples = found.results["sample"].nunique()
    return Report(folder / PAGE, len(text.encode()), embedded, len(shown), samples, tuple(notes))


def _make(beside: Path) -> None:
    try:
        beside.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritten(f"{beside}: cannot be made: {error.strerror}") from error


def _players(found: FinishedRun, beside: Path, most: int, step: Progress | None) -> tuple[list[_Shown], list[str]]:
    """The selected samples, and warnings about videos that could not be included."""
    try:
        samples = tuple(found.samples.values())
    except InputError:
        return [], []  # the head of the page warns about it
    chosen, notes = _chosen(samples, most, found.settings.seed), []
    ends: dict[Path, tuple[float, str | None]] = {}
    shown = []
    for number, sample in enumerate(chosen):
        report_progress(step, f"player of {sample.id}", number, len(chosen))
        if sample.video not in ends:
            name = f"{file_name(sample.video_id)}.mp4"
            try:
                ends[sample.video] = media.make(sample.video, beside / name), name
            except VideoError as error:
                notes.append(f"{sample.video_id}: no video in the report: {error}")
                ends[sample.video] = 0.0, None
        end, video = ends[sample.video]
        shown.append(_Shown(sample, players.player(found, sample, list(found.settings.methods), end), video))
    return shown, notes


def _chosen(samples: Sequence[Sample], most: int, seed: int) -> Sequence[Sample]:
    """All samples of the selected videos, spread evenly over tasks."""
    if len(samples) <= most:
        return samples
    videos = {sample.video_id for sample in spread_out(samples, most, seed)}
    return [sample for sample in samples if sample.video_id in videos][:most]


def _body(found: FinishedRun, shown: Sequence[_Shown], notes: Iterable[str]) -> dict[str, Any]:
    """Data of the page's scripts."""
    parts = found.roles
    return {
        "head": header.head(found), "warnings": [*header.warnings(found), *notes], "failures": header.failures(found),
        "methods": columns.methods(found.settings, parts), "metrics": columns.metrics(found),
        "board": tables.board(found), "ranks": tables.ranks(found), "curves": curves.lines(found),
        "tasks": tables.tasks(found), "exceptions": tables.exceptions(found), "sanity": tables.sanity(found),
        "floors": tables.floors(found), "colours": _colours(), "few": FEW_VIDEOS,
        "samples": [
            {"id": one.sample.id, "task": one.sample.task, "question": one.sample.question.text,
             "correct": _correct(one), "file": file_name(one.sample.id), "video": one.video}
            for one in shown
        ],
    }  # fmt: skip


def _correct(one: _Shown) -> bool | None:
    given, answer = one.body["probabilities"], one.sample.question.answer
    return given.index(max(given)) == answer if given and answer is not None else None


def _colours() -> dict[str, Any]:
    """Colour maps (256 RGB triples as base64), and the colours of bands and boxes."""
    tables = {name: base64.b64encode(colours(name == "signed").tobytes()).decode() for name in ("signed", "plain")}
    return {**tables, "bands": {**BANDS, "evidence": EVIDENCE}}


def _weight(shown: Sequence[_Shown], beside: Path) -> int:
    """Size in bytes of all players' data, if embedded in the page."""
    videos = {one.video for one in shown if one.video}
    bodies = sum(len(json.dumps(one.body)) for one in shown)
    return bodies + sum((beside / name).stat().st_size * 4 // 3 for name in videos)


def _embed(shown: Sequence[_Shown], beside: Path) -> dict[str, Any]:
    """Samples and videos as elements of the page, by element id; video files next to the page are removed."""
    islands: dict[str, Any] = {f"sample-{file_name(one.sample.id)}": one.body for one in shown}
    for name in {one.video for one in shown if one.video}:
        islands[f"video-{name}"] = base64.b64encode((beside / name).read_bytes()).decode()
        (beside / name).unlink()
    return islands


def _lay(shown: Sequence[_Shown], beside: Path) -> dict[str, Any]:
    """Write each sample as a script next to the page; a page opened from a file can load no other data."""
    for one in shown:
        name = file_name(one.sample.id)
        call = f"attribReport.loaded({json.dumps(name)}, {json.dumps(one.body, allow_nan=False)});\n"
        write_text(beside / f"{name}.js", call)
    return {}


def _copy_tables(found: FinishedRun, beside: Path) -> list[str]:
    """Copy the tables of the run, so that the report can be moved and served without it, and return their names."""
    names = [f"{name}.csv" for name in tables.FILES if (found.directory / f"{name}.csv").is_file()]
    for name in names:
        with writing(beside / name) as part:
            shutil.copyfile(found.directory / name, part)
    return names


def render(body: Mapping[str, Any], islands: Mapping[str, Any]) -> str:
    """HTML of the page. Data is JSON that cannot break out of its element; only the page's own script may run."""
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "allow_nan": False, "separators": (",", ":")}
    script = "".join((TEMPLATES / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'(() => {{\n"use strict";\n{script}\n}})();\n'
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        body=body, islands=islands, script=Markup(script), hash=hashed,  # noqa: S704  # our own file
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),  # noqa: S704
    )  # fmt: skip
