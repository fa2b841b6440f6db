"""DESIGN's "who may import whom", read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import attrib

ROOT = Path(__file__).parent.parent.parent
LEVELS = (
    {"errors"}, {"files", "reply", "untrusted", "batching"}, {"types"}, {"attention_record"},
    {"model", "cover", "attention_descent"}, {"subject"}, {"method", "metric", "attention", "quadrature"},
    {"registry", "space", "attention_method", "attention_statistics"}, {"config", "removal", "testing"},
    {"explanation"}, {"api"},
    {"app"}, {"commands"}, {"cli"}, {"__main__"},
)  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
VALUES = {"errors", "files", "reply", "types", "untrusted"}
# Beside the ladder: what each of these may know. The overlay is a video, so drawing knows the writer.
SIDE = {
    "video": VALUES,
    "render": VALUES | {"video"},
    "data": VALUES | {"video", "demo"},
    "models": VALUES | {"attention_record", "model", "registry"},
    "demo": VALUES | {"video", "data", "model", "models"},
}
ON_TOP = {"explanation", "api", "app", "commands", "cli"}  # they alone join the ladder, the sides and the plug-ins
MODEL_LIBRARIES = {"transformers", "tokenizers", "timm"}


def part_of(name: str) -> str:
    """`types` of attrib.types, `models` of attrib.models.perception_lm, `video` of attrib.video.source."""
    first = name.removeprefix("attrib.").split(".")[0]
    return first.split("_")[0] if first.startswith(("video_", "render_")) else first


def imports(source: str) -> Iterator[tuple[str, str]]:
    """(module, name) of every import, those inside functions and under TYPE_CHECKING too; `from attrib import X`
    counts as the module that X comes from."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            for alias in node.names:
                home = node.module or ""
                if home == "attrib":
                    home = attrib._HOME_OF.get(alias.name, f"attrib.{alias.name}")
                yield home, alias.name


def breaches(module: str, source: str) -> list[str]:
    """What `module` (attrib.types, attrib.methods.centre, ...) imports and may not."""
    found = []
    for home, name in imports(source):
        if home.split(".")[0] in MODEL_LIBRARIES and part_of(module) not in ("models", "demo"):
            found.append(f"{home}: only adapters and the built-in world know it")
        if home.startswith("attrib.") and home != module and not allowed(module, home):
            found.append(home)
        if home.startswith("attrib") and name.startswith("_") and name != "__version__":
            found.append(f"{home}.{name}: not public")
    return found


def allowed(module: str, home: str) -> bool:
    """Whether `module` may import from `home`, both inside attrib."""
    mine, other = part_of(module), part_of(home)
    if mine == other or (mine in ON_TOP and other != "__main__" and LEVEL.get(other, 0) <= LEVEL[mine]):
        return True
    if mine in ("methods", "benchmarks"):
        return other not in {"methods", "benchmarks", "commands", "cli", "demo"} and (mine, other) != (
            "methods",
            "models",
        )
    if mine in SIDE:
        return other in SIDE[mine]
    if mine == "testing" and other == "video":
        return True  # the toy world has counterfactual videos
    return mine in LEVEL and other in LEVEL and LEVEL[other] < LEVEL[mine]


def modules() -> dict[str, Path]:
    """Every module's name and file, as installed."""
    found = {}
    for folder, prefix in (("attrib", ""), ("methods", "attrib."), ("benchmarks", "attrib."), ("configs", "attrib.")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = prefix + ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    found.pop("attrib")  # the lazy table of all public names
    return found


@pytest.mark.parametrize(("module", "path"), modules().items(), ids=modules())
def test_each_module_imports_only_what_lies_below_it(module: str, path: Path) -> None:
    assert breaches(module, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("attrib.types", "from attrib.model import TokenGrid"),
        ("attrib.annotation_cells", "from attrib.model import TokenGrid"),
        ("attrib.types", "from attrib import Subject"),
        ("attrib.errors", "import attrib.runtime.files"),
        ("attrib.model", "def f():\n    from attrib.subject import Target"),
        ("attrib.method", "from attrib.metric import Score"),
        ("attrib.registry", "from attrib.methods.centre import Centre"),
        ("attrib.registry", "from attrib import config"),
        ("attrib.config", "from attrib.cli import app"),
        ("attrib.api", "from attrib.commands.options import notes"),
        ("attrib.commands.mine", "from attrib.cli import app"),
        ("attrib.benchmarks.mine", "from attrib.commands.options import notes"),
        ("attrib.video.source", "from attrib.model import TokenGrid"),
        ("attrib.render.panel", "from attrib.subject import Subject"),
        ("attrib.models.perception_lm", "from attrib.method import Method"),
        ("attrib.testing", "from attrib.methods.uniform import Uniform"),
        ("attrib.methods.mine", "from attrib.benchmarks.perturb.cells import cell_values"),
        ("attrib.methods.mine", "from attrib.models.perception_lm import PerceptionLM"),
        ("attrib.methods.mine", "from attrib.method import _checked"),
        ("attrib.methods.mine", "from transformers import AutoModel"),
        ("attrib.benchmarks.metrics.mine", "if TYPE_CHECKING:\n    from attrib.methods.centre import Centre"),
        ("attrib.benchmarks.runner", "import transformers"),
    ],
)
def test_a_breach_would_be_found(module: str, source: str) -> None:
    assert breaches(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("attrib.methods.mine", "from attrib import Method, attention\nfrom attrib.methods.centre import SIDE"),
        ("attrib.benchmarks.runner", "from attrib import registry\nfrom attrib.benchmarks.jobs.directory import Run"),
        ("attrib.api", "from attrib.benchmarks.runner import run\nfrom attrib import render, video"),
        ("attrib.commands.bench", "from attrib import api\nfrom attrib.benchmarks import leaderboard"),
        ("attrib.models.perception_lm", "from transformers import AutoProcessor"),
    ],
)
def test_what_is_allowed_is_not_called_a_breach(module: str, source: str) -> None:
    assert breaches(module, source) == []


@pytest.mark.parametrize("command", ["import attrib", "from attrib import cli, registry; registry.names('methods')",
                                     "import runpy; sys.argv = ['attrib', '--help']; runpy.run_module('attrib')"],
                         ids=["import", "names", "help"])  # fmt: skip
def test_torch_is_loaded_only_when_it_is_needed(command: str) -> None:
    report = "print('LOADED', [m for m in ('torch', 'transformers', 'captum', 'cv2', 'pandas') if m in sys.modules])"
    program = f"import sys, atexit\natexit.register(lambda: {report})\n{command}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "LOADED []" in done.stdout
