"""Data set in one file of one's own: a table (CSV, TSV) or JSON lines with a question on a video in each row."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from attrib.data.annotation import PLAIN_NAME
from attrib.data.choosing import one_question
from attrib.data.table_rows import TableRow, rows_of
from attrib.errors import InputError, UnknownName, shown
from attrib.types import Evidence, Question, Sample, Segment, Track

RULE = "given in the table"


@dataclass(frozen=True)
class Table:
    """Samples of a file `root` (.csv, .tsv or .jsonl): video, question, options, and optionally answer and evidence.

    Columns: see docs/own_data.md. Paths of videos are relative to the file. Only the first `limit` videos are read.
    """

    root: str
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise InputError(f"limit: expected at least one video, got {shown(self.limit)}")

    def __iter__(self) -> Iterator[Sample]:
        """Yield a sample for each row. Raises InputError with the line of the first fault, before the first sample."""
        yield from list(self._samples())

    def sample(self, video_id: str, question_id: int | None = None) -> Sample:
        """Return one question on one video; the id is optional if there is only one question.

        Raises InputError, or UnknownName for an unknown video or question.
        """
        every = list(self)
        found = {each.question.id: each for each in every if each.video_id == video_id}
        if not found:
            raise UnknownName("video", video_id, {each.video_id for each in every})
        return one_question(found, video_id, question_id)

    def _samples(self) -> Iterator[Sample]:
        path, videos = Path(self.root), _Videos(Path(self.root).parent)
        for row in rows_of(path):
            try:
                video = videos.file(row.video)
                if self.limit is not None and len(videos.asked) > self.limit:
                    return
                yield _sample(row, video, videos.ask(video))
            except InputError as error:
                raise InputError(f"{path}, line {row.line}: {error}") from None
        if not videos.asked:
            raise InputError(f"{path}: expected at least one row below the header, found none")


@dataclass(frozen=True)
class _Videos:
    """Video files of a table's folder, with the number of questions asked of each so far."""

    folder: Path
    asked: dict[Path, int] = field(default_factory=dict)

    def file(self, name: str) -> Path:
        """Return the path of a video. Raises InputError if it is missing or its name cannot name results."""
        path = self.folder / name
        if path in self.asked:
            return path
        if not path.is_file():
            raise InputError(f"video {shown(name)}: no such file in {self.folder}{_similar(path)}")
        if not PLAIN_NAME.fullmatch(path.stem):
            raise InputError(f"video {shown(path.name)}: it names results: expected letters, digits, _, . and - alone")
        for other in self.asked:
            if other.stem == path.stem:
                raise InputError(f"video {shown(name)}: another one is called {path.stem} too: {other}; rename one")
        self.asked[path] = 0
        return path

    def ask(self, path: Path) -> int:
        """Return the number of the next question of the video, from 0."""
        self.asked[path] += 1
        return self.asked[path] - 1


def _similar(path: Path) -> str:
    """Hint at the file beside a missing one whose name is the nearest; empty without any."""
    names = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _sample(row: TableRow, video: Path, number: int) -> Sample:
    question = Question(row.question, row.options, row.answer, number)
    tracks = tuple(_tracks(row))
    decisive = tuple(track.id for track in tracks if track.label in row.evidence or not row.boxes)
    evidence = tuple(map(Evidence, decisive))
    segments = tuple(
        Segment("action", label, start, end, decisive)
        for label, spans in row.intervals.items() for start, end in spans
    )  # fmt: skip
    return Sample(
        id=f"{video.stem}_{number}", video=video, question=question, task=row.task or row.question, tracks=tracks,
        segments=segments, evidence=evidence, rule=RULE if tracks else "none",
    )  # fmt: skip


def _tracks(row: TableRow) -> Iterable[Track]:
    """Yield a track for each object of the row; where there are only intervals, one without boxes takes part in them.

    The track without boxes says whose evidence the intervals are: metrics of time need no boxes.
    """
    for id, (label, boxes) in enumerate(row.boxes.items()):
        table = np.array(boxes, np.float64).reshape(-1, 5)
        yield Track(id, label, table[:, 0], table[:, 1:], np.zeros(len(table), bool))
    if row.intervals and not row.boxes:
        yield Track(0, "", np.zeros(0), np.zeros((0, 4)), np.zeros(0, bool))
