"""The script for GPU machines, on a CPU and a tiny model; and the sizes of the official ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from tools import gpu


def test_it_checks_and_prices_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OUT", str(tmp_path))
    assert gpu.main(["tiny", "--device", "cpu", "--frames", "3", "--methods", "saliency", "attention_rollout"]) == 0
    record = json.loads((tmp_path / "tiny.json").read_text())
    assert record["model"] == "tiny" and record["faults"] == []
    assert {each["method"]: each["outcome"] for each in record["methods"]} == {
        "saliency": "runs", "attention_rollout": "runs",
    }  # fmt: skip
    assert "tiny, 3 frames" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "billions"), [("perception_lm_1b", 1.80), ("qwen3_vl_4b", 4.44)])
def test_the_official_sizes(name: str, billions: float) -> None:
    _, settings, _ = gpu.MODELS[name]()
    with torch.device("meta"):
        network = AutoModelForImageTextToText.from_config(settings)
    assert sum(each.numel() for each in network.parameters()) / 1e9 == pytest.approx(billions, abs=0.01)


def test_an_unknown_model_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu.main(["qwen"])
    assert "choose from tiny, perception_lm_1b, qwen3_vl_4b" in capsys.readouterr().err
