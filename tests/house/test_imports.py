"""The house: who imports whom, read from the source of every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import attrib

ROOT = Path(__file__).parent.parent.parent
# Rooms from the ground up; a module imports from its own room and from those below. Rooms on one floor do not know
# each other. The longest name that fits a module is its room.
FLOORS = (
    {"attrib.errors"},
    {"attrib.runtime"},
    {"attrib.types"},
    {"attrib.annotation_cells", "attrib.attention_record", "attrib.configs", "attrib.video"},
    {"attrib.render"},
    {"attrib.model"},
    {"attrib.capabilities"},
    {"attrib.subject"},
    {"attrib.method", "attrib.metric", "attrib.imputer"},
    {"attrib.attention", "attrib.inputs", "attrib.propagation", "attrib.registry"},
    {"attrib.config", "attrib.models", "attrib.data"},
    {"attrib.demo", "attrib.explaining", "attrib.settings", "attrib.testing", "attrib.methods",
     "attrib.benchmarks.imputers", "attrib.benchmarks.stats"},
    {"attrib.benchmarks.perturb"},
    {"attrib.benchmarks.metrics"},
    {"attrib.benchmarks.jobs"},
    {"attrib.benchmarks.engines"},
    {"attrib.benchmarks.tables", "attrib.benchmarks.checks"},
    {"attrib.benchmarks.atlas", "attrib.benchmarks.trace"},
    {"attrib.benchmarks.report", "attrib.benchmarks.export"},
    {"attrib.benchmarks"},
    {"attrib.api"},
    {"attrib.app", "attrib.commands.terminal"},
    {"attrib.commands"},
    {"attrib.cli"},
    {"attrib.__main__"},
    {"tools"},
)  # fmt: skip
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
PLUGINS = {"attrib.methods"}  # nobody knows them but by their entry points; experiments may
MODEL_LIBRARIES = {"transformers", "tokenizers", "timm"}
KNOW_MODEL_LIBRARIES = {"attrib.models", "attrib.demo", "tools"}
MOST_MODULES = 15  # in a folder, beside its sub-folders; methods/ has a file for each method
WITHOUT_LIMIT = {"methods"}


def modules() -> dict[str, Path]:
    """Every module's name and file, as installed."""
    found = {}
    for folder in ("attrib", "methods", "benchmarks", "configs", "tools"):
        prefix = "" if folder in ("attrib", "tools") else "attrib."
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = prefix + ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    found.pop("attrib")  # the lazy table of all public names
    return found


MODULES = modules()


def imports(source: str) -> Iterator[tuple[str, str]]:
    """(module, name) of every import, those inside functions and under TYPE_CHECKING too; a public name of attrib, and
    a module imported from its package, count as the module that they come from."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            for alias in node.names:
                home = node.module or ""
                if home == "attrib":
                    home = attrib._HOME_OF.get(alias.name, f"attrib.{alias.name}")
                inner = f"{home}.{alias.name}"
                yield (inner, "") if inner in MODULES else (home, alias.name)


def room(module: str) -> str:
    """The room of a module; raises for one that stands nowhere."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in FLOOR:
            return ".".join(parts[:length])
    raise AssertionError(f"{module}: on which floor does it belong? See FLOORS")


def breaches(module: str, source: str) -> list[str]:
    """List what `module` (attrib.types, attrib.methods.centre, ...) imports and may not."""
    found, mine = [], room(module)
    for home, name in imports(source):
        if home.split(".")[0] in MODEL_LIBRARIES and mine not in KNOW_MODEL_LIBRARIES:
            found.append(f"{home}: only adapters and the built-in world know it")
        if home.split(".")[0] in ("attrib", "tools") and home != "attrib":
            if room(home) != mine and FLOOR[room(home)] >= FLOOR[mine]:
                found.append(home)
            if room(home) in PLUGINS - {mine} and mine != "tools":
                found.append(f"{home}: known by its entry point only")
            if name.startswith("_"):
                found.append(f"{home}.{name}: not public")
    return found


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """The modules of an import cycle; none where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def edges(name: str, source: str) -> set[str]:
    """Modules of this project that a module imports, itself left out."""
    return {home for home, _ in imports(source) if home in MODULES and home != name}


def sources() -> dict[str, str]:
    return {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}


@pytest.mark.parametrize("module", MODULES)
def test_each_module_imports_only_what_lies_below_it(module: str) -> None:
    assert breaches(module, MODULES[module].read_text(encoding="utf-8")) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert cycle({name: edges(name, source) for name, source in sources().items()}) == []


def test_a_circle_would_be_found() -> None:
    """The old circle: the benchmark's plan imported the Python API, which imports the runner, which makes a plan."""
    graph = {name: edges(name, source) for name, source in sources().items()}
    graph["attrib.benchmarks.jobs.plan"].add("attrib.api")
    assert {"attrib.api", "attrib.benchmarks.jobs.plan"} <= set(cycle(graph))


def test_no_folder_is_a_heap() -> None:
    counts = Counter(str(path.parent.relative_to(ROOT)) for path in MODULES.values())
    counts["attrib"] += 1  # its __init__
    heaps = {folder: count for folder, count in counts.items() if count > MOST_MODULES}
    assert {folder: count for folder, count in heaps.items() if folder not in WITHOUT_LIMIT} == {}


def test_one_name_is_one_class() -> None:
    """No two public classes share a name, wherever they are."""
    homes: dict[str, list[str]] = {}
    for module, source in sources().items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("attrib.types.clip", "from attrib.model import TokenGrid"),
        ("attrib.annotation_cells", "from attrib.model import TokenGrid"),
        ("attrib.types.sample", "from attrib import Subject"),
        ("attrib.errors", "import attrib.runtime.files"),
        ("attrib.model", "def f():\n    from attrib.subject import Target"),
        ("attrib.method", "from attrib.metric import Score"),
        ("attrib.registry", "from attrib.methods.centre import Centre"),
        ("attrib.registry", "from attrib import config"),
        ("attrib.config", "from attrib.cli import app"),
        ("attrib.api", "from attrib.commands.options import notes"),
        ("attrib.commands.mine", "from attrib.cli import app"),
        ("attrib.benchmarks.mine", "from attrib.commands.options import notes"),
        ("attrib.benchmarks.jobs.plan", "from attrib import api"),
        ("attrib.benchmarks.stats.mine", "from attrib.benchmarks.tables.matrix import Matrix"),
        ("attrib.benchmarks.jobs.mine", "from attrib.benchmarks import runner"),
        ("attrib.benchmarks.runner", "from tools import centre_bias"),
        ("attrib.video.source", "from attrib.model import TokenGrid"),
        ("attrib.render.panel", "from attrib.subject import Subject"),
        ("attrib.models.families.perception_lm", "from attrib.methods.centre import Centre"),
        ("attrib.testing", "from attrib.methods.uniform import Uniform"),
        ("attrib.methods.mine", "from attrib.benchmarks.perturb.cells import cell_values"),
        ("attrib.methods.mine", "from attrib.method import _checked"),
        ("attrib.methods.mine", "from transformers import AutoModel"),
        ("attrib.benchmarks.metrics.mine", "if TYPE_CHECKING:\n    from attrib.methods.centre import Centre"),
        ("attrib.benchmarks.runner", "import transformers"),
    ],
)
def test_a_breach_would_be_found(module: str, source: str) -> None:
    assert breaches(module, source)


@pytest.mark.parametrize("command", ["import attrib", "from attrib import cli, registry; registry.names('methods')",
                                     "import runpy; sys.argv = ['attrib', '--help']; runpy.run_module('attrib')"],
                         ids=["import", "names", "help"])  # fmt: skip
def test_torch_is_loaded_only_when_it_is_needed(command: str) -> None:
    report = "print('LOADED', [m for m in ('torch', 'transformers', 'captum', 'cv2', 'pandas') if m in sys.modules])"
    program = f"import sys, atexit\natexit.register(lambda: {report})\n{command}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "LOADED []" in done.stdout
