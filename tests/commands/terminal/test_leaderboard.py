from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import Console

from attrib.commands.terminal import leaderboard

METHODS = ("integrated_gradients", "grad_cam", "centre")
METRICS = (
    "lift",
    "counterfactual_deletion",
    "deletion",
    "object_auc",
    "segment_shuffled_auc",
    "srg",
    "roc_auc",
    "mass",
)

PRIMARY = ("srg", "object_auc", "segment_shuffled_auc")


def board(metrics: tuple[str, ...] = METRICS) -> pd.DataFrame:
    rows = [
        {
            "subset": "all", "method": method, "metric": metric, "imputer": "blur" if metric == "deletion" else None,
            "direction": "low" if metric == "deletion" else "high", "mean": 0.6 - 0.1 * place, "low": 0.5, "high": 0.7,
            "chance": 0.5, "p_holm": 0.01 if (place, metric) == (0, "srg") else 0.05,
            "control": None if method == "centre" else "centre", "control_mean": None if method == "centre" else 0.4,
        }
        for place, method in enumerate(METHODS) for metric in metrics
    ]  # fmt: skip
    return pd.DataFrame(rows)


def printed(rows: pd.DataFrame, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    found = leaderboard.board_of(rows, "all", PRIMARY, width)
    for table in found.tables:
        assert Console(width=400).measure(table).maximum <= width
        console.print(table)
    console.print(*found.notes)
    return console.export_text()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_every_number_stands_with_its_interval_chance_and_best_control(width: int) -> None:
    text = printed(board(), width)
    assert text.count(".60 [.50, .70]") == len(METRICS)
    assert text.count(".60 [.50, .70]*") == 1, "srg of the first method alone; .05 is not below .05"
    assert text.count(".40 centre") == len(METRICS)
    assert "* beats every control" in text
    assert "Not shown" not in text


def test_primary_metrics_come_first_and_those_without_room_are_named() -> None:
    metrics = (*(f"metric_number_{number}" for number in range(10, 26)), "object_auc", "srg")
    text = printed(board(metrics), 80)
    lines = text.splitlines()
    (head,) = [line for line in lines if "srg ↑" in line]
    assert head.index("srg ↑") < head.index("object_auc ↑") < head.index("10 ↑")
    _, _, hidden = " ".join(lines).partition("Not shown, in leaderboard.csv: ")
    assert [name for name in metrics if name in hidden] == list(metrics[14:16])
    assert "metric_number_19" not in hidden


def test_the_best_mean_is_bold_in_the_metric_s_direction() -> None:
    for metric, best in (("lift", 0), ("deletion", 2)):
        (table,) = leaderboard.board_of(board((metric,)), "all", PRIMARY, 80).tables
        cells = list(table.columns[1].cells)
        bold = [place for place, cell in enumerate(cells) if any("bold" in str(span.style) for span in cell.spans)]
        assert bold == [best]


def test_undefined_is_said_and_an_empty_subset_gives_no_table() -> None:
    rows = board(("lift",)).assign(mean=float("nan"), low=float("nan"), high=float("nan"), chance=float("nan"))
    text = printed(rows, 80)
    assert text.count("undefined") == 3
    assert "see random" in text
    assert leaderboard.board_of(rows, "gated", PRIMARY, 80) == ([], [])


def test_the_primary_metrics_are_those_given_whatever_their_names() -> None:
    shown = leaderboard.board_of(board(), "all", ("mass",), 400).tables
    assert [str(column.header).split()[0] for column in shown[0].columns][1] == "mass"


def test_the_name_of_the_best_control_is_cut_where_it_is_wider_than_the_numbers() -> None:
    rows = board(("srg",)).assign(control="a_control_with_a_long_name")
    assert ".40 a_control" in printed(rows, 80) and "a_control_with_a_long_name" not in printed(rows, 80)
