"""Light commands and Python blocks of README and docs/, run as they stand beside the built-in world's videos.

`.ci/run` runs the README's quick example; `make demo` the built-in benchmark. The others need data or checkpoints that
a test has not: test_docs.py tries them on the command line's own parser.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attrib import registry
from attrib.cli import app
from attrib.demo.generate import generate
from attrib.testing import check_method

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
LIGHT = {  # beginnings of the commands that are run, by page
    "README.md": [
        "explain world/videos/video_2.mp4 --question 'What shape is the object that gets hit?' "
        "--option ring --option circle"
    ],
    "docs/perception_test.md": ["data check", "data tasks"],
    "docs/write_method.md": ["list methods"],
}


def commands(page: str) -> list[list[str]]:
    """The words of the page's light commands, with the built-in world as the data set."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    calls = [["world" if word == "DIR" else word for word in each[1:]] for each in words if each[:1] == ["attrib"]]
    return [each for each in calls if "--run" not in each and shlex.join(each).startswith(tuple(LIGHT[page]))]


def python(page: str, index: int = 0) -> str:
    found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    return str(found[index])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `world/`, as `python -m attrib.demo.generate world --videos 6` makes it; plug-ins end with it."""
    generate(tmp_path / "world", videos=6)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_files", {kind: {} for kind in registry.KINDS})
    return tmp_path


@pytest.mark.parametrize(
    ("page", "count"), [("README.md", 1), ("docs/perception_test.md", 4), ("docs/write_method.md", 1)]
)
def test_light_commands_end_well(page: str, count: int, world: Path) -> None:
    (world / "my_method.py").write_text(python(page) if page != "docs/perception_test.md" else "")
    calls = commands(page)
    assert len(calls) == count
    for words in calls:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (words, result.output)


def test_the_readmes_method_keeps_the_contract(world: Path) -> None:
    (world / "my_method.py").write_text(python("README.md"))
    registry.load_plugin(world / "my_method.py")
    check_method(registry.get("methods", "plain_gradient")())


def test_the_python_of_explain_runs(world: Path) -> None:
    """And writes the files that its page lists, with the keys that it names."""
    exec(python("docs/explain.md"), {})
    assert {path.name for path in (world / "from_python").iterdir()} == {
        "summary.json", *(f"{name}.{ending}" for name in ("relevance", "grad_cam") for ending in ("npz", "mp4", "png"))
    }  # fmt: skip
    summary = json.loads((world / "from_python" / "summary.json").read_text(encoding="utf-8"))
    assert summary["answer_text"] == "circle" and set(summary["methods"]) == {"relevance", "grad_cam"}
