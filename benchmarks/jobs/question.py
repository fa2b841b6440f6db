"""The question that a run directory answers (data, model, target, seed): a run of another one is refused there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from attrib import config, registry
from attrib.benchmarks.jobs.plan import Plan
from attrib.config import Config
from attrib.errors import InputError, shown

MODEL = ("name", "revision", "dtype", "frames", "sampling")
WAY_ON = "choose another directory (-O), or start anew there (--replace)"


def refuse_other_question(directory: Path, plan: Plan) -> None:
    """Raise InputError, before anything is written, where the directory holds a run of another question.

    A run whose config.yaml is missing or cannot be read counts as one: nobody can tell what its results are of.
    """
    if not holds_run(directory):
        return
    try:
        earlier = config.parse(config.read(directory / "config.yaml"))
    except InputError as error:
        raise InputError(f"{directory} holds a run, but not what it was asked ({error}); {WAY_ON}") from error
    before, now = question(earlier, plan.model.frames), question(plan.config, plan.model.frames)
    for name in {**before, **now}:
        old, new = before.get(name), now.get(name)
        if old != new:
            difference = f"{name} {shown(old)}, this configuration has {shown(new)}"
            raise InputError(f"{directory} holds a run with {difference}; {WAY_ON}")


def holds_run(directory: Path) -> bool:
    """Whether a directory has files that only a run writes."""
    return any((directory / name).exists() for name in ("config.yaml", "items", "log.jsonl", "results.parquet"))


def question(settings: Config, frames: int) -> dict[str, Any]:
    """Settings that decide what the results are of, by their path; `frames` is the model's own number of frames."""
    model = {f"model.{name}": getattr(settings.model, name) for name in MODEL}
    data = {f"data.{name}": value for name, value in _data(settings.data).items()}
    model["model.frames"] = settings.model.frames or frames
    return {**data, **model, "target": settings.target, "seed": settings.seed}


def _data(given: Mapping[str, Any]) -> dict[str, Any]:
    """The data set's name and parameters, defaults included; as given where it is not registered any more."""
    try:
        kind = registry.get("datasets", str(given.get("name")))
    except InputError:
        return dict(given)
    defaults = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    return {"name": given.get("name"), **defaults, **given}
