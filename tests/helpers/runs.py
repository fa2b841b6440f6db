"""Helpers for tests that resume runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from attrib import config


def same_question(folder: Path, settings: Mapping[str, Any]) -> None:
    """Overwrite the stored configuration of the run in `folder`, so that only cache keys decide what is recomputed."""
    path = folder / "config.yaml"
    if path.exists():
        path.write_text(yaml.safe_dump(config.parse(settings).model_dump()))
