"""The built-in world: videos whose questions have exactly known evidence, and a tiny model that answers them."""

from __future__ import annotations

from pathlib import Path

CHECKPOINT = Path(__file__).with_name("checkpoint")
