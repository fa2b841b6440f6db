"""Built-in world: videos with questions whose evidence is exactly known, and a tiny model that answers them."""

from __future__ import annotations

from pathlib import Path

CHECKPOINT = Path(__file__).with_name("checkpoint")
