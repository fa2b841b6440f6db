"""What volumes and scores depend on, as hashes: what has the same key is not computed again."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import attrib
from attrib.config import Entry
from attrib.files import fingerprint
from attrib.types import Sample

# Code that volumes and scores depend on beside the plug-in's own file: when it changes, they are made again.
VOLUME_CODE = (
    "attention*.py", "cover.py", "method.py", "model.py", "quadrature.py", "removal.py", "space.py",
    "subject.py", "video*.py", "models/*.py",
)  # fmt: skip
SCORE_CODE = (
    "cover.py", "benchmarks/cells.py", "benchmarks/counterfactual.py", "benchmarks/perturbation.py",
    "benchmarks/metrics/*.py",
)  # fmt: skip


def digest(*parts: Any) -> str:
    """24 hex digits of anything that JSON or `str` can tell apart."""
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:24]


def described(entry: Entry, shared: tuple[str, ...]) -> str:
    """A hash of the label, name, parameters and code that an entry stands for."""
    code = {path for root in attrib.__path__ for pattern in shared for path in Path(root).glob(pattern)}
    own = Path(getattr(sys.modules.get(type(entry.item).__module__), "__file__", None) or "")
    code.update([own] if own.is_file() else [])  # a class from a notebook has no file
    return digest(entry.label, entry.name, entry.parameters, fingerprint(code))


def annotated(sample: Sample) -> list[Any]:
    """What a sample's annotation says, as JSON can hold it."""
    tracks = [(track.id, track.times.tolist(), track.boxes.tolist(), track.hidden.tolist()) for track in sample.tracks]
    parts = [*map(asdict, sample.segments), *map(asdict, sample.evidence)]
    remade = [{**asdict(item), "video": item.video.name} for item in sample.counterfactuals]
    return [tracks, parts, sample.cut, remade]


def content(videos: Iterable[Path]) -> list[str]:
    """What the files hold; one that is missing is told apart from any that is there."""
    return [fingerprint([path]) if path.is_file() else f"{path.name} is missing" for path in videos]
