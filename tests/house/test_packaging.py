"""Version, bounds and help: what a package says of itself."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from attrib.cli import app

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_the_version_has_one_source(attrib: Run, setup: configparser.ConfigParser) -> None:
    from attrib import __version__

    assert setup["metadata"]["version"] == "attr: attrib.__version__"
    assert attrib("--version") == (0, f"attrib {__version__}\n", "")
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def bounds(text: str) -> dict[str, Version]:
    found = {}
    for line in text.strip().splitlines():
        requirement = Requirement(line)
        (bound,) = requirement.specifier
        assert bound.operator == ">=", line
        found[requirement.name.lower()] = Version(bound.version)
    return found


def test_installing_replaces_nobody_s_torch(setup: configparser.ConfigParser) -> None:
    """The bounds that would upgrade what people have stay about two years back; `make test-lowest` tests them."""
    known = bounds(setup["options"]["install_requires"])
    most = {"torch": "2.6", "torchvision": "0.21", "numpy": "1.26", "pandas": "2.2", "scipy": "1.15", "pydantic": "2.7",
            "matplotlib": "3.9", "scikit-learn": "1.5", "pyarrow": "16", "rich": "13", "typer": "0.12"}  # fmt: skip
    assert {name: known[name] for name in most if known[name] > Version(most[name])} == {}


def test_the_oldest_test_tools_fit_the_oldest_dependencies(setup: configparser.ConfigParser) -> None:
    extras = setup["options.extras_require"]
    lowest, dev = bounds(extras["lowest"]), bounds(extras["dev"])
    assert set(lowest) <= set(dev), "what `make test-lowest` needs is a part of what `make test` needs"
    assert [name for name in lowest if lowest[name] > dev[name]] == []


def test_commands_stand_in_panels(attrib: Run) -> None:
    commands = typer.main.get_command(app).commands
    panels = {name: command.rich_help_panel for name, command in commands.items()}
    assert {name for name, panel in panels.items() if not panel} == set()
    assert [name for name, panel in panels.items() if panel == "Compare methods"] == ["bench", "compare", "atlas"]
    code, out, _ = attrib("--help")
    assert code == 0
    places = [out.index(panel) for panel in dict.fromkeys(panels.values())]
    assert places == sorted(places) and len(places) == 4


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_the_commands(attrib: Run, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"COMP_WORDS": "attrib be", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "attrib be",
             "_TYPER_COMPLETE_FISH_ACTION": "get-args", "_ATTRIB_COMPLETE": f"complete_{shell}"}  # fmt: skip
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    code, out, _ = attrib()
    assert code == 0 and "bench" in out and "explain" not in out
