"""The curves that a run keeps: those that its metrics read, at no further question to the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import attrib
from attrib import api, registry
from attrib.benchmarks.jobs import curves
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.metrics.faithfulness import Deletion
from attrib.benchmarks.perturb import evaluator
from attrib.benchmarks.perturb.curves import Curves
from attrib.testing import ToyModel

import toy_world
from runs import same_question

CURVES = {"srg": None, "deletion": None, "insertion": None}


@dataclass(frozen=True)
class Breaks(Deletion):
    """A metric of curves with a fault."""

    def read(self, curves: Curves) -> float:
        raise RuntimeError(f"broken after {curves.least_first}")


class Deaf(ToyModel):
    """Answers to a video without a single cell of colour are not finite."""

    def score_tokens(self, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        found = super().score_tokens(tokens, *rest)
        return torch.where((tokens.std(dim=1).amax(dim=1) < 1e-6)[:, None], float("nan"), found)


@pytest.fixture(autouse=True)
def _plugins() -> Any:
    registry._files["models"].update(toy=lambda **_: ToyModel(), deaf=lambda **_: Deaf())
    registry.register("metrics", Breaks)
    yield
    for kind in registry.KINDS:
        registry._files[kind].clear()


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Two videos, two methods and a toy model."""
    methods = {"edges": None, "recency": None}
    written = toy_world.settings(tmp_path / "world", methods=methods, metrics=CURVES, imputers=["blur"])
    return lambda **changes: {**written, **changes}


def table(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / curves.FILE)


def test_the_areas_under_the_kept_curves_are_the_scores(settings: Callable[..., Any], tmp_path: Path) -> None:
    results = attrib.bench(settings(imputers=["blur", "mean"]), tmp_path / "run").results
    found = table(tmp_path / "run")
    assert list(found.columns) == list(curves.COLUMNS)
    found = found.assign(method=found["method"].fillna("chance"))
    areas = {
        names: float(np.trapezoid(part["log_odds"], part["fraction"]))
        for names, part in found.groupby(["sample", "method", "imputer", "order"])
    }
    assert len(results) == 2 * 2 * 3 * 2
    for row in results.itertuples():
        at = (row.sample, row.method, row.imputer)
        expected = {
            "srg": areas.get((*at, "least_first"), 0) - areas[(*at, "most_first")],
            "deletion": areas[(*at, "most_first")], "insertion": areas[(*at, "insertion")],
        }  # fmt: skip
        assert row.value == pytest.approx(expected[row.metric], abs=1e-9)
        if row.metric != "srg":
            order = {"deletion": "most_first", "insertion": "insertion"}[row.metric]
            assert row.chance == pytest.approx(areas[(row.sample, "chance", row.imputer, order)], abs=1e-9)
    odds = np.exp(found["log_odds"])
    assert np.allclose(found["probability"], odds / (1 + odds), atol=1e-6)


def test_only_the_orders_that_are_read_are_kept(settings: Callable[..., Any], tmp_path: Path) -> None:
    def orders(*metrics: str) -> set[tuple[str, str]]:
        attrib.bench(settings(metrics=dict.fromkeys(metrics)), tmp_path / "run")
        found = table(tmp_path / "run")
        rows = found["method"].fillna("chance").replace("recency", "edges")
        return set(zip(rows, found["order"], strict=True))

    assert orders("srg") == {("edges", "most_first"), ("edges", "least_first")}
    assert orders("comprehensiveness") == {("edges", "most_first"), ("chance", "most_first")}
    assert orders("sufficiency", "mass") == {("edges", "insertion"), ("chance", "insertion")}
    attrib.bench(settings(metrics={"mass": None}), tmp_path / "run")
    assert not (tmp_path / "run" / curves.FILE).exists(), "those of an earlier run with other metrics"


def test_labelled_imputers_are_told_apart_by_their_labels(settings: Callable[..., Any], tmp_path: Path) -> None:
    imputers = {"mean": None, "same": {"imputer": "mean"}, "soft": {"imputer": "blur", "sigma": 0.3}}
    metrics = {"deletion": None}
    results = attrib.bench(settings(imputers=imputers, metrics=metrics), tmp_path / "run").results
    values = results.pivot(index=["sample", "method"], columns="imputer", values="value")
    assert list(values.columns) == ["mean", "same", "soft"]
    assert values["mean"].tolist() == values["same"].tolist() != values["soft"].tolist()
    assert set(table(tmp_path / "run")["imputer"]) == set(imputers)


def test_keeping_them_asks_the_model_nothing(
    settings: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    evaluate = evaluator._with_other_pixels
    monkeypatch.setattr(
        evaluator, "_with_other_pixels", lambda *given: asked.append(len(given[-1])) or evaluate(*given)
    )
    attrib.bench(settings(), tmp_path / "with")
    kept = list(asked)
    asked.clear()
    monkeypatch.setattr(curves, "curve_records", lambda _: ())
    attrib.bench(settings(), tmp_path / "without")
    assert asked == kept != []
    assert not (tmp_path / "without" / curves.FILE).exists()


def test_they_are_parts_like_any_other(settings: Callable[..., Any], tmp_path: Path) -> None:
    folder, methods = tmp_path / "run", {"edges": None, "uniform": None}
    foreseen = sum(count.missing for count in api.bench_forecast(settings(methods=methods), folder).counts)
    first = attrib.bench(settings(methods=methods), folder)
    assert first.computed == foreseen == 2 * (1 + 2 * (1 + 1 + 1))  # an answer; of each method map, scores and curves
    before = table(folder)
    assert set(before["method"].dropna()) == {"edges"}, "what ranks nothing has none"
    assert attrib.bench(settings(methods=methods), folder).computed == 0
    lost = RunDirectory.at(folder).store.path(("curves", "two_0", "edges", "imputer blur"))
    lost.unlink()
    missing = [count for count in api.bench_forecast(settings(methods=methods), folder).counts if count.missing]
    assert [(count.kind, count.method, count.missing) for count in missing] == [("curves imputer blur", "edges", 1)]
    assert attrib.bench(settings(methods=methods), folder).computed == 1
    pd.testing.assert_frame_equal(table(folder), before)
    same_question(folder, settings(seed=1))
    again = attrib.bench(settings(methods={"edges": None}, seed=1), folder)
    assert again.computed == 2 * 3


def test_a_metric_that_fails_takes_no_curve_with_it(settings: Callable[..., Any], tmp_path: Path) -> None:
    outcome = attrib.bench(settings(metrics={"deletion": None, "breaks": None}), tmp_path / "run")
    assert {(failure.metric, failure.error.split(":")[0]) for failure in outcome.failures} == {
        ("breaks", "RuntimeError")
    }
    assert set(table(tmp_path / "run")["order"]) == {"most_first"}


def test_where_every_metric_of_curves_failed_none_are_awaited(settings: Callable[..., Any], tmp_path: Path) -> None:
    given = settings(metrics={"breaks": None}, methods={"edges": None})
    attrib.bench(given, tmp_path / "run")
    counts = api.bench_forecast(given, tmp_path / "run").counts
    assert sum(count.missing for count in counts) == 0
    assert [count.failed for count in counts if count.kind.startswith("curves")] == [2]


def test_answers_that_are_not_finite_are_missing_points(settings: Callable[..., Any], tmp_path: Path) -> None:
    attrib.bench(settings(model={"name": "deaf", "frames": 4}, imputers=["mean"]), tmp_path / "run")
    found = table(tmp_path / "run")
    last = found[(found["order"] == "most_first") & (found["fraction"] == 1)]
    assert len(last) and last["log_odds"].isna().all() and last["probability"].isna().all()
    assert found.loc[(found["order"] == "most_first") & (found["fraction"] == 0), "log_odds"].notna().all()
