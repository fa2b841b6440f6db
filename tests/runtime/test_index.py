"""Contents of many files in one: only a cache, whatever happens to it or to the files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from attrib.runtime.index import Index, file_state


def written(folder: Path, name: str, content: object, age: int = 10) -> Path:
    """File of this content, last changed so many seconds ago."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    past = path.stat().st_mtime_ns - age * 10**9
    os.utime(path, ns=(past, past))
    return path


def name(folder: Path, path: Path) -> str:
    return str(path.relative_to(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


def kept(tmp_path: Path, folder: Path, files: list[Path]) -> Index:
    """Index of the files, saved and read again."""
    index = Index.of(tmp_path / "index.json", folder)
    for path in files:
        index.put(name(folder, path), file_state(path), json.loads(path.read_text()))
    index.save()
    return Index.of(tmp_path / "index.json", folder)


def test_files_that_did_not_change_are_known_by_their_content(tmp_path: Path, folder: Path) -> None:
    one, two = written(folder, "a/one.json", {"x": 1}), written(folder, "two.json", [2])
    index = kept(tmp_path, folder, [one, two])
    assert (index.get(name(folder, one)), index.get(name(folder, two)), index.get("three.json")) == (
        {"x": 1},
        [2],
        None,
    )


def test_a_file_that_changed_or_went_is_not_known(tmp_path: Path, folder: Path) -> None:
    one, two, three = (written(folder, f"{name}.json", "old") for name in ("one", "two", "three"))
    index = kept(tmp_path, folder, [one, two, three])
    written(folder, "one.json", "newer")  # another size
    written(folder, "two.json", "new", age=5)  # another time
    three.unlink()
    assert [index.get(name(folder, path)) for path in (one, two, three)] == [None, None, None]


def test_a_file_that_was_changed_just_before_is_read_itself(tmp_path: Path, folder: Path) -> None:
    assert kept(tmp_path, folder, [written(folder, "one.json", 1, age=0)]).get("one.json") is None
    assert kept(tmp_path, folder, [written(folder, "one.json", 1, age=3)]).get("one.json") == 1


@pytest.mark.parametrize(
    "damage",
    [lambda body: b"", lambda body: body[:-5], lambda body: body.replace(b"old", b"own"), lambda body: b"\0\n{}"],
)
def test_a_damaged_index_knows_nothing_and_is_made_anew(tmp_path: Path, folder: Path, damage: object) -> None:
    path = written(folder, "one.json", "old")
    kept(tmp_path, folder, [path])
    place = tmp_path / "index.json"
    place.write_bytes(damage(place.read_bytes()))  # type: ignore[operator]
    assert Index.of(place, folder).get("one.json") is None
    assert kept(tmp_path, folder, [path]).get(name(folder, path)) == "old"


def test_without_room_on_the_disk_there_is_no_index(tmp_path: Path, folder: Path) -> None:
    path = written(folder, "one.json", 1)
    place = tmp_path / "no folder"
    place.write_text("a file")
    index = Index.of(place / "index.json", folder)
    index.put(name(folder, path), file_state(path), 1)
    index.save()
    assert place.read_text() == "a file"
