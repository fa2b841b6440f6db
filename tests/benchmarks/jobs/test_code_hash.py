"""Which code a cache key depends on: all that can change a number is in it, and wording is not."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from attrib import registry
from attrib.benchmarks.jobs.code_hash import NO_EFFECT, CodeHashes, source_text

FILES = {
    "__init__.py": "",
    "method.py": "from .near import helper\nfrom attrib import Method, registry\nclass Mine:\n    pass\n",
    "near.py": "def helper():\n    from codepack import far\n    return far\n",
    "far.py": "import codepack.farthest\nimport json\n",
    "farthest.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from codepack import typed\nVALUE = 1\n",
    "other.py": "VALUE = 1\n",
    "typed.py": "VALUE = 1\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "codepack"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "codepack"]:
        del sys.modules[name]


@pytest.mark.parametrize("changed", FILES)
def test_a_change_counts_where_the_code_is_imported(package: Path, changed: str) -> None:
    mine = importlib.import_module("codepack.method").Mine
    before = CodeHashes().of(mine)
    assert CodeHashes().of(mine) == before
    with (package / changed).open("a") as file:
        file.write("CHANGED = 2\n")
    assert (CodeHashes().of(mine) != before) == (changed in ("method.py", "near.py", "far.py", "farthest.py"))


BEFORE = """
class Gain:
    step: int = 1

    def of(self, value):
        if value < 0:
            raise ValueError(f"expected a positive value, got {value}")
        return value + self.step
"""


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("\nclass", '\n"""A module."""\n\nclass', False),
        ("    step", '    """A gain."""\n    step', False),
        ("        if", '        """The value and a step more."""\n        if', False),
        ("        return", "        # one step\n        return", False),
        ("(self, value)", "(self, value: float) -> float", False),
        ("expected a positive value, got", "negative:", False),
        ("\nclass", "\nfrom typing import TYPE_CHECKING\nclass", True),
        ("+", "-", True),
        ("= 1", "= 2", True),
        ("step: int", "step: float", True),  # of a field: parameters are validated by it
        ("ValueError", "TypeError", True),
        ("value < 0", "value <= 0", True),
    ],
)
def test_only_what_can_change_a_number_counts(old: str, new: str, counts: bool) -> None:
    assert BEFORE.count(old) == 1
    texts = {"one": BEFORE, "two": BEFORE.replace(old, new)}
    hashes = CodeHashes(texts.get)
    assert (hashes.of_module("one") != hashes.of_module("two")) == counts


@pytest.mark.usefixtures("package")
def test_a_public_name_of_attrib_leads_to_its_home_alone() -> None:
    importlib.import_module("codepack.method")
    modules = CodeHashes().modules("codepack.method")
    assert {"attrib.method", "codepack.farthest"} <= modules
    assert not {"attrib", "attrib.api", "attrib.registry"} & modules


def test_the_code_behind_built_in_methods_and_metrics() -> None:
    """Public names of attrib lead to their homes; adapters and other plug-ins are apart."""
    rollout = CodeHashes().modules(registry.get("methods", "attention_rollout").__module__)
    assert {"attrib.methods.attention_rollout", "attrib.attention.flows", "attrib.method", "attrib.subject"} <= rollout
    mass = CodeHashes().modules(registry.get("metrics", "mass").__module__)
    assert {"attrib.benchmarks.metrics.objects.mass", "attrib.metric", "attrib.annotation_cells"} <= mass
    for apart in ("attrib.cli", "attrib.api", "attrib.methods.grad_cam", "attrib.benchmarks.runner",
                  "attrib.models.families.perception_lm"):  # fmt: skip
        assert apart not in rollout | mass


def hashes(edit: Callable[[str, str], str] = lambda module, text: text) -> dict[str, str]:
    """Hash of every registered method and metric, in a tree where each module's text is edited."""

    def read(module: str) -> str | None:
        text = source_text(module)
        return None if text is None else edit(module, text)

    code = CodeHashes(read)
    return {name: code.of(registry.get(kind, name)) for kind in ("methods", "metrics") for name in registry.names(kind)}


def changed(module: str, old: str, new: str) -> set[str]:
    """Methods and metrics whose hash changes with `old` in a module."""

    def edit(name: str, text: str) -> str:
        if name != module:
            return text
        assert old in text
        return text.replace(old, new, 1)

    before, after = hashes(), hashes(edit)
    return {name for name in before if before[name] != after[name]}


def test_docstrings_and_comments_of_the_whole_tree_change_no_key() -> None:
    def edit(module: str, text: str) -> str:
        return re.sub(r'^( *)"""(?=[A-Z`])', r'\1"""Reworded. ', text, flags=re.MULTILINE) + "# a comment\n"

    assert "Reworded" in edit("attrib.method", source_text("attrib.method") or "")
    assert hashes(edit) == hashes()
    assert len(hashes()) > 50


def test_an_error_text_changes_no_key() -> None:
    assert changed("attrib.errors", "did you mean", "perhaps you meant") == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "old", "new", "users", "others"),
    [
        ("attrib.annotation_cells", " + ", " - ", {"oracle", "object_auc", "mass"}, {"grad_cam", "random"}),
        ("attrib.benchmarks.perturb.cells", " * ", " / ", {"srg", "insertion", "pointing"}, {"oracle", "tam"}),
        ("attrib.attention.flows", " + ", " - ", {"attention_rollout", "legrad"}, {"grad_cam", "mass", "srg", "tam"}),
    ],
)  # fmt: skip
def test_a_changed_operator_changes_the_keys_of_exactly_those_that_use_it(
    module: str, old: str, new: str, users: set[str], others: set[str]
) -> None:
    found = changed(module, old, new)
    assert users <= found
    assert not others & found
    assert found == {name for name, modules in loaded().items() if module in modules}


@cache
def loaded() -> dict[str, list[str]]:
    """Modules of attrib that a fresh Python loads for each method and metric by itself."""
    program = """
import importlib, json, sys
from attrib import registry
homes = {name: registry.get(kind, name).__module__ for kind in ("methods", "metrics") for name in registry.names(kind)}
loaded = {}
for name, home in homes.items():
    for module in [module for module in sys.modules if module.partition(".")[0] == "attrib"]:
        del sys.modules[module]
    importlib.import_module(home)
    loaded[name] = [module for module in sys.modules if module.partition(".")[0] == "attrib"]
print(json.dumps(loaded))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_modules_without_effect_are_there() -> None:
    assert all(source_text(name) for name in NO_EFFECT)


def test_a_class_without_a_file_counts_by_its_own_text() -> None:
    spaces: list[dict[str, object]] = [{"__name__": "typed_in"}, {"__name__": "typed_in"}]
    exec("class One: pass", spaces[0])
    exec("class Two: pass", spaces[1])
    one, two = (CodeHashes().of(space[name]) for space, name in zip(spaces, ("One", "Two"), strict=True))  # type: ignore[arg-type]
    assert one != two
