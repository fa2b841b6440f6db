"""Question that a run directory answers: data, model, target and seed. A run of another question is refused there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from attrib import config, registry
from attrib.benchmarks.jobs.plan import ModelFacts, Plan
from attrib.config import Config
from attrib.errors import InputError, shown

MODEL = ("name", "revision", "dtype", "pixels", "frames", "sampling")
REMEDY = "choose another directory (-O), or start anew there (--replace)"


def refuse_other_question(directory: Path, plan: Plan) -> None:
    """Raise InputError, before anything is written, if the directory has a run of another question.

    A run without a readable config.yaml counts as such, since the origin of its results is unknown.
    """
    if not holds_run(directory):
        return
    try:
        earlier = config.parse(config.read(directory / "config.yaml"))
    except InputError as error:
        raise InputError(f"{directory} holds a run without a readable config.yaml ({error}); {REMEDY}") from error
    before, now = question(earlier, plan.facts), question(plan.config, plan.facts)
    for name in {**before, **now}:
        old, new = before.get(name), now.get(name)
        if old != new:
            difference = f"{name} {shown(old)}, this configuration has {shown(new)}"
            raise InputError(f"{directory} holds a run with {difference}; {REMEDY}")


def holds_run(directory: Path) -> bool:
    """Return whether a directory has files that only a run writes."""
    return any((directory / name).exists() for name in ("config.yaml", "items", "log.jsonl", "results.parquet"))


def question(settings: Config, facts: ModelFacts) -> dict[str, Any]:
    """Settings that determine the results, by their path, with the frames and the dtype that `auto` really has."""
    model = {f"model.{name}": getattr(settings.model, name) for name in MODEL}
    data = {f"data.{name}": value for name, value in _data(settings.data).items()}
    if settings.model.dtype == "auto":
        model["model.dtype"] = facts.dtype
    model["model.frames"] = settings.model.frames or facts.frames
    return {**data, **model, "target": settings.target, "seed": settings.seed}


def _data(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Name and parameters of the data set with defaults; without them if it is no longer registered."""
    try:
        kind = registry.get("datasets", str(settings.get("name")))
    except InputError:
        return dict(settings)
    defaults = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    return {"name": settings.get("name"), **defaults, **settings}
