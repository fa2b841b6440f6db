"""YAML that is broken, ambiguous or meant to harm: one short line with its place; texts made safe to print."""

from __future__ import annotations

from pathlib import Path

import pytest

from attrib import config
from attrib.errors import AttribError, ConfigError, InputError, UnknownName, one_line, shown
from attrib.runtime.parsing import DEEPEST, MOST_CHARACTERS, MOST_VALUES, parse_yaml, read_json
from attrib.types import Evidence, Question

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "f, line 1, column 6: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\nb: c: d", "f, line 2, column 5: not valid YAML: mapping values are not allowed here"),
        ("a:\n\tb: 1", "f, line 2, column 1: not valid YAML: found character '\\t' that cannot start any token"),
        ("a: *b", "f, line 1, column 4: not valid YAML: found undefined alias 'b'"),
        ("a: 1\na: 2", "f, line 2, column 1: not valid YAML: key 'a' is given twice"),
        ("a: &a [*a]", "f, line 1, column 4: not valid YAML: a value that holds itself"),
        ("b: 1\na: 2020-13-45", "f, line 2, column 4: not valid YAML: not a valid timestamp: '2020-13-45'"),
        ("a: !!bool x", "f, line 1, column 4: not valid YAML: not a valid bool: 'x'"),
        ("a: !!int ''", "f, line 1, column 4: not valid YAML: not a valid int: ''"),
        ("a: 9223372036854775808", "f, line 1, column 4: not valid YAML: not a valid int: '9223372036854775808'"),
        ('a: "\\e[31m"', "f, line 1, column 4: not valid YAML: character '\\x1b' is not allowed"),
        ("a: 1\nb: \x1b", "f, line 2: not valid YAML: character '\\x1b' is not allowed"),
        ("[" * 1500, "f: not valid YAML: nested too deeply"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor for the tag"),
        (BOMB, "not valid YAML: more than 20000 values"),
        (BOMB.replace("[", "[{<<: [").replace("]", "]}]").replace("x", "{x: 1}"), "more than 20000 values"),
        ("a" * (MOST_CHARACTERS + 1), "expected at most 262144 characters"),
    ],
)
def test_bad_yaml_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "f")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 200


def test_what_is_allowed_stays_allowed() -> None:
    assert parse_yaml("a: &x {b: 1, c: [.nan, 9223372036854775807]}\nd: {<<: *x, b: 2}\n'a ': 1", "f")["d"]["b"] == 2
    assert parse_yaml("", "f") is None
    assert parse_yaml("[" * DEEPEST + "]" * DEEPEST, "f")
    with pytest.raises(ConfigError, match=f"more than {DEEPEST} levels"):
        parse_yaml("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "f")
    aliases = "[" + ", ".join(["*a"] * 99) + "]"  # 99 times 101 values, the 101 themselves, two keys and two lists
    assert parse_yaml(f"a: &a [{', '.join('1' * 100)}]\nb: {aliases}", "f")
    assert MOST_VALUES < 200 * 101
    with pytest.raises(ConfigError, match="more than 20000 values"):
        parse_yaml(f"a: &a [{', '.join('1' * 100)}]\nb: {aliases.replace(']', ', ')}{aliases[1:]}", "f")


def test_messages_are_one_line_and_safe_to_print() -> None:
    error = InputError("a\nb\x1b[31m \u202ec \ud800\x00 d")
    assert str(error) == "a b\\x1b[31m \\u202ec \\ud800\\x00 d"
    assert isinstance(error, AttribError)
    long = str(InputError("start " + "x" * 9000 + " end"))
    assert long.startswith("start xxx") and long.endswith("xxx end") and len(long) <= 600
    assert one_line("x" * 600) == "x" * 600
    assert "\x1b" not in str(UnknownName("method", "\x1b[31m", ["centre"]))


def test_values_are_quoted_briefly() -> None:
    assert shown([[[[1]]]]) == "[[[...]]]"
    assert len(shown({str(k): "x" * 500 for k in range(500)})) < 500
    assert shown(10**5000) == "an unreadable int"
    assert shown("red") == "'red'"


@pytest.mark.parametrize(("text", "option"), [("W\x1bhy?", "a"), ("Why?", "a\ud800"), ("Why?", "\u2028")])
def test_questions_are_text(text: str, option: str) -> None:
    with pytest.raises(InputError, match="is not allowed"):
        Question(text, (option, "b"))
    assert Question("Why?\n\tWhy, é, 漢?", ("a", "b"))


def test_evidence_lasts() -> None:
    with pytest.raises(InputError, match=r"evidence of track 3: \[1.0, 1.0\) s is empty"):
        Evidence(3, 1.0, 1.0)


def test_null_is_a_name_where_a_name_stands() -> None:
    """Of a parameter, as in `{method: attention_rollout, null: divided}`."""
    assert parse_yaml("{null: divided, b: null, c: ~}", "f") == {"null": "divided", "b": None, "c": None}
    with pytest.raises(ConfigError, match="key 'null' is given twice"):
        parse_yaml("null: 1\n'null': 2", "f")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_files_may_start_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "cuts.json").write_bytes('{"vidéo_1": 60}'.encode(encoding))
    assert read_json(tmp_path / "cuts.json") == {"vidéo_1": 60}
    (tmp_path / "c.yaml").write_bytes("data: {name: demo}\nseed: 3\n".encode(encoding))
    assert config.read(tmp_path / "c.yaml") == {"data": {"name": "demo"}, "seed": 3}
