"""Built-in world: videos with questions whose evidence is exactly known, and a tiny model that answers them."""

from __future__ import annotations

from pathlib import Path

CHECKPOINTS = {"demo": Path(__file__).with_name("checkpoint"), "demo-qwen": Path(__file__).with_name("checkpoint_qwen")}
