"""Primary metrics: a property of the metric's class, whatever its label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest

from attrib import config
from attrib.benchmarks.tables import write
from attrib.benchmarks.tables.compare import compare
from attrib.config import Entry
from attrib.metric import Direction, Metric, Score
from attrib.subject import Subject
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need

from board_cases import skilled

METHODS = {"good": {"method": "grad_cam"}, "poor": {"method": "grad_cam"}, "uniform": None, "random": None,
           "centre": None, "oracle": None}  # fmt: skip
RENAMED = {"my_object_auc": {"metric": "object_auc"}, "deletion": None}
MISNAMED = {"object_auc": {"metric": "mass"}, "deletion": None}


@dataclass(frozen=True)
class Mine(Metric):
    """A third party's metric that is to be tested with the primary ones."""

    direction: ClassVar[Direction] = "high"
    bounds: ClassVar[tuple[float, float]] = (-10.0, 10.0)
    chance_level: ClassVar[str] = "0"
    reference: ClassVar[str] = "none"
    needs: ClassVar[frozenset[Need]] = frozenset()
    primary: ClassVar[bool] = True

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        """Return 0."""
        return Score(0.0)


def parsed(metrics: dict[str, object]) -> config.Config:
    return config.parse({"methods": METHODS, "metrics": metrics, "imputers": ["blur"], "resamples": 100})


def rows(label: str) -> pd.DataFrame:
    table = skilled(8)
    return table.assign(metric=table["metric"].replace({"object_auc": label}))


def corrected(table: pd.DataFrame) -> set[str]:
    return set(table.loc[table["p_holm"].notna(), "metric"])


@pytest.mark.parametrize(("metrics", "primary"), [(RENAMED, {"my_object_auc"}), (MISNAMED, set())])
def test_the_class_decides_in_every_table(metrics: dict[str, object], primary: set[str]) -> None:
    settings = parsed(metrics)
    tables = write.summarise(rows(next(iter(metrics))), None, config.metric_entries(settings), settings)
    assert corrected(tables.leaderboard) == primary
    assert set(tables.rankings) == primary == set(tables.metrics.primary)
    assert ("primary" in set(tables.ranks["metric"])) == bool(primary)
    assert f"primary metrics ({len(primary)})" in set(tables.agreement["metric"])


def test_a_plug_in_metric_can_be_primary() -> None:
    settings = parsed({"deletion": None})
    entries = [Entry("theirs", "mine", Mine()), *config.metric_entries(settings)]
    tables = write.summarise(rows("theirs"), None, entries, settings)
    assert corrected(tables.leaderboard) == {"theirs"} == set(tables.rankings)


@pytest.mark.parametrize(("metrics", "primary"), [(RENAMED, {"my_object_auc"}), (MISNAMED, set())])
def test_compared_runs_know_their_primary_metrics(
    tmp_path: Path, metrics: dict[str, object], primary: set[str]
) -> None:
    settings = parsed(metrics)
    label = next(iter(metrics))
    for name, seed in (("one", 0), ("two", 1)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.yaml").write_text(settings.model_copy(update={"seed": seed}).model_dump_json())
        (folder / "environment.json").write_text("{}")
        rows(label).assign(area="", reasoning="").to_parquet(folder / "results.parquet")
        pd.DataFrame({"metric": [label, "deletion"], "direction": ["high", "low"]}).to_csv(folder / "leaderboard.csv")
    found = compare([tmp_path / "one", tmp_path / "two"])
    assert corrected(found.table) == primary == set(found.primary)
