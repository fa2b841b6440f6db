from __future__ import annotations

import pytest

import attrib
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.jobs.finished_run import FinishedRun, read

import export_cases as cases

TASKS = {"Where is the cup?": 4, "What moves, $x_1$ or *y*?": 3}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Two tasks, seven videos, six methods, two partners for each map."""
    results = cases.rows(TASKS, cases.SKILL)
    return cases.written(tmp_path_factory.mktemp("made"), results, cases.partners(results, 2))


@pytest.fixture(scope="session")
def numbers(made: FinishedRun) -> Numbers:
    return Numbers(made)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A benchmark of the built-in model, as small as can be."""
    folder = tmp_path_factory.mktemp("real")
    settings = {
        "data": {"name": "demo", "videos": 2, "seed": 3, "root": str(folder / "world"), "counterfactuals": False},
        "methods": dict.fromkeys(("relevance", "raw_attention", "motion")),
        "metrics": {"srg": None, "object_auc": None}, "imputers": ["blur"], "overlays": 0, "resamples": 100,
    }  # fmt: skip
    attrib.bench(settings, folder / "run")
    return read(folder / "run")
