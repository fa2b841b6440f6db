"""Ten rows of the results in the README, from tables written by hand."""

from __future__ import annotations

import pytest

from tools.readme_table import BEGIN, END, ROWS, with_rows

HEAD = "| method | sanity | `srg` (blur) | `iou` | `object_auc` | `shuffled_auc` | `target_sensitivity` |"
RESULTS = "\n".join(
    ["Text.", "", HEAD, "| --- | --- | ---: | --- | ---: | ---: | ---: |"]
    + [f"| `{name}` | pass | {index}.0 | x | .5 | .6 | .7 |" for index, name in enumerate(reversed(ROWS))]
    + ["| `other` | fail | 1 | x | 1 | 1 | 1 |"]
)


def test_rows_and_columns_are_taken_by_name() -> None:
    text = with_rows(f"a\n\n{BEGIN}\nold\n{END}\n\nb\n", RESULTS)
    assert text.startswith(
        f"a\n\n{BEGIN}\n\n| method | `srg` (blur) | `object_auc` | `shuffled_auc` | `target_sensitivity` | sanity |\n"
        "| --- | ---: | ---: | ---: | ---: | --- |\n| `integrated_gradients` | 9.0 | .5 | .6 | .7 | pass |\n"
    )
    assert text.endswith(f"| `oracle` | 0.0 | .5 | .6 | .7 | pass |\n\n{END}\n\nb\n")
    assert with_rows(text, RESULTS) == text


def test_the_first_table_with_the_columns_is_taken() -> None:
    other = "| model | videos |\n| --- | ---: |\n| `lrp` | 3 |"
    second = RESULTS.replace(".0 |", ".5 |")
    assert with_rows(f"{BEGIN}\n{END}", f"{other}\n\n{RESULTS}\n\n{second}\n\n{other}\n") == with_rows(
        f"{BEGIN}\n{END}", f"{RESULTS}\n"
    )


def test_a_result_that_is_gone_is_an_error() -> None:
    with pytest.raises(KeyError, match="motion"):
        with_rows(f"{BEGIN}\n{END}", RESULTS.replace("`motion`", "`notion`"))
