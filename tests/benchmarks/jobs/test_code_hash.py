"""Which code a key rests on: what is imported counts, at any distance, and nothing else does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from attrib import registry
from attrib.benchmarks.jobs.code_hash import CodeHashes

FILES = {
    "__init__.py": "",
    "method.py": "from .near import helper\nfrom attrib import Method, config\nclass Mine:\n    pass\n",
    "near.py": "def helper():\n    from codepack import far\n    return far\n",
    "far.py": "import codepack.farthest\nimport json\n",
    "farthest.py": "VALUE = 1\n",
    "other.py": "VALUE = 1\n",
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
        file.write("# changed\n")
    assert (CodeHashes().of(mine) != before) == (changed not in ("other.py", "__init__.py"))


def modules(sources: CodeHashes, name: str) -> set[str]:
    """All modules that count for one, through what each of them imports."""
    found: set[str] = set()
    todo = [name]
    while todo:
        module = todo.pop()
        if module not in found and sources._module(module)[0]:
            found.add(module)
            todo += sources._module(module)[1]
    return found


@pytest.mark.usefixtures("package")
def test_a_public_name_of_attrib_leads_to_its_home_alone() -> None:
    importlib.import_module("codepack.method")
    found = modules(CodeHashes(), "codepack.method")
    assert {"attrib.method", "attrib.config", "codepack.farthest"} <= found
    assert not {"attrib", "attrib.api"} & found


def test_the_code_behind_built_in_methods_and_metrics() -> None:
    """Public names of attrib lead to their homes; adapters and other plug-ins are apart."""
    rollout = modules(CodeHashes(), registry.get("methods", "attention_rollout").__module__)
    assert {"attrib.methods.attention_rollout", "attrib.attention.flows", "attrib.method", "attrib.subject"} <= rollout
    mass = modules(CodeHashes(), registry.get("metrics", "mass").__module__)
    assert {"attrib.benchmarks.metrics.objects.mass", "attrib.metric", "attrib.annotation_cells"} <= mass
    for apart in ("attrib.cli", "attrib.api", "attrib.methods.grad_cam", "attrib.benchmarks.runner",
                  "attrib.models.perception_lm"):  # fmt: skip
        assert apart not in rollout | mass


def test_a_class_without_a_file_counts_by_its_own_text() -> None:
    spaces: list[dict[str, object]] = [{"__name__": "typed_in"}, {"__name__": "typed_in"}]
    exec("class One: pass", spaces[0])
    exec("class Two: pass", spaces[1])
    one, two = (CodeHashes().of(space[name]) for space, name in zip(spaces, ("One", "Two"), strict=True))  # type: ignore[arg-type]
    assert one != two
