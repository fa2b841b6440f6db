"""The streamed reader against the standard library's, with chunks so small that every value crosses their edges."""

from __future__ import annotations

import json
from pathlib import Path

import ijson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrib.data import stream
from attrib.errors import InputError

INTEGERS = st.integers(-(2**62), 2**62)  # larger ones are refused, and meant nowhere
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
FILES = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=[1, 7, stream.CHUNK])
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
AMBIGUOUS = {
    '{"a": 1, "b": 2, "a": 3}': "not valid JSON: key 'a' is given twice",
    '{"x": {"a": 1, "a": 2}}': "not valid JSON: key 'a' is given twice",
    '{"a": NaN}': "not valid JSON: lexical error",
    "[1]": "expected a JSON object, got '[1]'",
    '"{}"': "expected a JSON object, got '\"{}\"'",
    '{"a": ' + "[" * 100_000: "not valid JSON: nested too deeply",
}


@pytest.mark.parametrize("text", BROKEN)
def test_what_the_standard_library_refuses_is_refused_in_one_line(chunk: int, tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    with pytest.raises(InputError, match=r"a\.json: (not valid JSON|expected a JSON object)") as refusal:
        list(stream.entries(path))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", AMBIGUOUS, ids=range(len(AMBIGUOUS)))
def test_what_is_ambiguous_or_hostile_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError) as refusal:
        list(stream.entries(tmp_path / "a.json"))
    assert str(refusal.value).startswith(f"{tmp_path / 'a.json'}: {AMBIGUOUS[text]}")


def test_what_comes_before_a_fault_is_given(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1], "b": {"c": 2}, "d": [')
    found = stream.entries(tmp_path / "a.json")
    assert [next(found), next(found)] == [("a", [1]), ("b", {"c": 2})]
    with pytest.raises(InputError, match="not valid JSON: parse error: premature EOF"):
        next(found)


def test_little_more_than_an_entry_is_read(tmp_path: Path) -> None:
    """The first entry comes before the rest of the file is read."""
    (tmp_path / "a.json").write_text(json.dumps({str(k): list(range(50)) for k in range(500)}))
    size = (tmp_path / "a.json").stat().st_size
    with (tmp_path / "a.json").open("rb") as file:
        counted = stream._Shallow(file)
        next(iter(ijson.kvitems(counted, "", buf_size=stream.CHUNK)))
        assert file.tell() <= 2 * stream.CHUNK < size / 40


def test_bytes_that_are_no_text_and_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(InputError, match="not valid JSON: lexical error: invalid bytes in UTF8 string"):
        list(stream.entries(tmp_path / "a.json"))
    with pytest.raises(InputError, match="cannot be read: No such file"):
        list(stream.entries(tmp_path / "b.json"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_no_fault(chunk: int, tmp_path: Path, encoding: str) -> None:
    found = {"a": {"label": "é 杯 🤔", "boxes": [0.5, 1]}, "b": "x" * 3000, "c": None}
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps(found, ensure_ascii=False).encode(encoding))
    assert list(stream.entries(path)) == list(found.items())


@pytest.mark.parametrize(
    "content", [b"\xff\xfe{\x00", "{}".encode("utf-16-le"), b"\xef\xbb\xbf[1]", b"\xfe\xff\xd8\x00"]
)
def test_other_encodings_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(stream.entries(path))
    assert str(caught.value).startswith(str(path)) and "\ufeff" not in str(caught.value)
