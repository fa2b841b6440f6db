"""Pages of the plug-ins: each registered one has a page, with what its class says."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields, is_dataclass

import pytest
from typer.testing import CliRunner

from attrib import registry
from attrib.cli import app
from tools.pages import hook, plugins
from tools.pages.parameters import parameters
from tools.pages.text import escaped

PAGES = hook.plugin_pages()
PLUGINS = [(kind, name) for kind in registry.KINDS for name in registry.names(kind)]


def shown(text: str) -> str:
    """The text of a page without escapes and line ends."""
    return " ".join(re.sub(r"\\([*_\[\]])", r"\1", text).replace("&lt;", "<").replace("&#124;", "|").split())


def test_every_plugin_has_a_page_and_every_page_a_plugin() -> None:
    assert sorted(PAGES) == sorted(f"{kind}/{name}.md" for kind, name in PLUGINS)
    assert len(PAGES) > 90


def test_the_pages_have_the_sentences_that_attrib_list_prints() -> None:
    printed = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    for kind, name in PLUGINS:
        (entry,) = [each for each in printed[kind] if each["name"] == name]
        assert entry["description"].removesuffix(".") in shown(PAGES[f"{kind}/{name}.md"])
        assert all(f"| `{parameter}` |" in PAGES[f"{kind}/{name}.md"] for parameter in entry["parameters"])


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_a_page_has_every_parameter_with_its_meaning_and_the_paper(kind: registry.Kind, name: str) -> None:
    item, page = registry.get(kind, name), PAGES[f"{kind}/{name}.md"]
    known = [field.name for field in fields(item)] if is_dataclass(item) else []
    assert [each.name for each in parameters(item)] == known
    assert [each.name for each in parameters(item) if not plugins.meaning(item, each)] == []
    if reference := getattr(item, "reference", ""):
        assert reference in shown(page)
    if kind == "metrics":
        assert item.chance_level in shown(page)
    assert inspect.getsourcefile(inspect.unwrap(item)) is not None


def test_metrics_are_grouped_as_in_the_report() -> None:
    page = plugins.metrics_by_axis()
    assert sorted(re.findall(r"^\| \[`(\w+)`\]", page, re.MULTILINE)) == registry.names("metrics")
    groups = {part.partition("\n")[0]: part for part in page.split("## ")[1:]}
    assert list(groups) == ["Faithfulness", "Alignment in space", "Alignment in time", "The map itself"]
    found = {name: next(title for title, part in groups.items() if f"[`{name}`]" in part)
             for name in ("srg", "object_auc", "segment_auc", "entropy", "counterfactual_deletion")}  # fmt: skip
    assert list(found.values()) == ["Faithfulness", "Alignment in space", "Alignment in time", "The map itself",
                                    "Faithfulness"]  # fmt: skip


def test_a_parameter_has_its_type_default_and_comment_of_the_source() -> None:
    found = {each.name: each for each in parameters(registry.get("methods", "smoothgrad"))}
    assert (found["samples"].kind, found["samples"].default) == ("whole number", "64")
    assert (found["sigma"].default, found["sigma"].comment.partition(",")[0]) == ("0.1", "of the noise")
    assert found["average"].kind == "`smoothgrad`, `smoothgrad_sq`, `vargrad`"
    assert {each.name: each.default for each in parameters(registry.get("datasets", "perception_test"))} == {
        "root": "required", "split": "valid", "limit": "none", "task": '""', "area": '""', "reasoning": '""',
        "tag": '""', "ids": "[]",
    }  # fmt: skip


def test_text_that_looks_like_markup_stays_text() -> None:
    assert escaped("R <- R + mean_h relu(A_h * dA_h) in [0, 1], `a_b[0]`") == (
        r"R &lt;- R + mean\_h relu(A\_h \* dA\_h) in \[0, 1\], `a_b[0]`"
    )
