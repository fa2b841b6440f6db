"""Passes of methods through the built-in model, counted again for those that are quick and do not adapt."""

from __future__ import annotations

import json

import pytest

from attrib import registry
from attrib.subject import Subject
from tools.pages import costs

COUNTED = json.loads(costs.FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def explained() -> Subject:
    return costs.subject()


def test_every_method_is_counted() -> None:
    assert sorted(COUNTED) == registry.names("methods")


@pytest.mark.parametrize(
    ("name", "forward", "backward"),
    [("saliency", 0, 1), ("relevance", 0, 1), ("raw_attention", 1, 0), ("band_probe", 8 + 6 + 6, 0), ("centre", 0, 0)],
)
def test_the_counts_are_those_of_the_code(name: str, forward: int, backward: int, explained: Subject) -> None:
    """`band_probe`: a version for each of 8 frames, 6 rows and 6 columns, and the whole clip."""
    found = costs.passes(name, explained)
    assert (found.forward, found.backward) == (COUNTED[name]["forward"], COUNTED[name]["backward"])
    assert (found.forward - (name == "band_probe"), found.backward) == (forward, backward)
