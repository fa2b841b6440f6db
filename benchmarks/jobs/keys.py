"""Cache keys: hashes of everything that a result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.config import Entry
from attrib.runtime.files import fingerprint
from attrib.types import Sample


def digest(*values: Any) -> str:
    """Hash, 24 hex digits, of values that differ in JSON or in `str`."""
    return hashlib.sha256(json.dumps(values, default=str, sort_keys=True).encode()).hexdigest()[:24]


def entry_hash(entry: Entry, sources: CodeHashes) -> str:
    """Hash of an entry's label, name, parameters and code, and of its imputer."""
    imputer = entry_hash(entry.imputer, sources) if entry.imputer else ""
    return digest(entry.label, entry.name, entry.parameters, sources.of(type(entry.item)), imputer)


def annotation_hash(sample: Sample) -> str:
    """Hash of a sample's annotation."""
    tracks = [(track.id, track.times.tolist(), track.boxes.tolist(), track.hidden.tolist()) for track in sample.tracks]
    intervals = [*map(asdict, sample.segments), *map(asdict, sample.evidence)]
    counterfactuals = [{**asdict(item), "video": item.video.name} for item in sample.counterfactuals]
    return digest(tracks, intervals, sample.cut, counterfactuals)


def file_hashes(videos: Iterable[Path]) -> list[str]:
    """Hashes of the files' contents; a missing file has an entry that differs from every hash.

    A file is read once by a process, and again when its size or time of change differs.
    """
    return [_file_hash(path) if path.is_file() else f"{path.name} is missing" for path in videos]


def _file_hash(path: Path) -> str:
    status = path.stat()
    return _content_hash(path.absolute(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=2**17)
def _content_hash(path: Path, size: int, changed: int) -> str:
    del size, changed  # keys of the cache
    return fingerprint([path])
