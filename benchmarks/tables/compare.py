"""Compare finished runs of other models, seeds or machines; runs that were not asked the same are refused."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from attrib.benchmarks.jobs.finished_run import FinishedRun, read
from attrib.benchmarks.stats.bootstrap import intervals
from attrib.benchmarks.stats.multiple import holm
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables.differences import Pair, paired
from attrib.benchmarks.tables.matrix import Matrix, matrix, scored
from attrib.config import Config
from attrib.errors import InputError

PATHS = ("root",)  # keys of the data section that are paths, which may differ between machines
COLUMNS = [
    "metric", "imputer", "method", "run", "model", "dtype", "seed", "machine", "parameters", "direction", "mean", "low",
    "high", "videos", "difference", "difference_low", "difference_high", "p", "p_holm", "dropped",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Comparison:
    """Rows of COLUMNS, and which of the metrics are primary."""

    table: pd.DataFrame
    primary: tuple[str, ...]


def compare(directories: Sequence[Path]) -> Comparison:
    """Return one row of COLUMNS for each metric, imputer, method and run; metrics that all the runs have.

    `run` names what differs. difference: to the first run on the same samples, positive where this one is better; p:
    sign flips of whole videos, p_holm: Holm over the primary metrics. Raises InputError for a directory without a
    finished run, and where data, samples, frames, sampling, target, metric parameters or imputers differ.
    """
    if len({directory.resolve() for directory in directories}) != len(directories) or not directories:
        raise InputError(
            f"expected one run directory or more, each once, got {', '.join(map(str, directories)) or 'none'}"
        )
    runs = [read(directory) for directory in directories]
    for other in runs[1:]:
        require_alike(runs[0], other)
    shared = [name for name in runs[0].settings.metrics if all(name in run.settings.metrics for run in runs)]
    if not shared:
        raise InputError("the runs have no metric in common")
    primary = tuple(name for name in runs[0].metrics.primary if name in shared)
    return Comparison(_table(runs, _joined(runs, shared)), primary)


def require_alike(one: FinishedRun, other: FinishedRun) -> None:
    """Raise InputError with the first setting in which the runs differ, and both values."""
    first, second = _fixed(one.settings), _fixed(other.settings)
    common = set(one.settings.metrics) & set(other.settings.metrics)
    for name in dict.fromkeys([*first, *second]):
        if name.startswith("metrics.") and name.removeprefix("metrics.") not in common:
            continue
        if first.get(name) != second.get(name):
            values = f"{first.get(name)!r} in {one.directory}, {second.get(name)!r} in {other.directory}"
            raise InputError(f"runs that cannot be compared: {name} is {values}")
    for here, there in ((one, other), (other, one)):
        if only := sorted(set(here.results["sample"]).difference(there.results["sample"])):
            raise InputError(
                f"runs that cannot be compared: {len(only)} samples are in {here.directory} and not in "
                f"{there.directory}, such as {only[0]!r}"
            )


def _fixed(settings: Config) -> dict[str, Any]:
    """Settings that must be equal, by their path in the configuration."""
    return {
        **{f"data.{name}": value for name, value in settings.data.items() if name not in PATHS},
        "model.frames": settings.model.frames, "model.sampling": settings.model.sampling, "target": settings.target,
        "imputers": sorted(settings.imputers),
        **{f"imputers.{label}": given for label, given in settings.imputers.items() if given},
        **{f"metrics.{label}": dict(given or {}) for label, given in settings.metrics.items()},
    }  # fmt: skip


def labels(runs: Sequence[FinishedRun]) -> list[str]:
    """Name each run by the settings that differ, such as `seed 1`; by its directory where that is not enough."""
    facts = [_facts(run) for run in runs]
    differing = [name for name in facts[0] if len({fact[name] for fact in facts}) > 1]
    names = [", ".join(f"{name} {fact[name]}" for name in differing) for fact in facts]
    alike = len(set(names)) < len(names)
    return [str(run.directory) for run in runs] if alike else names


def _facts(run: FinishedRun) -> dict[str, str]:
    model = run.settings.model
    name = f"{model.name}@{model.revision}" if model.revision else model.name
    return {"model": name, "dtype": model.dtype, "seed": str(run.settings.seed), "machine": run.machine}


def _joined(runs: Sequence[FinishedRun], metrics: Sequence[str]) -> Matrix:
    """Matrix of all runs' values; its methods are METHOD, a line break and the run's index."""
    tables = []
    for index, run in enumerate(runs):
        rows = scored(run.results)
        rows = rows[rows["metric"].isin(metrics)]
        tables.append(rows.assign(method=rows["method"].astype(str) + f"\n{index}"))
    return matrix(pd.concat(tables, ignore_index=True), runs[0].metrics)


def _table(runs: Sequence[FinishedRun], scores: Matrix) -> pd.DataFrame:
    resampling = Resampling(runs[0].settings.resamples, runs[0].settings.seed)
    ends = intervals(scores.totals(scores.values), resampling)
    names = labels(runs)
    rows = []
    for index, (column, name) in enumerate(zip(scores.columns, scores.methods, strict=True)):
        method, run = name.split("\n")
        given = runs[int(run)].settings.methods.get(method)
        rows.append({
            **column._asdict(), "method": method, "index": int(run),
            "run": names[int(run)], **_facts(runs[int(run)]), "parameters": json.dumps(given) if given else "",
            **ends[index]._asdict(),
        })  # fmt: skip
    keys = ["metric", "imputer", "method", "index"]
    table = pd.DataFrame(rows).merge(_differences(scores, runs[0].metrics.primary, resampling), how="left", on=keys)
    order = table.groupby(keys[:3], sort=False, dropna=False).ngroup()
    return table.assign(order=order).sort_values(["order", "index"], kind="stable")[COLUMNS].reset_index(drop=True)


def _differences(scores: Matrix, primary: Collection[str], resampling: Resampling) -> pd.DataFrame:
    """Differences of every run but the first to the first."""
    indices = {names: index for index, names in enumerate(zip(scores.columns, scores.methods, strict=True))}
    pairs = []
    for (column, name), index in indices.items():
        method, run = name.split("\n")
        first = indices.get((column, f"{method}\n0"))
        if run != "0" and first is not None:
            pairs.append(Pair(index, first))
    table = paired(scores, pairs, resampling)
    split = [str(name).split("\n") for name in table["method"]]
    family = table["metric"].isin(primary)
    names = {"low": "difference_low", "high": "difference_high"}
    return table.drop(columns=["videos", "control", "sd", "videos_needed"]).rename(columns=names).assign(
        method=[name for name, _ in split], index=np.array([int(run) for _, run in split], np.int64),
        p_holm=holm(table["p"].where(family).to_numpy(np.float64)),
    )  # fmt: skip
