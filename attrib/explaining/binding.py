"""The model that settings describe, bound to a clip and a question."""

from __future__ import annotations

from attrib import config, models
from attrib.model import VideoModel


def load(section: config.ModelSection) -> VideoModel:
    """The model that a configuration's section describes."""
    return models.load(
        section.name, device=section.device, dtype=section.dtype, revision=section.revision, offline=section.offline
    )
