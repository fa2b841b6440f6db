"""The streamed reader against the standard library's, with windows so small that every value crosses their edges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrib.data import stream
from attrib.errors import InputError
from attrib.runtime.parsing import read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
FILES = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=[1, 2, 7, 2**20])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(stream, "CHUNK", request.param)
    return int(request.param)


@FILES
@given(
    found=st.dictionaries(st.text(max_size=6), VALUES, max_size=5),
    ascii=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_all_entries_in_order(
    chunk: int, tmp_path: Path, found: dict[str, object], ascii: bool, indent: int | None
) -> None:
    path = tmp_path / "a.json"
    text = json.dumps(found, ensure_ascii=ascii, indent=indent).encode(errors="surrogatepass")
    try:
        text.decode()
    except UnicodeDecodeError:  # halves of surrogate pairs are no text
        return
    path.write_bytes(text)
    assert list(stream.entries(path)) == list(found.items())


BROKEN = [
    "", " ", "{", '{"a"', '{"a":', '{"a": 1', '{"a": 1 2}', '{"a": [1, 2', '{"a": tru', '{"a": "x', '{"a": "\\u12"}',
    '{a: 1}', '{"a": 1}}', '{"a": 1} {"b": 2}', '{"a": {"b": 01}}', '{\n "a": 1,\n "b": [1,\n  x]}', '{"a": 1.}',
    '{"a": -}', '{"a" 1}', '{"long": "' + "y" * 60 + '", "b": [1, 2 3]}', '{"a": "\t"}', '{"a": 12', '{"a": nul}',
    '{"a": 1x}', '{"a": 1.5e}',
]  # fmt: skip
AMBIGUOUS = [
    '{"a": 1, "b": 2, "a": 3}', '{"x": {"a": 1, "a": 2}}', '{"a": NaN}', "[1]", "3", '"{}"', '{"a": ' + "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", [*BROKEN, *AMBIGUOUS])
def test_faults_are_told_in_the_same_words_and_at_the_same_place(chunk: int, tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError) as expected:
        read_json(path)
    with pytest.raises(InputError) as found:
        list(stream.entries(path))
    assert str(found.value) == str(expected.value)


def test_what_comes_before_a_fault_is_given(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1], "b": {"c": 2}, "d": [')
    found = stream.entries(tmp_path / "a.json")
    assert [next(found), next(found)] == [("a", [1]), ("b", {"c": 2})]
    with pytest.raises(InputError, match="not valid JSON: Expecting value"):
        next(found)


def test_little_more_than_an_entry_is_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stream, "CHUNK", 100)
    held: list[int] = []
    more = stream._Window._more
    monkeypatch.setattr(stream._Window, "_more", lambda self: (more(self), held.append(len(self._text)))[0])
    (tmp_path / "a.json").write_text(json.dumps({str(k): list(range(50)) for k in range(500)}))
    assert len(list(stream.entries(tmp_path / "a.json"))) == 500
    assert max(held) < 1000 < (tmp_path / "a.json").stat().st_size / 50  # an entry has 198 characters


def test_bytes_that_are_no_text_and_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(InputError, match="cannot be read: not a text file"):
        list(stream.entries(tmp_path / "a.json"))
    with pytest.raises(InputError, match="cannot be read: No such file"):
        list(stream.entries(tmp_path / "b.json"))
