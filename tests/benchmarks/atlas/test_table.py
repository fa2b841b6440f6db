"""The long table of an atlas against SciPy, and the uncorrected test against its corrected twin."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from attrib.benchmarks.atlas.head_scores import STATISTICS
from attrib.benchmarks.atlas.table import COLUMNS, WHOLE_LAYER, head_table, rows
from attrib.benchmarks.stats.permutation import one_sided
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.stats.totals import totals

VIDEOS = [f"v{place}" for place in range(9)]


def values() -> np.ndarray:
    found = np.random.default_rng(2).normal(0.6, 0.1, (9, len(STATISTICS), 2, 3))
    found[:, 0, 1, 2] = np.nan  # a head without an object AUC
    found[:, 1, 0, 0] -= 0.15  # below its chance level
    return found


def test_every_head_and_statistic_has_a_row() -> None:
    given = values()
    table = head_table(given, VIDEOS, Resampling(400, 0))
    assert tuple(table.columns) == COLUMNS and len(table) == 6 * 6
    for (name, layer, head), part in table.groupby(["statistic", "layer", "head"]):
        column = given[:, STATISTICS.index(name), layer, head]
        assert part["mean"].item() == pytest.approx(column.mean(), nan_ok=True)
        assert part["videos"].item() == (~np.isnan(column)).sum()
    plain = table[~table["statistic"].isin(["object_auc", "shuffled_auc", "time_lift"])]
    assert plain[["chance", "p_max_t", "p_bh"]].isna().all(axis=None)
    assert table.set_index("statistic")["chance"].groupby(level=0).first()[["object_auc", "time_lift"]].tolist() == [
        0.5,
        0,
    ]


def test_p_values_are_one_sided_and_corrected() -> None:
    given = values()[:, 1].reshape(9, -1)
    table = rows(given, VIDEOS, [(0, head) for head in range(6)], "shuffled_auc", Resampling(4000, 1))
    single = stats.ttest_1samp(given, 0.5, alternative="greater").pvalue
    assert table["p_bh"].to_numpy() == pytest.approx(stats.false_discovery_control(single), abs=0.03)
    assert table["p_bh"][0] > 0.5 and table["p_max_t"][0] > 0.5 and table["p_max_t"][4] < 0.05
    assert (table["p_max_t"] >= single - 0.02).all() and table["p_max_t"][3] > 3 * single[3]
    difference = rows(given - 0.6, VIDEOS, [(0, WHOLE_LAYER)] * 6, "layer_knockout", Resampling(400, 0))
    assert (difference["chance"] == 0).all() and (difference["head"] == WHOLE_LAYER).all()


def test_one_sided_agrees_with_all_sign_flips() -> None:
    given = np.random.default_rng(3).normal(0.4, 1, size=(8, 3)) * [1, 10, 0.1]
    found = one_sided(totals(given, range(8)), Resampling(40_000))
    observed = stats.ttest_1samp(given, 0).statistic
    flipped = np.array([stats.ttest_1samp(given * np.array(signs)[:, None], 0).statistic
                        for signs in product((-1, 1), repeat=8)])  # fmt: skip
    assert found == pytest.approx((flipped >= observed - 1e-9).mean(axis=0), abs=0.01)
