"""Tables of results for tests of the leaderboard and its statistics."""

from __future__ import annotations

import numpy as np
import pandas as pd

NAN = float("nan")


def results(rows: list[tuple[str, str, str, str, str, str | None, float]]) -> pd.DataFrame:
    """Results with these columns (sample, video, task, method, ...); chance .5, answered correctly, not gated."""
    table = pd.DataFrame(rows, columns=["sample", "video", "task", "method", "metric", "imputer", "value"])
    return table.assign(chance=0.5, correct=True, gated=False, vision=None).astype(
        {"imputer": "string", "correct": "boolean", "gated": "boolean", "vision": "boolean"}
    )


def skilled(videos: int, seed: int = 0, skill: float = 1.0) -> pd.DataFrame:
    """Results in which `good` beats three controls on both metrics and `poor` does not; lower `deletion` is better."""
    generator = np.random.default_rng(seed)
    level = {"good": skill, "poor": -0.2, "uniform": 0.0, "random": 0.05, "centre": -0.05, "oracle": 2 * skill}
    rows = []
    for video in range(videos):
        for method, gain in level.items():
            noise = generator.normal(0, 0.2, 2)
            rows.append((f"s{video}", f"v{video}", f"t{video % 2}", method, "object_auc", None, gain + noise[0]))
            rows.append((f"s{video}", f"v{video}", f"t{video % 2}", method, "deletion", "blur", noise[1] - gain))
    return results(rows)
