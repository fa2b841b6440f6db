"""Finished runs for tests of the exports: invented tables in a directory like that of a benchmark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from attrib import config
from attrib.benchmarks.jobs.directory import COLUMNS
from attrib.benchmarks.jobs.finished_run import FinishedRun, read
from attrib.benchmarks.tables import write

from board_cases import results as table_of

METRICS = ("srg", "shuffled_auc", "object_auc")
SKILL = {"relevance": 0.3, "raw_attention": 0.2, "grad_cam": -0.1, "random": -0.05, "motion": 0.15, "oracle": 0.45}


def rows(tasks: Mapping[str, int], skill: Mapping[str, float], seed: int = 0) -> pd.DataFrame:
    """Scores of every method on every metric; `tasks` has the number of videos of each question text."""
    generator = np.random.default_rng(seed)
    scores, video = [], 0
    for task, count in tasks.items():
        for _ in range(count):
            for method, gain in skill.items():
                for metric in METRICS:
                    value = round(0.5 + gain + generator.normal(0, 0.1), 6)
                    imputer = "blur" if metric == "srg" else None
                    scores.append((f"s{video:04}", f"v{video:04}", task, method, metric, imputer, value))
            video += 1
    return table_of(scores)


def partners(results: pd.DataFrame, count: int, seed: int = 1) -> pd.DataFrame:
    """Scores of each map on `count` other annotations by `object_auc`, around chance."""
    generator = np.random.default_rng(seed)
    plain = results[results["metric"] == "object_auc"]
    again = plain.loc[plain.index.repeat(count), ["sample", "video", "task", "method", "metric"]].reset_index(drop=True)
    own = [f"p{index}" for index in range(count)] * len(plain)
    return again.assign(partner=own, null="pairing", value=generator.normal(0.5, 0.2, len(again)))


def written(directory: Path, results: pd.DataFrame, nulls: pd.DataFrame | None = None, **settings: Any) -> FinishedRun:
    """Write a run directory with these results and the tables that a benchmark derives from them."""
    labels = list(dict.fromkeys(results["method"]))
    given = {"methods": {label: settings.pop(label, None) for label in labels}, "metrics": dict.fromkeys(METRICS),
             "imputers": ["blur"], "resamples": 100, **settings}  # fmt: skip
    parsed = config.parse(given)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(parsed.model_dump(), sort_keys=False))
    environment = {"python": "3.11.7 (main)", "platform": "a machine", "packages": {"attrib": "9.9", "torch": "2.0"}}
    (directory / "environment.json").write_text(json.dumps(environment))
    answered = results.assign(answer="A", rule="exact")
    answered.reindex(columns=list(COLUMNS)).astype(COLUMNS).to_parquet(directory / "results.parquet", index=False)
    if nulls is not None:
        nulls.to_parquet(directory / "nulls.parquet", index=False)
    tables = write.summarise(answered, nulls, config.metric_entries(parsed), parsed)
    for name in write.TABLES:  # without the figure, which takes longer to draw
        getattr(tables, name).to_csv(directory / f"{name}.csv", index=False)
    return read(directory)
