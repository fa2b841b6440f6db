"""Configurations that extend another."""

from __future__ import annotations

from pathlib import Path

import pytest

from attrib import config
from attrib.errors import ConfigError, InputError
from attrib.settings.benchmark import bench_settings, read_settings


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_sections_are_merged_and_other_values_replaced(tmp_path: Path) -> None:
    written(
        tmp_path / "base.yaml",
        "seed: 1\ndata: {name: demo, videos: 9}\nmethods: {relevance: {sinks: mask}, random: }\nimputers: [blur]\n",
    )
    middle = written(
        tmp_path / "middle.yaml",
        "extends: base.yaml\ndata: {videos: 4}\nmethods: {relevance: {null: divided}, centre: }\nimputers: [mean]\n",
    )
    top = written(tmp_path / "top.yaml", "extends: middle.yaml\nseed: 2\nmethods: {relevance: }\n")
    assert read_settings(middle) == {
        "seed": 1, "data": {"name": "demo", "videos": 4}, "imputers": ["mean"],
        "methods": {"relevance": {"sinks": "mask", "null": "divided"}, "random": None, "centre": None},
    }  # fmt: skip
    found = read_settings(top)
    assert (found["seed"], found["methods"]["relevance"]) == (2, None)  # its defaults again
    assert list(found["methods"]) == ["relevance", "random", "centre"]


def test_a_shipped_configuration_is_extended_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beside it of that name comes first, wherever the command was started."""
    mine = written(tmp_path / "mine.yaml", "extends: demo\nmethods: {saliency: }\n")
    demo = bench_settings("demo")
    assert bench_settings(mine) == {**demo, "methods": {**demo["methods"], "saliency": None}}
    written(tmp_path / "demo", "seed: 7")
    monkeypatch.chdir("/")
    assert bench_settings(mine) == {"seed": 7, "methods": {"saliency": None}}


def test_the_small_reference_is_the_reference_but_for_its_size() -> None:
    small, whole = (config.parse(read_settings(name)) for name in ("methods", "reference"))
    assert (small.data["videos"], whole.data["videos"]) == (18, 120)
    assert (small.methods, small.imputers, small.null_pairs) == (whole.methods, whole.imputers, whole.null_pairs)
    assert set(small.metrics or ()) == set(whole.metrics or ())


@pytest.mark.parametrize(
    ("text", "message"),
    [("extends: 3", "extends: expected a YAML file or the name of a shipped configuration, got 3"),
     ("extends: ''", "extends: expected a YAML file"), ("extends: [demo]", "extends: expected a YAML file"),
     ("extends: referense", r"referense: expected a YAML file .*; did you mean 'reference'\?"),
     ("extends: none.yaml", "none.yaml: cannot be read"),
     ("extends: mine.yaml", r"mine.yaml: extends: .* got mine -> mine"),
     ("extends: other.yaml", r"mine.yaml: extends: .* got mine -> other -> mine")],
)  # fmt: skip
def test_what_cannot_be_extended_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    written(tmp_path / "other.yaml", "extends: ./mine.yaml\n")
    mine = written(tmp_path / "mine.yaml", text)
    with pytest.raises((InputError, ConfigError), match=message) as caught:
        read_settings(mine)
    assert "\n" not in str(caught.value)
