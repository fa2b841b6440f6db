"""Methods that search for what removal metrics measure: scored with imputers that they did not see alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import attrib
from attrib import config, registry
from attrib.benchmarks.jobs.finished_run import read
from attrib.benchmarks.jobs.roles import searching
from attrib.benchmarks.report import header
from attrib.testing import ToyModel

import toy_world

MASK = {"steps": 2, "areas": [0.1]}


@pytest.fixture(autouse=True)
def _plugins() -> Any:
    registry._files["models"].update(toy=lambda **_: ToyModel())
    yield
    registry._files["models"].clear()


def test_scores_and_curves_of_a_seen_imputer_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    """`same` is the imputer under another label; `edges` is scored on all of them."""
    imputers = {"token": None, "same": {"imputer": "token", "share": 0.4}, "mean": None}
    settings = toy_world.settings(
        tmp_path / "world", methods={"mask_optimisation": MASK, "edges": None},
        metrics={"srg": None, "deletion": None, "mass": None}, imputers=imputers,
    )  # fmt: skip
    outcome = attrib.bench(settings, tmp_path / "run")
    assert not outcome.failures
    rows = outcome.results[outcome.results["imputer"].notna()]
    defined = rows.assign(defined=rows["value"].notna()).groupby(["method", "imputer"])["defined"].agg(["any", "all"])
    for method in ("edges", "mask_optimisation"):
        for imputer in imputers:
            expected = method == "edges" or imputer == "mean"
            assert defined.loc[(method, imputer)].tolist() == [expected, expected], (method, imputer)
    left_out = rows[rows["value"].isna()]
    assert set(left_out["reason"]) == {f"the method searched for its map with {name}" for name in ("token", "same")}
    curves = pd.read_parquet(tmp_path / "run" / "curves.parquet")
    assert set(curves.loc[curves["method"] == "mask_optimisation", "imputer"]) == {"mean"}
    assert set(curves.loc[curves["method"] == "edges", "imputer"]) == set(imputers)
    sentence = "mask_optimisation: optimises deletion and insertion with token; scored on mean, which it did not see"
    assert sentence in outcome.warnings
    assert f"{sentence}." in list(header.warnings(read(tmp_path / "run")))
    board = outcome.leaderboard
    mine = board[(board["subset"] == "all") & (board["method"] == "mask_optimisation") & (board["metric"] == "srg")]
    assert dict(zip(mine["imputer"], mine["mean"].notna(), strict=True)) == {n: n == "mean" for n in imputers}


@pytest.mark.parametrize(
    ("methods", "imputers", "expected"),
    [
        ({"edges": None, "rise": None}, ["blur"], []),
        ({"soft": {"method": "mask_optimisation", "baseline": "blur"}}, ["blur"],
         ["soft: optimises deletion and insertion with blur; scored on no imputer here"]),
        ({"soft": {"method": "mask_optimisation", "baseline": "black"}}, ["blur", "mean"],
         ["soft: optimises deletion and insertion with a removal like no imputer; scored on blur and mean, which it "
          "did not see"]),
        ({"greedy_regions": None}, ["token", "freeze"],
         ["greedy_regions: optimises deletion and insertion with token; scored on freeze, which it did not see"]),
    ],
)  # fmt: skip
def test_the_sentences(methods: Mapping[str, Any], imputers: list[str], expected: list[str]) -> None:
    settings = config.parse({"methods": methods, "metrics": {"srg": None}, "imputers": imputers})
    assert searching(settings) == expected
