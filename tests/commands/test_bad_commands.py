"""Bad inputs at the command line: exit code 2 and one harmless line, or 1 and a list; nothing written elsewhere."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.demo.generate import generate

from bad_inputs import Arena, check_line, damaged, examples, flipped

Command = Callable[..., int]
ASK = ["--question", "Where?", "--option", "left", "--option", "right", "--method", "centre"]
SETTINGS: dict[str, Any] = {
    "data": {"name": "perception_test", "root": "", "split": "valid", "limit": 1},
    "model": {"name": "demo", "device": "cpu", "frames": 2},
    "methods": {"centre": None, "mine": {"method": "random"}}, "metrics": {"mass": None, "roc_auc": None},
    "imputers": ["blur"], "target": "predicted", "seed": 0, "workers": 1, "overlays": 1, "resamples": 100,
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("world"), videos=1, seed=5)


@pytest.fixture(scope="module")
def annotations(world: Path) -> dict[str, Any]:
    return dict(json.loads((world / "all_valid.json").read_text()))


@pytest.fixture
def arena(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arena:
    """The working directory and the cache lie in it, so that whatever is written by mistake is seen."""
    made = Arena(tmp_path)
    made.empty()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("ATTRIB_CACHE", str(tmp_path / "cache"))
    return made


@pytest.fixture
def command(arena: Arena, attrib: Callable[..., tuple[int, str, str]]) -> Command:
    """Run `attrib` with arguments; gives the exit code, having looked at what it says and what it wrote."""

    def run(*arguments: object) -> int:
        around = arena.outside()
        code, out, err = attrib(*arguments)
        assert code in (0, 1, 2), (code, err)
        assert arena.outside() == around
        assert "Traceback" not in out + err
        assert not {"\x1b", "\x07", "\x00", "\u202e"} & set(out + err)
        if code == 2:
            assert not out
            check_line(err.removeprefix("attrib: ").removesuffix("\n"))
        return code

    return run


@examples(3)
@given(data=st.data())
def test_bench_on_damaged_annotations(
    arena: Arena, command: Command, world: Path, annotations: dict[str, Any], data: st.DataObject
) -> None:
    root = arena.empty() / "data"
    root.mkdir()
    (root / "videos").symlink_to(world / "videos")
    (root / "all_valid.json").write_text(json.dumps(data.draw(damaged(annotations))))
    settings = copy.deepcopy(SETTINGS) | {"data": {"name": "perception_test", "root": str(root)}}
    (arena.inside / "c.yaml").write_text(json.dumps(settings))
    command("bench", arena.inside / "c.yaml", "-O", arena.inside / "run")


@examples(8)
@given(settings=damaged(SETTINGS), flags=st.sampled_from([[], ["--json"]]))
def test_bench_with_damaged_settings(
    arena: Arena, command: Command, world: Path, settings: dict[str, Any], flags: list[str]
) -> None:
    path = arena.empty() / "c.yaml"
    path.write_text(json.dumps(settings))
    root = ["--set", f"data.root={world}"] if isinstance(settings.get("data"), dict) else []
    code = command("bench", path, "-O", arena.inside / "run", *root, *flags)
    assert code != 2 or not (arena.inside / "run").exists()


@pytest.mark.parametrize("number", range(6))
def test_explain_damaged_videos(arena: Arena, command: Command, world: Path, number: int) -> None:
    path = arena.inside / "x.mp4"
    path.write_bytes(flipped(next((world / "videos").glob("*.mp4")).read_bytes(), number))
    code = command("explain", path, *ASK, "-O", arena.inside / "out", "--json")
    assert code != 2 or not (arena.inside / "out").exists()


@pytest.mark.parametrize(
    "extra",
    [
        ["--question", "\x1b[31m?"],
        ["--question", ""],
        ["--option", "\x07bell"],
        ["--option", "\udcff"],  # what Python makes of arguments that are not UTF-8
        ["--set", "methods.\x1b[31m.method=centre"],
        ["--set", "methods./tmp/evil.method=centre"],
        ["--set", "methods...=centre"],
        ["--set", "seed=!!python/object/apply:os.system ['touch evil']"],
        ["--set", "model.frames=.nan"],
        ["--set", "seed=" + "9" * 5000],
        ["--method", "../../evil"],
        ["--method", "x" * 5000],
        ["--model", "../\x1b[31m"],
        ["--target", "\u202eoption:0"],
        ["--plugin", "x" * 5000],
        ["--plugin", "\x1b.py"],
        ["-O", "x" * 5000],
    ],
)
def test_explain_with_nasty_arguments(arena: Arena, command: Command, world: Path, extra: list[str]) -> None:
    film = next((world / "videos").glob("*.mp4"))
    assert command("explain", film, *ASK, "-O", arena.inside / "out", *extra) == 2


def test_markup_is_text(arena: Arena, command: Command, world: Path) -> None:
    film = next((world / "videos").glob("*.mp4"))
    asked = ["--question", "[/bold] <b>{{x}}</b>", "--option", "[red]", "--option", "[/x]", "--method", "centre"]
    assert command("explain", film, *asked, "-O", arena.inside / "out") == 0
    assert command("explain", film, *ASK, "--set", "methods.[bold].method=centre", "-O", arena.inside / "out") == 0
    assert (arena.inside / "out" / "[bold].npz").is_file()
