from __future__ import annotations

from pathlib import Path

import pytest

from attrib.benchmarks.export.examples import choice, examples, short, shown_methods
from attrib.benchmarks.export.numbers import Numbers

import export_cases as cases
from board_cases import results

VALUES = {"a": [0.9, 0.2, 0.6, 0.7], "b": [0.3], "c": [0.8, 0.4]}  # by task


@pytest.fixture
def numbers(tmp_path: Path) -> Numbers:
    rows, count = [], 0
    for task, values in VALUES.items():
        for value in values:
            for method, score in (("relevance", value), ("grad_cam", 0.1), ("motion", 0.2)):
                rows.append((f"s{count}", f"v{count}", task, method, "object_auc", None, score))
            count += 1
    return Numbers(cases.written(tmp_path, results(rows)))


def test_best_median_and_worst_of_each_task_by_hand(numbers: Numbers) -> None:
    by = choice(numbers)
    assert by is not None and (by.column.metric, by.method) == ("object_auc", "relevance")
    found = [(item.task, item.why, item.value, item.of) for item in examples(numbers, ("best", "median", "worst"))]
    assert found == [
        ("a", "best", 0.9, 4), ("a", "median", 0.6, 4), ("a", "worst", 0.2, 4),  # the lower of two in the middle
        ("c", "best", 0.8, 2), ("c", "median", 0.4, 2),
        ("b", "median", 0.3, 1),
    ]  # fmt: skip


def test_the_exception_is_the_lowest_of_those_not_shown_yet(numbers: Numbers) -> None:
    found = examples(numbers, ("median", "exception"))
    assert [(item.task, item.value) for item in found] == [("a", 0.6), ("c", 0.4), ("b", 0.3), ("a", 0.2)]
    assert found[-1].why == "exception"


def test_a_control_is_shown_beside_two_methods(numbers: Numbers) -> None:
    assert shown_methods(numbers) == ["relevance", "grad_cam", "motion"]


def test_without_values_there_is_no_choice(tmp_path: Path) -> None:
    rows = results([("s", "v", "t", "relevance", "object_auc", None, float("nan"))])
    numbers = Numbers(cases.written(tmp_path, rows))
    assert choice(numbers) is None and examples(numbers, ("median",)) == [] and shown_methods(numbers) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.834, ".83"), (-0.05, "\u2212.05"), (1.0, "1.00"), (7.781, "7.78"), (-0.001, ".00"), (0.999, "1.00"),
     (float("nan"), "undefined"), (float("inf"), "undefined")],
)  # fmt: skip
def test_short_numbers(value: float, text: str) -> None:
    assert short(value) == text
