"""`attrib check` as a user meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_square_frames
from tiny_families import BUILDERS

from attrib import video
from attrib.models.checking.checks import CHECKS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BUILDERS["qwen3_5"](tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    frames = np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), dtype=np.uint8)
    video.write(tmp_path / "clip.mp4", frames, np.arange(6) / 2, 3.0)
    return tmp_path / "clip.mp4"


def test_the_built_in_model_holds_in_80_columns(attrib: Run) -> None:
    code, out, err = attrib("check", "demo", "--frames", 3, "--method", "centre", "--method", "oracle")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    for check in CHECKS:
        (row,) = [line for line in out.splitlines() if line.startswith(f"{check.name}  ")]
        assert " holds " in row
    assert "refused: oracle: needs evidence, tracks" in out
    for word in ("revision", "versions   attrib", "torch", "transformers", "device     cpu", "float32", "3 frames"):
        assert word in out


def test_json_has_every_number_and_refusals_are_no_faults(attrib: Run, tiny: Path, clip: Path) -> None:
    """Its decoder is hybrid: what needs every layer is refused, by the checks and by the methods."""
    code, out, _ = attrib("check", tiny, "--video", clip, "--frames", 4, "--method", "relevance", "--method",
                          "token_norm", "--json")  # fmt: skip
    found = json.loads(out)
    assert code == 0 and found["faults"] == []
    checks = {each["name"]: each for each in found["checks"]}
    assert list(checks) == [check.name for check in CHECKS]
    assert checks["log p of the options"]["verdict"] == "holds" and checks["log p of the options"]["value"] < 1e-5
    assert (
        checks["attention rows"]["verdict"] == "refused" and "show no attention" in checks["attention rows"]["reason"]
    )
    methods = {each["method"]: each for each in found["methods"]}
    assert methods["relevance"]["outcome"] == "refused" and "show no attention" in methods["relevance"]["reason"]
    assert methods["token_norm"]["outcome"] == "runs" and methods["token_norm"]["seconds"] > 0
    assert "4 frames 64x48" in found["setting"]["clip"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody/nothing", "--set", "model.offline=true"], "nobody/nothing"),
        (["no_such_model"], "unknown model 'no_such_model'"),
        (["."], "config.json"),
        (["demo", "--video", "missing.mp4"], "missing.mp4"),
        (["demo", "--method", "relevanse"], "did you mean 'relevance'?"),
        (["demo", "--method", "none", "--method", "centre"], "--method none"),
        (["perception_lm"], "is a family"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(attrib: Run, arguments: list[str], message: str, tmp_path: Path,
                               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, out, err = attrib("check", *arguments)
    assert (code, out) == (2, "")
    assert message in err and err.count("\n") == 1 and "Traceback" not in err


def test_a_frame_too_few_for_the_official_processor_is_bad_input(attrib: Run, tiny: Path) -> None:
    code, out, err = attrib("check", tiny, "--frames", 1, "--method", "none")
    assert (code, out) == (2, "")
    assert "the official processor does not take this clip" in err and err.count("\n") == 1


def test_a_model_that_crops_is_checked_on_square_noise_and_refuses_a_wide_video(
    attrib: Run, tmp_path: Path, clip: Path
) -> None:
    model = tiny_square_frames.llava_next_video(tmp_path / "model")
    code, out, _ = attrib("check", model, "--frames", 3, "--method", "none", "--json")
    found = json.loads(out)
    assert code == 0 and found["faults"] == [] and "120x120" in found["setting"]["clip"]
    code, _, err = attrib("check", model, "--video", clip, "--frames", 3, "--method", "none")
    assert code == 2 and "would cut frames of 64 x 48 pixels to the 48 x 48 in their centre" in err
    assert len(err.splitlines()) == 1
