"""Examples of docs/write_*.md, run as they stand: a method, a metric, an imputer, a family and a data set."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attrib import config, registry
from attrib.demo.generate import generate
from attrib.settings.benchmark import bench_settings
from attrib.testing import check_imputer, check_method, check_metric, toy_sample, toy_subject, toy_volume

ROOT = Path(__file__).parent.parent.parent


def examples(page: str) -> list[str]:
    """The Python blocks of a page of docs/."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def plugin_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plug-ins that a test registers are gone in the next."""
    monkeypatch.setattr(registry, "_files", {kind: {} for kind in registry.KINDS})


@pytest.mark.usefixtures("plugin_files")
def test_the_written_method_works_as_a_plugin_file(tmp_path: Path) -> None:
    """Copied as it stands, it has at most 20 lines, registers and keeps the contract."""
    method, check, *_ = examples("write_method")
    assert len(method.splitlines()) <= 20
    (tmp_path / "my_method.py").write_text(method)
    assert registry.load_plugin(tmp_path / "my_method.py") == {
        "methods": ["gradient_times_input"],
        "metrics": [],
        "imputers": [],
    }
    check_method(registry.get("methods", "gradient_times_input")())
    exec(check, {"GradientTimesInput": registry.get("methods", "gradient_times_input")})


def test_the_written_family_is_the_packages_own() -> None:
    """It has at most 30 lines; test_plugin.py installs and checks the package."""
    (family,) = [example for example in examples("write_model") if "ModelFamily" in example]
    assert family == (ROOT / "tests" / "plugin" / "attrib_llava.py").read_text(encoding="utf-8")
    assert len(family.splitlines()) <= 30


@pytest.mark.usefixtures("plugin_files")
def test_the_written_metric_works_as_a_plugin_file(tmp_path: Path) -> None:
    (tmp_path / "my_metric.py").write_text(examples("write_metric")[0])
    assert registry.load_plugin(tmp_path / "my_metric.py")["metrics"] == ["top_cell"]
    check_metric(registry.get("metrics", "top_cell")())


@pytest.mark.usefixtures("plugin_files")
def test_the_written_imputer_works_as_a_plugin_file(tmp_path: Path) -> None:
    (tmp_path / "my_imputer.py").write_text(examples("write_imputer")[0])
    assert registry.load_plugin(tmp_path / "my_imputer.py")["imputers"] == ["checkerboard"]
    check_imputer(registry.get("imputers", "checkerboard")())
    settings = bench_settings(plugins=[tmp_path / "my_imputer.py"])
    assert list(settings["imputers"]) == ["blur", "mean", "checkerboard"]
    settings = {
        "methods": {},
        "metrics": {"srg": None},
        "imputers": {"coarse": {"imputer": "checkerboard", "size": 16}},
    }
    (entry,) = config.metric_entries(config.parse(settings))
    assert (entry.parameters["imputer"], entry.item.imputer.size) == ("coarse", 16)
    assert math.isfinite(
        entry.item.score(toy_volume(np.arange(48.0).reshape(4, 3, 4)), toy_subject(), toy_sample()).value
    )


@pytest.mark.usefixtures("plugin_files")
def test_the_written_data_set_is_benchmarked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its second block runs as it stands, on two generated videos and with maps that cost nothing."""
    source, program, *_ = examples("write_dataset")
    (tmp_path / "named_videos.py").write_text(source)
    generate(tmp_path / "world", videos=2, seed=0, split="valid", counterfactuals=False)
    (tmp_path / "videos").mkdir()
    for video, answer in zip(sorted((tmp_path / "world" / "videos").iterdir()), ("circle", "star"), strict=True):
        video.rename(tmp_path / "videos" / f"{answer}_{video.name}")
    for costly in ('"relevance": None, "grad_cam": None, ', '"srg": None, "deletion": None, '):
        program = program.replace(costly, "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {}
    exec(program, names)
    results = names["outcome"].results
    assert sorted(set(results["sample"]))[0].startswith("circle_video_") and len(set(results["sample"])) == 2
    assert set(results["method"]) == {"centre", "random"}
    assert results["value"].between(0, 1).all() and set(results["error"]) == {""}
