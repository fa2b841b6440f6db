"""Nobody ever sees half a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from attrib.errors import InputError
from attrib.runtime.files import write_text, writing


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "result.json"
    with writing(path) as part:
        part.write_text("half")
        assert not path.exists()
        assert part.parent == path.parent
        assert part.suffix == ".json"
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")

    def interrupted() -> None:
        with writing(path) as part:
            part.write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_do_not_share_a_part(tmp_path: Path) -> None:
    with writing(tmp_path / "a.txt") as one, writing(tmp_path / "a.txt") as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")
    assert (tmp_path / "a.txt").read_text() == "one"  # the outer one ends last


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    """A file stands where a directory is needed, so that it fails for the superuser too."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.result\.json: cannot be written: ") as caught:
        write_text(tmp_path / "file" / "result.json", "text")
    assert "\n" not in str(caught.value)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "folder", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_text_is_utf8_and_replaces(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "first")
    write_text(tmp_path / "a.txt", "drôle 片")
    assert (tmp_path / "a.txt").read_bytes() == "drôle 片".encode()


def test_a_reader_keeps_the_file_that_it_opened(tmp_path: Path) -> None:
    """The new file takes the old one's name; it is not written into it."""
    write_text(tmp_path / "a.txt", "old")
    with (tmp_path / "a.txt").open() as reader:
        write_text(tmp_path / "a.txt", "new")
        assert reader.read() == "old"
    assert (tmp_path / "a.txt").read_text() == "new"
