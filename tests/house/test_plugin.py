"""A third-party package, really installed: listed, checked and benchmarked with no edit to attrib."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_square_frames import llava

from attrib import registry
from attrib.errors import UnknownName

from installing import copy_tracked, install, python

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent


# Lists, checks and benchmarks in one process, since starting torch takes longer; writes what each printed as JSON.
PROGRAM = """
import contextlib, io, json, sys
import numpy as np, torch
from attrib import registry
from attrib.cli import main
from attrib.config import build
from attrib.errors import ConfigError
from attrib.testing import check_method, toy_subject

def attrib(*line):
    sys.argv = ["attrib", *line]
    with contextlib.redirect_stdout(io.StringIO()) as told, contextlib.suppress(SystemExit):
        main()
    return told.getvalue()

def checks():
    SmoothGrad = registry.get("methods", "plain_smoothgrad")
    assert SmoothGrad.__module__ == "attrib_smoothgrad"
    check_method(SmoothGrad())
    check_method(SmoothGrad(samples=3, sigma=0.02))

    subject = toy_subject()  # without noise it is the plain gradient
    found = SmoothGrad(samples=3, sigma=0.0).attribute(subject).values
    pixels = subject.pixels[None].requires_grad_()
    (gradient,) = torch.autograd.grad(subject.score(pixels).sum(), pixels)
    assert float(abs(found).max()) > 1e-3
    np.testing.assert_allclose(found, gradient[0].sum(1).numpy(), rtol=1e-5, atol=1e-9)

    try:
        build("methods", "plain_smoothgrad", {"samples": 0})
    except ConfigError as error:
        return str(error)

print(json.dumps({
    "list": attrib("list", "methods", "--json"), "checks": checks(),
    "bench": attrib("bench", "small.yaml", "-O", "run", "--json"),
    "model": attrib("check", "./llava", "--frames", "3", "--method", "plain_smoothgrad", "--json"),
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plugin")


@pytest.fixture(scope="module")
def printed(folder: Path) -> dict[str, str]:
    """Output of `list`, of the checks and of `bench` where the package is installed."""
    (folder / "small.yaml").write_text(
        f"data: {{name: demo, videos: 2, root: {folder / 'data'}}}\n"
        "methods:\n  plain_smoothgrad: {samples: 2}\n  uniform:\n"
        "metrics:\n  object_auc:\n  mass:\nresamples: 100\noverlays: 0\n"
    )
    llava(folder / "llava")
    site = install(copy_tracked(folder, "tests/plugin") / "tests" / "plugin", folder / "site")
    return json.loads(python(["-c", PROGRAM], site, folder, ROOT))


def test_its_method_is_listed_with_its_source(printed: dict[str, str]) -> None:
    listed = json.loads(printed["list"])["methods"]
    (found,) = [entry for entry in listed if entry["name"] == "plain_smoothgrad"]
    assert found["source"] == "attrib-example 0.3.0"
    assert found["parameters"] == ["samples", "sigma"]
    assert found["description"].startswith("Mean gradient over noisy copies")
    assert {"grad_cam", "uniform"} < {entry["name"] for entry in listed}


def test_it_keeps_the_contract_and_its_own_promises(printed: dict[str, str]) -> None:
    """A parameter out of range is one line."""
    assert printed["checks"] == "methods.plain_smoothgrad: expected samples >= 1 and sigma >= 0, got 0 and 0.1"


def test_it_is_benchmarked(printed: dict[str, str], folder: Path) -> None:
    outcome = json.loads(printed["bench"])
    assert outcome["failures"] == []
    assert outcome["computed"] == 12  # of each video the answer, the gate, two maps and the scores of each
    assert {row["method"] for row in outcome["leaderboard"]} == {"plain_smoothgrad", "uniform"}
    volumes = sorted(path.name for path in (folder / "run").rglob("plain_smoothgrad.npz"))
    assert len(volumes) == 2


def test_its_model_family_is_exact(printed: dict[str, str]) -> None:
    """And a method of the package runs on it."""
    found = json.loads(printed["model"])
    assert found["setting"]["family"] == "llava (Llava)"
    assert {each["verdict"] for each in found["checks"]} == {"holds"}
    assert [(each["method"], each["outcome"]) for each in found["methods"]] == [("plain_smoothgrad", "runs")]


def test_without_the_package_method_and_family_are_unknown() -> None:
    with pytest.raises(UnknownName, match="unknown method 'plain_smoothgrad'"):
        registry.get("methods", "plain_smoothgrad")
    assert "llava" not in registry.names("models")
