"""The table of docs/results.md, from files written by hand."""

from __future__ import annotations

from pathlib import Path

from tools.results_table import table

LEADERBOARD = """subset,method,metric,imputer,mean,low,high,chance
all,lrp,object_auc,,0.79,0.55,0.931,0.5
all,lrp,srg,blur,5.134,1.96,7.81,0
all,tam,object_auc,,,,,0.5
all,tam,srg,blur,2,,,0
gated,lrp,object_auc,,0.1,0.1,0.1,0.5
"""
SANITY = """method,part,verdict
lrp,vision,pass
lrp,language,fail
lrp,both,fail
tam,vision,undefined
tam,language,undefined
tam,both,undefined
"""


def test_the_table_has_means_with_intervals_and_verdicts(tmp_path: Path) -> None:
    (tmp_path / "leaderboard.csv").write_text(LEADERBOARD)
    (tmp_path / "sanity.csv").write_text(SANITY)
    assert table(tmp_path) == [
        "| method | `srg` (blur) | `object_auc` | sanity |",
        "| --- | ---: | ---: | --- |",
        "| `lrp` | 5.13 [1.96, 7.81] | 0.79 [0.55, 0.93] | fails on the language model and both |",
        "| `tam` | 2.00 | undefined | undefined |",
        "| chance | 0.00 | 0.50 |  |",
    ]
