"""What parts of a run depend on, as hashes: what has the same key is not computed again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.config import Entry
from attrib.runtime.files import fingerprint
from attrib.types import Sample


def digest(*parts: Any) -> str:
    """24 hex digits of anything that JSON or `str` can tell apart."""
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:24]


def entry_hash(entry: Entry, sources: CodeHashes) -> str:
    """A hash of the label, name, parameters and code that an entry stands for, and of its imputer's."""
    imputer = entry_hash(entry.imputer, sources) if entry.imputer else ""
    return digest(entry.label, entry.name, entry.parameters, sources.of(type(entry.item)), imputer)


def annotation_hash(sample: Sample) -> str:
    """A hash of what a sample's annotation says."""
    tracks = [(track.id, track.times.tolist(), track.boxes.tolist(), track.hidden.tolist()) for track in sample.tracks]
    parts = [*map(asdict, sample.segments), *map(asdict, sample.evidence)]
    remade = [{**asdict(item), "video": item.video.name} for item in sample.counterfactuals]
    return digest(tracks, parts, sample.cut, remade)


def file_hashes(videos: Iterable[Path]) -> list[str]:
    """What the files hold; one that is missing is told apart from any that is there."""
    return [fingerprint([path]) if path.is_file() else f"{path.name} is missing" for path in videos]
