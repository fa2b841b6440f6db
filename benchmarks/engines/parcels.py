"""Files of a run's samples as bytes, for workers that do not see the run's directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrib.benchmarks.jobs.store import file_name
from attrib.runtime.files import writing
from attrib.types import Sample

VOLUMES = ("volumes", "rivals")
Files = Mapping[str, bytes]  # by path in the run's directory


def packed(directory: Path, samples: Iterable[Sample]) -> Files:
    """Read the records and volumes of the samples."""
    names = {file_name(sample.id) for sample in samples}
    paths = (path for name in sorted(names) for path in _of_sample(directory, name))
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def changed(directory: Path, given: Files) -> Files:
    """Read the files that differ from the `given` ones, records last: a volume without one is adopted later."""
    paths = (path for folder in (*VOLUMES, "items") for path in sorted((directory / folder).rglob("*.*")))
    files = {str(path.relative_to(directory)): path.read_bytes() for path in paths if ".part" not in path.name}
    return {name: content for name, content in files.items() if given.get(name) != content}


def unpack(directory: Path, files: Files) -> None:
    """Write the files, each atomically. Raises NotWritten."""
    for name, content in files.items():
        with writing(directory / name) as path:
            path.write_bytes(content)


def _of_sample(directory: Path, name: str) -> Iterator[Path]:
    for folder in VOLUMES:
        yield from sorted((directory / folder / name).glob("*.npz"))
    for kind in sorted((directory / "items").glob("*/")):
        yield from sorted((kind / name).rglob("*.json"))
        if (kind / f"{name}.json").is_file():
            yield kind / f"{name}.json"
