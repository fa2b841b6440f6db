"""Time and memory of a benchmark's tables on scores drawn at random: `python -m tools.speed.tables --videos 600`.

Draws results.parquet and nulls.parquet of a run of many videos: tasks, areas, failed maps, undefined scores. Prints the
processor's seconds of each table and the process's peak of memory while they are computed, beside what it held before:
libraries and the drawn results.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import MISSING, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
from numpy.typing import NDArray

from attrib import config
from attrib.benchmarks.checks import schema
from attrib.benchmarks.checks.nulls import primary
from attrib.benchmarks.jobs import directory
from attrib.benchmarks.stats.products import Floats
from attrib.benchmarks.tables import agreement, corrected, exceptions, leaderboard, ranks, tasks, write
from attrib.config import Config, Entry
from attrib.runtime.memory import peak_memory

BUILDERS: tuple[Any, ...] = (leaderboard, ranks, agreement, tasks, exceptions)
CONTROLS = ("uniform", "random", "centre", "motion", "oracle")
METHODS = (
    "grad_cam", "saliency", "smoothgrad", "input_x_gradient", "integrated_gradients", "gradient_shap", "lrp",
    "attention_rollout", "attention_gradient", "relevance", "raw_attention", "legrad", "localization_heads", "tam",
    "occlusion",
)  # fmt: skip
METRICS = (
    "srg", "deletion", "insertion", "comprehensiveness", "sufficiency", "flip_rate", "infidelity", "completeness",
    "sparseness", "entropy", "mass", "lift", "log2_lift", "log2_lift_time", "log2_lift_space", "rank_accuracy",
    "average_precision", "roc_auc", "pointing", "object_auc", "shuffled_auc", "information_gain", "nss", "pearson",
    "spearman", "counterfactual_deletion", "target_sensitivity", "segment_energy", "segment_lift", "segment_auc",
    "segment_ap", "segment_shuffled_auc", "segment_pointing",
)  # fmt: skip  # 40 columns with two imputers
AREAS = ("memory", "abstraction", "physics", "semantics")
REASONING = ("descriptive", "explanatory", "predictive", "counterfactual")
FAILED, UNDEFINED, WITHOUT_SEGMENTS = 0.005, 0.02, 0.3  # shares of maps, of a metric's samples, of samples


@dataclass(frozen=True)
class Size:
    """Size of a run: videos, samples of each, methods with controls, tasks, and partners of each map."""

    videos: int
    samples: int = 1
    methods: int = 20
    tasks: int = 24
    partners: int = 19


def settings(size: Size, resamples: int) -> Config:
    """Return a configuration of so many methods, five of them controls and bounds, and of all METRICS."""
    methods = (*METHODS[: size.methods - len(CONTROLS)], *CONTROLS)
    return config.parse({
        "methods": dict.fromkeys(methods), "metrics": dict.fromkeys(METRICS), "imputers": ["blur", "mean"],
        "resamples": resamples, "null_pairs": size.partners,
    })  # fmt: skip


def samples(size: Size, generator: np.random.Generator) -> pd.DataFrame:
    """Return a row for each sample: its names, its answer's flags and its groups; in the data set's order."""
    count = size.videos * size.samples
    task = generator.integers(0, size.tasks, count)
    video = np.repeat(np.arange(size.videos), size.samples)
    return pd.DataFrame({
        "sample": [f"video_{of}_{turn % size.samples}" for turn, of in enumerate(video)],
        "video": [f"video_{of}" for of in video], "task": [f"question {name}?" for name in task],
        "area": np.array(AREAS)[task % 4], "reasoning": np.array(REASONING)[task // 4 % 4], "rule": "tracks",
        "answer": "A", "letter_mass": 0.9, "correct": generator.random(count) < 0.7,
        "gated": generator.random(count) < 0.4,
    })  # fmt: skip


def results(settings: Config, size: Size, seed: int = 0) -> pd.DataFrame:
    """Draw results.parquet: samples x methods x metrics, with failed maps (one row each) and undefined scores."""
    generator = np.random.default_rng(seed)
    asked, metrics = samples(size, generator), config.metric_entries(settings)
    shape = len(asked), len(settings.methods), len(metrics)
    at, method, metric = (each.ravel() for each in np.indices(shape, dtype=np.int32))
    failed = _spread(generator.random((*shape[:2], 1)) < FAILED, shape)
    timed = np.array([entry.label.startswith("segment") for entry in metrics])
    undefined = generator.random((shape[0], 1, shape[2])) < UNDEFINED
    undefined = _spread(undefined | (timed & (generator.random((shape[0], 1, 1)) < WITHOUT_SEGMENTS)), shape) & ~failed
    value, imputed = _values(shape, metrics, generator).ravel(), [bool(_imputer(entry)) for entry in metrics]
    own = {
        "method": _named(list(settings.methods), method),
        "metric": _named([*(entry.label for entry in metrics), ""], np.where(failed, len(metrics), metric)),
        "imputer": _named([*map(_imputer, metrics), None], np.where(failed, len(metrics), metric)),
        "value": np.where(failed | undefined, np.nan, value), "chance": np.where(failed | ~timed[metric], np.nan, 0.5),
        "reason": _named(["", "no track is visible"], undefined), "error": _named(["", "no gradient"], failed),
        "vision": pd.array(value > 0.2).astype("boolean"), "seconds": 0.1, "peak_memory": 1,
    }  # fmt: skip
    table = pd.DataFrame({**{name: _named(asked[name].tolist(), at) for name in asked}, **own})
    table.loc[~np.array(imputed)[metric], "vision"] = pd.NA
    table = table[~failed | (metric == 0)][list(directory.COLUMNS)]
    return table.astype(directory.COLUMNS).reset_index(drop=True)


def nulls(settings: Config, results: pd.DataFrame, size: Size, seed: int = 1) -> pd.DataFrame:
    """Draw nulls.parquet: each map on the annotation of other samples of its task, by the primary alignment metrics."""
    generator = np.random.default_rng(seed)
    labels = {entry.label for entry in primary(config.metric_entries(settings))}
    own = results[results["metric"].isin(labels)].reset_index(drop=True)
    by_task = {task: rows["sample"].unique() for task, rows in own.groupby("task")}
    partner = {
        sample: others[(at + 1 + np.arange(size.partners)) % len(others)]
        for others in by_task.values() for at, sample in enumerate(others)
    }  # fmt: skip
    table = own.loc[own.index.repeat(size.partners), ["sample", "video", "task", "method", "metric"]]
    table = table.reset_index(drop=True).assign(null="pairing", reason="", error="")
    table["partner"] = np.concatenate([partner[sample] for sample in own["sample"]])
    undefined = own[own["value"].isna()][["sample", "metric"]].drop_duplicates()
    lacking = pd.MultiIndex.from_frame(table[["partner", "metric"]]).isin(pd.MultiIndex.from_frame(undefined))
    table["value"] = np.where(lacking, np.nan, generator.beta(4, 4, len(table)))
    return table[list(schema.COLUMNS["nulls"])].astype(schema.COLUMNS["nulls"])


def _imputer(metric: Entry) -> str | None:
    return metric.parameters.get("imputer")


def _spread(given: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return np.broadcast_to(given, shape).ravel()


def _named(names: Sequence[Any], codes: NDArray[Any]) -> pd.Categorical:
    """Return names[code] of each code; None where the name is missing."""
    which, different = pd.factorize(np.array(names, object))
    return pd.Categorical.from_codes(which[codes.astype(np.intp)], different)


def _values(shape: tuple[int, ...], metrics: Sequence[Entry], generator: np.random.Generator) -> Floats:
    """Values (samples, methods, metrics) that share levels of video and method; ratios log-normal, hits 0 or 1."""
    level = 0.1 * generator.normal(size=(shape[0], 1, shape[2])) + 0.05 * generator.normal(size=(1, *shape[1:]))
    values = 0.5 + level + 0.1 * generator.normal(size=shape)
    for index, entry in enumerate(metrics):
        if entry.item.ratio:
            values[..., index] = np.exp(values[..., index])
        if "pointing" in entry.label:
            values[..., index] = values[..., index] > 0.5
    return values


@contextmanager
def timed(seconds: dict[str, float]) -> Iterator[None]:
    """Add the processor's seconds of each table's `build` to `seconds` within the context."""
    before = {module: module.build for module in BUILDERS}
    for module, build in before.items():
        module.build = partial(_counted, seconds, module.__name__.rpartition(".")[2], build)
    try:
        yield
    finally:
        for module, build in before.items():
            module.build = build


def _counted(seconds: dict[str, float], name: str, function: Callable[..., Any], *given: Any) -> Any:
    start = time.process_time()
    result = function(*given)
    seconds[name] = seconds.get(name, 0.0) + time.process_time() - start
    return result


def measure(size: Size, resamples: int, output: Path) -> dict[str, float]:
    """Draw the scores, write all tables to `output`, and return seconds and GiB by name."""
    given = settings(size, resamples)
    scores = results(given, size)
    null = nulls(given, scores, size) if size.partners else None
    seconds: dict[str, float] = {}
    _forget_peak()
    held, begun, metrics = psutil.Process().memory_info().rss, time.perf_counter(), config.metric_entries(given)
    with timed(seconds):
        scores = _counted(seconds, "corrected", corrected.with_corrected, scores, null, metrics)
        tables = _counted(seconds, "summarise, all of it", write.summarise, scores, null, metrics, given)
        _counted(seconds, "write", write.write, output, tables)
    return {
        "rows of results": len(scores), "rows of nulls": 0 if null is None else len(null), **seconds,
        "wall time": time.perf_counter() - begun, "GiB before": held / 2**30,
        "GiB at the peak": peak_memory(torch.device("cpu")) / 2**30,
    }  # fmt: skip


def _forget_peak() -> None:
    """Start the count of the process's peak anew, so that it is that of the tables; on Linux only."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Size):
        default = None if field.default is MISSING else field.default
        parser.add_argument(f"--{field.name}", type=int, default=default or 600)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--output", type=Path, help="directory of the tables; default: none is kept")
    given = vars(parser.parse_args())
    resamples, output = given.pop("resamples"), given.pop("output")
    with tempfile.TemporaryDirectory() as place:
        if output:
            output.mkdir(parents=True, exist_ok=True)
        for name, value in measure(Size(**given), resamples, output or Path(place)).items():
            print(f"{name:<24}{value:>14,.2f}", flush=True)


if __name__ == "__main__":
    main()
