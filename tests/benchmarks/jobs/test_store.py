"""Kept parts: computed once, whole or not there, and a log of what was computed."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from attrib.benchmarks.jobs.store import Record, Store
from attrib.errors import InputError, NotWritten

NAME = ("scores", "video_0", "grad_cam")


def fails() -> int:
    raise ValueError("no\nluck")


def test_a_part_is_computed_once_for_each_key(tmp_path: Path) -> None:
    parts, made = Store(tmp_path), iter("abc")
    first = parts.get_or_compute(NAME, "k1", lambda: {"letters": (next(made), None)})
    assert first.value == {"letters": ["a", None]}  # as JSON has it, also when it is new
    assert parts.get_or_compute(NAME, "k1", lambda: next(made)) == first
    assert Store(tmp_path).get_or_compute(NAME, "k1", lambda: next(made)) == first
    assert parts.get_or_compute(NAME, "k2", lambda: next(made)).value == "b"
    assert parts.get_or_compute(NAME, "k1", lambda: next(made)).value == "c"
    assert [(line["item"], line["key"]) for line in parts.logged()] == [
        ("scores/video_0/grad_cam", key) for key in ("k1", "k2", "k1")
    ]


def test_a_failure_is_kept_with_its_input_until_it_is_to_be_tried_again(tmp_path: Path) -> None:
    parts = Store(tmp_path)
    failed = parts.get_or_compute(NAME, "k", fails, {"video": "a.mp4"})
    assert failed.error.startswith("ValueError: no luck (test_store.py:")
    assert (failed.value, failed.given) == (None, {"video": "a.mp4"})
    assert parts.get_or_compute(NAME, "k", lambda: 1) == failed
    assert parts.get_or_compute(NAME, "other", lambda: 1).value == 1
    parts.get_or_compute(NAME, "k", fails)
    again = Store(tmp_path, retry_failed=True)
    assert again.get_or_compute(NAME, "k", lambda: 2).value == 2
    assert again.get_or_compute(NAME, "k", lambda: 3).value == 2
    assert [line["failed"] for line in parts.logged()] == [True, False, True, False]


def test_what_json_cannot_hold_is_a_failure(tmp_path: Path) -> None:
    assert "not JSON compliant" in Store(tmp_path).get_or_compute(NAME, "k", lambda: float("nan")).error


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2], lambda text: "", lambda text: "[]", lambda text: "\0" * 100,
        lambda text: text.replace("0.125", "0.126"), lambda text: text.replace('"error": ""', '"error": "x"'),
        lambda text: json.dumps(json.loads(text)["record"]),
    ],
)  # fmt: skip
def test_a_damaged_part_is_noticed_told_and_made_again(tmp_path: Path, damage: object) -> None:
    parts = Store(tmp_path)
    parts.get_or_compute(NAME, "k", lambda: 0.125)
    path = parts.path(NAME)
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    with pytest.raises(InputError, match="expected a record of a run"):
        parts.read(NAME)
    assert parts.peek(NAME, "k") is None
    assert parts.get_or_compute(NAME, "k", lambda: 0.25).value == 0.25
    assert parts.get_or_compute(NAME, "k", lambda: 0.5).value == 0.25
    assert [line["damaged"] for line in parts.logged()] == ["", str(path)]


def kept(folder: Path, name: tuple[str, ...], key: str = "k", save: bool = True) -> Any | None:
    """Value of a record by a new process's store, through its index."""
    with Store(folder).indexed(save) as store:
        record = store.peek(name, key)
    return record and record.value


@pytest.fixture
def indexed(tmp_path: Path) -> Path:
    """Store of two scores of a sample, written long ago, with their index."""
    for number, method in enumerate(("grad_cam", "random")):
        Store(tmp_path).get_or_compute(("scores", "video_0", method), "k", lambda number=number: {"number": number})
        path = Store(tmp_path).path(("scores", "video_0", method))
        os.utime(path, ns=(path.stat().st_mtime_ns - 10**10,) * 2)
    for method in ("grad_cam", "random"):
        kept(tmp_path, ("scores", "video_0", method))
    return tmp_path


def test_records_are_read_from_the_index_without_opening_them(indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text
    opened: list[Path] = []
    monkeypatch.setattr(Path, "read_text", lambda path, **given: opened.append(path) or read(path, **given))
    assert [kept(indexed, ("scores", "video_0", name)) for name in ("grad_cam", "random")] == [
        {"number": 0}, {"number": 1}
    ]  # fmt: skip
    assert kept(indexed, NAME, "another key") is None
    assert not [path for path in opened if path.parts[-3:-1] == ("scores", "video_0")]


@pytest.mark.parametrize("loss", ["lost", "damaged", "cut short", "part of a write"])
def test_whatever_happens_to_the_index_the_records_are_the_same(indexed: Path, loss: str) -> None:
    place = indexed / "index" / "scores" / "video_0.json"
    whole = place.read_bytes()
    if loss == "lost":
        place.unlink()
    elif loss == "part of a write":  # killed before it was renamed
        place.with_name(".video_0.0123abcd.part.json").write_bytes(whole[:50])
    else:
        place.write_bytes(whole.replace(b'"number": 0', b'"number": 7') if loss == "damaged" else whole[:-9])
    assert kept(indexed, ("scores", "video_0", "grad_cam"), save=False) == {"number": 0}
    assert kept(indexed, ("scores", "video_0", "grad_cam")) == {"number": 0}
    assert len(place.read_bytes()) >= len(whole) // 2, "it is made anew"


def test_a_record_that_is_removed_or_changed_behind_the_index_counts_as_it_is(indexed: Path) -> None:
    store = Store(indexed)
    store.path(NAME).unlink()
    assert kept(indexed, NAME) is None
    store.get_or_compute(NAME, "new", lambda: {"number": 5})
    assert (kept(indexed, NAME), kept(indexed, NAME, "new")) == (None, {"number": 5})
    path = store.path(("scores", "video_0", "random"))
    path.write_text(path.read_text()[:40])
    assert kept(indexed, ("scores", "video_0", "random")) is None
    with store.indexed() as there, pytest.raises(InputError, match="expected a record of a run"):
        there.read(("scores", "video_0", "random"))


def test_a_record_that_is_computed_within_the_index_is_in_it_at_once(indexed: Path) -> None:
    with Store(indexed).indexed() as store:
        assert store.get_or_compute(NAME, "other", lambda: {"number": 9}).value == {"number": 9}
        assert store.peek(NAME, "other") == store.read(NAME)
    assert kept(indexed, NAME, "other") == {"number": 9}
    assert kept(indexed, ("scores", "video_0", "random")) == {"number": 1}


def test_names_do_not_mix(tmp_path: Path) -> None:
    names = [("a", "b"), ("a/b",), ("a.b",), ("a.c",), ("a", "b.json"), ("",), (".",), ("a" * 400,), ("a" * 401,)]
    for number, name in enumerate(names):
        Store(tmp_path).get_or_compute(name, "k", lambda number=number: number)
    assert [Store(tmp_path).get_or_compute(name, "k", lambda: None).value for name in names] == list(range(len(names)))


def test_a_log_line_that_was_cut_short_costs_no_other(tmp_path: Path) -> None:
    parts = Store(tmp_path)
    parts.mend_log()
    assert not list(parts.logged())
    assert not (tmp_path / "log.jsonl").exists()
    parts.get_or_compute(("one",), "k", lambda: 1)
    size = parts.log_size()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"item": "two", "ke')
    parts.mend_log()
    parts.mend_log()
    parts.get_or_compute(("three",), "k", lambda: 1)
    assert [line["item"] for line in parts.logged()] == ["one", "three"]
    assert [line["item"] for line in parts.logged_here(size)] == ["three"]
    assert (tmp_path / "log.jsonl").read_bytes().count(b"\n") == 3


def on_a_full_disk(folder: Path) -> None:
    import resource

    parts = Store(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    with pytest.raises(NotWritten, match=r"big\.json: cannot be written: File too large"):
        parts.get_or_compute(("big",), "k", lambda: "x" * 5000)
    with pytest.raises(NotWritten):
        parts.get_or_compute(("within",), "k", lambda: parts.write(("inner",), Record("k", "x" * 5000)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    with pytest.raises(NotWritten, match=r"log\.jsonl: cannot be written"):
        parts._log({})


def test_a_full_disk_is_no_failure_of_the_part_and_leaves_nothing_half(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the writer meets the same error in the middle of a file."""
    pytest.importorskip("resource", reason="this platform has no limits of a file's size")
    process = multiprocessing.get_context("fork").Process(target=on_a_full_disk, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert not list(tmp_path.rglob("*.json")) and not list(tmp_path.rglob("*.part*"))
    assert Store(tmp_path).get_or_compute(("big",), "k", lambda: 1).value == 1
