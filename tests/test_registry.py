"""Entry points of real distributions on the path, and plug-in files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from attrib import registry
from attrib.errors import ConfigError, InputError, UnknownName
from attrib.method import Method
from attrib.metric import ContrastMetric, Metric, RemakingMetric

Install = Callable[..., None]
METHOD = """
from dataclasses import dataclass
from attrib import Method

@dataclass(frozen=True)
class {name}(Method):
    def values(self, subject):
        return subject.pixels.mean(dim=1)
"""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Plug-ins of one test are gone in the next."""
    monkeypatch.setattr(registry, "_files", {kind: {} for kind in registry.KINDS})
    registry._entries.cache_clear()
    yield
    monkeypatch.undo()
    registry._entries.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution's metadata and module on the path, as pip would."""

    def installed(distribution: str, entries: str, module: str = "", group: str = "attrib.methods") -> None:
        folder = tmp_path / distribution
        info = folder / f"{distribution}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{entries}\n")
        (folder / f"{distribution}.py").write_text(module)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, distribution, raising=False)
        registry._entries.cache_clear()

    return installed


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., Path]:
    def written(text: str, name: str = "my_plugin.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return written


def one_line(error: pytest.ExceptionInfo[Exception]) -> bool:
    return "\n" not in str(error.value).strip()


def test_the_built_in_ones_are_there_sorted_and_of_their_kind() -> None:
    methods = registry.names("methods")
    assert methods == sorted(methods)
    assert {"integrated_gradients", "grad_cam", "attention_rollout", "attention_gradient", "raw_attention",
            "uniform", "random", "centre", "motion"} <= set(methods)  # fmt: skip
    assert all(issubclass(registry.get("methods", name), Method) for name in methods)
    assert all(
        issubclass(registry.get("metrics", name), (Metric, ContrastMetric, RemakingMetric))
        for name in registry.names("metrics")
    )
    assert {"demo", "perception_lm"} <= set(registry.names("models"))
    assert {"demo", "perception_test"} <= set(registry.names("datasets"))


def test_the_built_in_ones_say_where_they_come_from() -> None:
    assert registry.source("methods", "grad_cam").startswith("attrib 0.")


def test_an_unknown_name_gets_the_nearest() -> None:
    for look in (registry.get, registry.source):
        with pytest.raises(UnknownName, match="unknown method 'gradcam'; did you mean 'grad_cam'"):
            look("methods", "gradcam")


def test_an_installed_distribution_is_found(install: Install) -> None:
    install("third_party", "mine = third_party:Mine", METHOD.format(name="Mine"))
    assert "mine" in registry.names("methods")
    assert registry.source("methods", "mine") == "third_party 1.2"
    assert registry.get("methods", "mine").__module__ == "third_party"


def test_one_name_by_two_distributions_is_told(install: Install) -> None:
    install("third_party", "grad_cam = third_party:Mine")
    message = "method 'grad_cam' is registered twice: .*third_party:Mine.*"
    with pytest.raises(ConfigError, match=message) as caught:
        registry.names("methods")
    assert "attrib.methods.grad_cam:GradCAM" in str(caught.value)
    assert one_line(caught)


@pytest.mark.parametrize(
    ("entry", "module", "message"),
    [
        ("broken:Mine", "import nowhere_at_all", "No module named 'nowhere_at_all'"),
        ("broken:Mine", "x = 1", "Mine"),
        ("broken:Mine", "raise RuntimeError('first\\nsecond')", "first"),
        ("broken:Mine", "import sys; sys.exit(3)", "SystemExit"),
        ("missing_module:Mine", "", "missing_module"),
    ],
    ids=["import error", "no class", "many lines", "exits", "no module"],
)
def test_a_broken_distribution_is_one_clear_line(install: Install, entry: str, module: str, message: str) -> None:
    install("broken", f"mine = {entry}", module)
    assert "mine" in registry.names("methods")  # listing imports nothing
    with pytest.raises(ConfigError, match=rf"method 'mine' \({entry}\) cannot be loaded: .*{message}") as caught:
        registry.get("methods", "mine")
    assert one_line(caught)


def test_a_plugin_file_registers_its_own_concrete_classes(plugin: Callable[..., Path]) -> None:
    text = METHOD.format(name="TwoWords") + METHOD.format(name="HTTPMap") + "from attrib.methods.centre import Centre\n"
    path = plugin(text + "from abc import ABC\nclass Base(Method, ABC): pass\n")
    assert registry.load_plugin(path) == {"methods": ["two_words", "http_map"], "metrics": [], "imputers": []}
    assert {"two_words", "http_map"} <= set(registry.names("methods"))
    assert "base" not in registry.names("methods")
    assert registry.get("methods", "two_words").__name__ == "TwoWords"
    assert registry.source("methods", "two_words") == str(path)


def test_a_plugin_file_can_hold_a_metric(plugin: Callable[..., Path]) -> None:
    path = plugin(
        "from dataclasses import dataclass\nfrom attrib import Metric, Score\n@dataclass(frozen=True)\n"
        "class Peak(Metric):\n    direction = 'high'\n    def score(self, volume, subject, sample):\n"
        "        return Score(float(volume.values.max()))\n"
    )
    assert registry.load_plugin(path) == {"methods": [], "metrics": ["peak"], "imputers": []}
    assert issubclass(registry.get("metrics", "peak"), Metric)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def broken(:", "SyntaxError"),
        ("raise ValueError('first\\nsecond')", "ValueError: first"),
        ("raise ValueError", "ValueError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("x = 1", "expected a class derived from attrib.Method, attrib.Metric, .* found none"),
        (METHOD.format(name="GradCAM"), "method 'grad_cam' is registered already by attrib .*; rename GradCAM"),
    ],
    ids=["import error", "syntax", "many lines", "no message", "exits", "no class", "duplicate"],
)
def test_a_broken_plugin_file_is_one_clear_line(plugin: Callable[..., Path], text: str, message: str) -> None:
    before = registry.names("methods")
    with pytest.raises(InputError, match=message) as caught:
        registry.load_plugin(plugin(text))
    assert one_line(caught)
    assert registry.names("methods") == before


def test_a_missing_or_other_file_is_told(plugin: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.py: no such file"):
        registry.load_plugin(tmp_path / "none.py")
    with pytest.raises(InputError, match="expected a Python file"):
        registry.load_plugin(plugin("hello", "notes.txt"))


def test_a_file_changed_and_loaded_again_replaces_its_classes(plugin: Callable[..., Path]) -> None:
    registry.load_plugin(plugin(METHOD.format(name="Mine")))
    first = registry.get("methods", "mine")
    registry.load_plugin(plugin(METHOD.format(name="Mine")))
    assert registry.get("methods", "mine") is not first


def test_two_files_may_not_share_a_name(plugin: Callable[..., Path]) -> None:
    """Even where both files have the same name in different folders."""
    one = plugin(METHOD.format(name="Mine"), "one/plugin.py")
    registry.load_plugin(one)
    for other in ("two/plugin.py", "two/other.py"):
        with pytest.raises(ConfigError, match=r"method 'mine' is registered already by .*one.plugin\.py"):
            registry.load_plugin(plugin(METHOD.format(name="Mine"), other))
    assert registry.source("methods", "mine") == str(one)


def test_a_notebook_cell_can_be_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes of a notebook live in `__main__`, which has no file there."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    for _ in range(2):
        namespace: dict[str, object] = {"__name__": "__main__"}
        exec(METHOD.format(name="CellMethod"), namespace)
        item = namespace["CellMethod"]
        assert isinstance(item, type)
        assert registry.register("methods", item) == "cell_method"
        assert registry.get("methods", "cell_method") is item
    assert registry.source("methods", "cell_method") == "__main__"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("GradCAM", "grad_cam"), ("SmoothGrad", "smooth_grad"), ("Mine", "mine"), ("ROCAUC", "rocauc"),
     ("HTTPMap", "http_map"), ("Top5Cells", "top5_cells")],
)  # fmt: skip
def test_snake_case(name: str, expected: str) -> None:
    assert registry.snake_case(name) == expected


def test_private_classes_of_a_plugin_file_are_not_registered(plugin: Callable[..., Path]) -> None:
    """A shared base class is concrete by accident when it implements `values`."""
    path = plugin(METHOD.format(name="_Base") + "class Mine(_Base): pass\n")
    assert registry.load_plugin(path)["methods"] == ["mine"]
    assert "_base" not in registry.names("methods")


def test_a_public_base_class_of_a_plugin_file_is_a_method_of_its_own(plugin: Callable[..., Path]) -> None:
    path = plugin(METHOD.format(name="Mine") + "class Variant(Mine): pass\n")
    assert registry.load_plugin(path)["methods"] == ["mine", "variant"]


def test_a_plugin_file_with_private_classes_alone_defines_nothing(plugin: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="expected a class derived from"):
        registry.load_plugin(plugin(METHOD.format(name="_Base")))


def test_a_plugin_file_can_hold_an_imputer(plugin: Callable[..., Path]) -> None:
    text = """
from dataclasses import dataclass
from attrib import PixelImputer

@dataclass(frozen=True)
class Black(PixelImputer):
    def prepare(self, canvas):
        return lambda removed: canvas.filled(canvas.pixels * 0, removed)
"""
    assert registry.load_plugin(plugin(text)) == {"methods": [], "metrics": [], "imputers": ["black"]}
    assert {"black", "blur", "token"} <= set(registry.names("imputers"))
    with pytest.raises(UnknownName, match="unknown imputer 'blck'; did you mean 'black'"):
        registry.get("imputers", "blck")
