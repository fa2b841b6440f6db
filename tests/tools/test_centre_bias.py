"""Centre bias simulated: plain metrics reward the blob in the middle, corrected ones do not."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest

from tools import centre_bias


def test_centre_bias_flatters_plain_metrics_and_not_the_corrected_ones() -> None:
    """24 videos with boxes jittered round the centre; the controls are those of the benchmark."""
    found = centre_bias.measured(24)
    assert found.loc["centre", "roc_auc"] > 0.85
    assert found.loc["centre", "nss"] > 1.3
    assert found.loc["centre", "lift"] > 2
    assert found.loc["centre", "shuffled_auc"] == pytest.approx(0.5, abs=1e-9)
    assert found.loc["centre", "information_gain"] < -0.5
    assert found.loc["dataset_prior", "roc_auc"] > 0.9
    assert found.loc["dataset_prior", "shuffled_auc"] == pytest.approx(0.5, abs=0.05)
    assert found.loc["dataset_prior", "information_gain"] == pytest.approx(0, abs=1e-6)
    assert found.loc["oracle", "shuffled_auc"] > 0.75  # boxes overlap
    assert found.loc["oracle", "information_gain"] > 1.2
    pd.testing.assert_frame_equal(centre_bias.measured(24), found)
    with pytest.raises(AssertionError):
        pd.testing.assert_frame_equal(centre_bias.measured(24, seed=1), found)


def test_centre_bias_is_printed_with_the_same_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["centre_bias", "--videos", "3", "--json"])
    centre_bias.main()
    printed = json.loads(capsys.readouterr().out)
    assert printed["means"] == centre_bias.measured(3).to_dict(orient="index")
    monkeypatch.setattr(sys, "argv", ["centre_bias", "--videos", "1"])
    with pytest.raises(SystemExit, match="2"):
        centre_bias.main()
