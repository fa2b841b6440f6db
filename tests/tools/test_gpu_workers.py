"""The measurement of several processes on one GPU, by a tiny model on the CPU."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from tools import gpu_workers


@pytest.mark.slow
def test_one_and_two_processes_score_alike(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ["--model", "tiny", "--device", "cpu", "--dtype", "float32", "--frames", "2", "--videos", "2"]
    assert gpu_workers.main(tiny) == 0
    printed = capsys.readouterr().out
    assert re.search(r"│ 1 +│ +[\d.]+", printed) and re.search(r"│ 2 +│ +[\d.]+", printed)
    assert float(printed.split("between both runs:")[1]) == 0


def test_the_largest_difference_is_of_pairs(tmp_path: Path) -> None:
    rows = pd.DataFrame({"sample": ["a", "b"], "method": "m", "metric": "s", "imputer": [None, "blur"]})
    for name, values in (("one", [1.0, 2.0]), ("other", [3.5, 1.75])):
        (tmp_path / name).mkdir()
        rows.assign(value=values).sample(frac=1).to_parquet(tmp_path / name / "results.parquet")
    assert gpu_workers.largest_difference(tmp_path / "one", tmp_path / "other") == 2.5
