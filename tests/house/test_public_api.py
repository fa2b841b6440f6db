"""The public names: sorted, there, documented, and nothing else by accident."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import pytest

import attrib


def test_the_names_are_sorted_and_each_once() -> None:
    assert list(attrib.__all__) == sorted(set(attrib.__all__))


def test_the_names_and_their_homes_agree() -> None:
    assert set(attrib._HOME_OF) == set(attrib.__all__)


@pytest.mark.parametrize("name", attrib.__all__)
def test_each_name_is_there_and_says_what_it_is(name: str) -> None:
    item = getattr(attrib, name)
    assert item.__name__ == attrib._RENAMED.get(name, name)
    assert item.__module__ == attrib._HOME_OF[name]
    assert len(inspect.getdoc(item) or "") > 20
    generated = f"{item.__name__}("  # what dataclass writes when there is no docstring
    assert not (inspect.getdoc(item) or "").startswith(generated)


@pytest.mark.parametrize("name", [name for name in attrib.__all__ if inspect.isclass(getattr(attrib, name))])
def test_public_methods_are_documented(name: str) -> None:
    cls = getattr(attrib, name)
    public = [member for member in vars(cls) if not member.startswith("_") and callable(getattr(cls, member))]
    assert [member for member in public if not inspect.getdoc(getattr(cls, member))] == []


def test_type_checkers_and_the_running_program_get_the_same_names() -> None:
    """The names imported under TYPE_CHECKING are the table's, each from its home or from the package around that."""
    (block,) = [
        node
        for node in ast.parse(inspect.getsource(attrib)).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    imported = {
        alias.asname or alias.name: str(statement.module)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert set(imported) == set(attrib._HOME_OF)
    assert [name for name, home in imported.items() if not attrib._HOME_OF[name].startswith(home)] == []


@pytest.fixture(scope="module")
def missing() -> list[str]:
    """Public names that completion lacks before they are loaded, if `Method` is loaded, what a star import lacks."""
    program = (
        "import attrib; print(sorted(set(attrib.__all__) - set(dir(attrib)))); print('Method' in vars(attrib))\n"
        "from attrib import *; print(sorted(set(attrib.__all__) - set(dir())))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_completion_lists_them_before_they_are_loaded(missing: list[str]) -> None:
    assert missing[:2] == ["[]", "False"]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'attrib' has no attribute 'Methd'"):
        attrib.Methd  # noqa: B018


def test_a_star_import_brings_exactly_them(missing: list[str]) -> None:
    assert missing[2:] == ["[]"]
