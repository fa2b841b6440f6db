"""Runs for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from attrib import config


def same_question(folder: Path, settings: Mapping[str, Any]) -> None:
    """Let the run in `folder` seem to be of these settings' question: only keys then decide what is computed again."""
    path = folder / "config.yaml"
    if path.exists():
        path.write_text(yaml.safe_dump(config.parse(settings).model_dump()))
