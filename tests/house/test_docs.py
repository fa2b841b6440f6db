"""README, CONTRIBUTING and docs/ name modules, commands, options, files and pages that exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from typer import TyperException
from typer.core import TyperGroup

from attrib import registry
from attrib.cli import app
from attrib.models import BUILT_IN
from tools.readme_table import ROWS, with_rows

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
GENERATED = {f"{kind}/{name}.md" for kind in registry.KINDS for name in registry.names(kind)}  # pages of the site
SHELL = {"&", "&&", "|", ">", ";"}  # words that end a command
COMMANDS = typer.main.get_command(app)


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def is_there(name: str) -> bool:
    """Return whether `attrib.x.y` is a module, or a name in one."""
    home, _, last = name.rpartition(".")
    if is_module(name):
        return True
    return is_module(home) and hasattr(importlib.import_module(home), last)


def modules(text: str) -> set[str]:
    run = set(re.findall(r"python -m ((?:attrib|tools)[\w.]*\w)", text))
    named = set(re.findall(r"`((?:attrib|tools)(?:\.\w+)+)[`(]", text))
    imported = {f"{home}.{name}" for home, names in re.findall(r"from (attrib[\w.]*) import ([\w, ]+)", text)
                for name in re.split(r",\s*", names.strip())}  # fmt: skip
    return run | {name for name in named if name.removeprefix("attrib.") not in registry.KINDS} | imported


def calls(text: str) -> Iterator[list[str]]:
    """The words of each `attrib ...` in the text: whole lines of code blocks, and code spans."""
    yield from blocks(text)
    yield from words_of(re.findall(r"`(attrib [^`]+)`", text))


def blocks(text: str) -> Iterator[list[str]]:
    """The words of each line of the code blocks that calls attrib."""
    found = re.findall(r"```sh\n(.*?)```", text, re.DOTALL) + re.findall(r"(?m)^    (attrib .*)$", text)
    yield from words_of([line for block in found for line in block.replace("\\\n", " ").splitlines()])


def words_of(lines: list[str]) -> Iterator[list[str]]:
    for line in lines:
        words = shlex.split(line, comments=True)
        end = next((index for index, word in enumerate(words) if word in SHELL), len(words))
        if words[:1] == ["attrib"]:
            yield words[1:end]


def refused(words: list[str]) -> str:
    """Message of the command line's own parser for these words; empty where it takes them. Runs nothing."""
    command: Any = COMMANDS
    name, context, rest = "attrib", None, list(words)
    while isinstance(command, TyperGroup):
        context = command.make_context(name, rest, parent=context)
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    try:
        command.make_context(name, rest, parent=context)
    except TyperException as error:
        return str(error)
    return ""


def wrong(words: list[str]) -> str:
    """The first word that the command line does not know; empty where it knows all."""
    command: Any = COMMANDS
    rest = list(words)
    while isinstance(command, TyperGroup) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in command.commands:
            return name
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts}
    given = [word.partition("=")[0] for word in rest if re.match(r"--?[a-zA-Z]", word)]
    return next((word for word in given if word not in known | {"--help"}), "")


@pytest.mark.parametrize("page", TEXTS)
def test_modules_and_names_exist(page: str) -> None:
    assert [name for name in sorted(modules(TEXTS[page])) if not is_there(name)] == []


@pytest.mark.parametrize("page", TEXTS)
def test_commands_and_options_exist(page: str) -> None:
    assert [" ".join(words) for words in calls(TEXTS[page]) if wrong(words)] == []


@pytest.mark.parametrize("page", TEXTS)
def test_commands_of_blocks_are_taken_by_the_parser(page: str) -> None:
    """Whole lines of code blocks: their options have values of the right kind, and nothing is lacking."""
    lines = [words for words in blocks(TEXTS[page]) if "..." not in words]
    assert [(" ".join(words), refused(words)) for words in lines if refused(words)] == []


@pytest.mark.parametrize("page", TEXTS)
def test_links_and_paths_lead_somewhere(page: str) -> None:
    text, folder = TEXTS[page], (ROOT / page).parent
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    paths = re.findall(r"`((?:attrib|benchmarks|methods|configs|tests|tools|docs)/[\w./-]*)`", text)
    missing = [link for link in links if link and not (folder / link).exists() and link not in GENERATED]
    assert missing + [path for path in paths if "gradient_times_input" not in path and not (ROOT / path).exists()] == []


def test_the_table_of_models_lists_every_family() -> None:
    rows = re.findall(r"^\| (`.+?`) \|", TEXTS["docs/models.md"].split("## ")[0], re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row) if name != "model_type"]
    assert sorted(listed) == sorted(set(registry.names("models")) - set(BUILT_IN))


def test_a_wrong_name_would_be_noticed() -> None:
    assert modules("run `python -m attrib.benchmarks.speed` and `attrib.nowhere.Thing`") == {
        "attrib.benchmarks.speed", "attrib.nowhere.Thing"}  # fmt: skip
    assert not is_there("attrib.benchmarks.speed")
    assert not is_there("attrib.registry.nmes")
    assert is_there("attrib.registry.names")
    assert wrong(["explain", "v.mp4", "--methd", "x"]) == "--methd"
    assert wrong(["expalin"]) == "expalin"
    assert wrong(["explain", "v.mp4", "-q", "Q", "--set=model.frames=4"]) == ""
    assert [*calls("```sh\nattrib list   # all\n```\n`attrib explain V -q 'a b'`")] == [
        ["list"], ["explain", "V", "-q", "a b"]]  # fmt: skip
    assert [*blocks("```sh\nattrib check M --json > out.json\n```")] == [["check", "M", "--json"]]
    assert refused(["explain", "v.mp4", "-q", "Q", "-O", "out", "--frames", "4"]) == ""
    assert "integer" in refused(["explain", "v.mp4", "-q", "Q", "-O", "out", "--frames", "four"])
    assert refused(["explain", "v.mp4", "-q", "Q"]) != ""  # no -O
    assert refused(["data", "tasks", "DIR"]) == "" and refused(["data", "tasks"]) != ""


def test_the_readme_is_short_and_has_the_rows_of_the_results() -> None:
    """`python -m tools.readme_table` writes them."""
    assert len(TEXTS["README.md"].encode()) <= 8000
    assert f"each of {len(registry.names('methods'))} attribution methods and controls" in TEXTS["README.md"].replace(
        "\n", " "
    )
    assert with_rows(TEXTS["README.md"], TEXTS["docs/results.md"]) == TEXTS["README.md"]
    assert len(re.findall(r"^\| `", TEXTS["README.md"], re.MULTILINE)) == len(ROWS) == 10


def test_the_citation_names_this_version() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert found["version"] == version("attrib")
    assert {"cff-version", "message", "title", "authors", "license", "type"} <= set(found)
