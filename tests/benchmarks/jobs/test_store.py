"""Kept parts: computed once, whole or not there, and a log of what was computed."""

from __future__ import annotations

import json
import multiprocessing
import resource
from pathlib import Path

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
    process = multiprocessing.get_context("fork").Process(target=on_a_full_disk, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert not list(tmp_path.rglob("*.json")) and not list(tmp_path.rglob("*.part*"))
    assert Store(tmp_path).get_or_compute(("big",), "k", lambda: 1).value == 1
