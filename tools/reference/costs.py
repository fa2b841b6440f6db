"""Cost of a map by method: seconds from the results, passes of the model from what the volumes report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attrib.benchmarks.jobs.store import file_name
from attrib.types import SaliencyVolume
from tools.reference.scores import ReferenceRun
from tools.reference.text import table as lines_of

PASSES = {"forwards": "forward_evaluations", "gradients": "gradient_evaluations"}


def seconds(one: ReferenceRun) -> dict[str, float]:
    """Median seconds of a map by method."""
    maps = one.run.results.drop_duplicates(["sample", "method"])
    return {str(method): float(median) for method, median in maps.groupby("method")["seconds"].median().items()}


def passes(one: ReferenceRun, method: str) -> dict[str, float]:
    """Median numbers of forward passes and gradients of a map; empty where the method's volumes report none."""
    counts: dict[str, list[float]] = {}
    for path in sorted((one.run.directory / "volumes").glob(f"*/{file_name(method)}.npz")):
        reports = SaliencyVolume.load(path).provenance.reports
        for name, report in PASSES.items():
            if report in reports:
                counts.setdefault(name, []).append(reports[report])
    return {name: float(np.median(values)) for name, values in counts.items()}


def costs(runs: Sequence[ReferenceRun]) -> list[str]:
    """Table of every row's cost with each model."""
    known = [seconds(one) for one in runs]
    head = [f"{name}, `{one.model}`" for one in runs for name in (*PASSES, "seconds")]
    rows = []
    for method in runs[0].run.settings.methods:
        cells: list[str] = []
        for one, of in zip(runs, known, strict=True):
            counted = passes(one, method)
            cells += [f"{counted[name]:,.0f}" if name in counted else "" for name in PASSES]
            cells.append(f"{of[method]:.3g}" if method in of and not np.isnan(of[method]) else "")
        rows.append([f"`{method}`", *cells])
    return lines_of(["method", *head], rows)
