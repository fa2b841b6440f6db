"""Engines as a user names them."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from attrib import config
from attrib.errors import ConfigError, InputError
from attrib.settings import engine
from attrib.settings.engine import Engine

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "rey"}, "--engine rey: unknown engine; did you mean 'ray'?"),
        ({"name": "fork", "address": "a:1"}, "--address: only --engine ray has it, this is --engine fork"),
        ({"memory": 4.0}, "--worker-memory: only --engine ray has it, this is --engine auto"),
        ({"name": "ray", "gpus": -1.0}, "--worker-gpus -1.0: expected a number from 0 on"),
        ({"name": "ray", "cpus": float("nan")}, "--worker-cpus nan: expected a number from 0 on"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        Engine(**given)
    assert str(error.value) == message


def test_without_the_package_ray_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs the package ray; pip install 'attrib\[ray\]'"):
        Engine("ray")


def test_workers_are_a_number_or_auto() -> None:
    def workers(given: object) -> int | None:
        return config.parse({"methods": {}, "metrics": {}, "workers": given}).workers

    assert workers(3) == 3
    assert workers("auto") is workers(None) is config.parse({"methods": {}, "metrics": {}}).workers is None
    for bad in (0, "many", 1.5, True):
        with pytest.raises(ConfigError, match="workers: input should be"):
            workers(cast("int", bad))


def test_a_dry_run_gives_the_line_for_a_job_of_ray(attrib: Run, tmp_path: Path) -> None:
    settings = tmp_path / "b.yaml"
    settings.write_text("data: {name: demo, videos: 1}\nmethods: {centre: }\nmetrics: {mass: }\nworkers: 3\n")
    engine = ("--engine", "ray", "--address", "10.0.0.1:6379", "--worker-gpus", 1)
    code, out, _ = attrib("bench", settings, "-O", tmp_path / "a run", *engine, "--dry-run")
    assert code == 0
    assert "items with workers=3" in out
    own = ["attrib", "bench", str(settings), "-O", str(tmp_path / "a run"), "--engine", "ray", "--worker-gpus", "1"]
    job = ["ray", "job", "submit", "--address", "http://10.0.0.1:8265", "--working-dir", ".", "--"]
    assert shlex.split(out.splitlines()[-1]) == [*job, *own]
    code, _, err = attrib("bench", settings, "-O", tmp_path / "a run", *engine, "--shard", "1/2")
    assert (code, err.startswith("attrib: --shard and --engine ray: Ray shares the samples itself")) == (2, True)
    assert not (tmp_path / "a run").exists()
