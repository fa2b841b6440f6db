"""Conformance check of model families, on a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrib import models
from attrib.model import VideoModel

if TYPE_CHECKING:
    from attrib.models.checking.report import ModelReport
    from attrib.types import Clip


def check_model(model: str | VideoModel, clip: Clip | None = None, methods: Sequence[str] = ()) -> ModelReport:
    """Raise AssertionError unless the adapter gives what the official processor and the plain network give.

    `model` is a loaded one, a checkpoint directory, or a Hugging Face id; `clip` is 5 frames of noise by default;
    `methods` name registered ones to run too. Returns the report with every number. Raises InputError for a model that
    cannot be loaded.
    """
    from attrib.models.checking.report import noise, report  # transformers takes seconds to import

    loaded = models.load(model) if isinstance(model, str) else model
    found = report(loaded, clip or noise(loaded, 5), methods)
    assert not found.faults, "; ".join(found.faults)
    return found
