"""The command line as a user meets it: exit codes, one clear line, nothing half-written."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrib import registry, video
from attrib.demo.generate import generate
from attrib.types import SaliencyVolume

ASK = ["--question", "What colour is the object that moves?", "--option", "red", "--option", "blue"]
NAN_PLUGIN = """
from dataclasses import dataclass
import torch
from attrib import Method

@dataclass(frozen=True)
class BrokenMap(Method):
    def values(self, subject):
        return torch.full((len(subject.clip), 2, 2), float("nan"))
"""

STOPPING_PLUGIN = """
from dataclasses import dataclass
from pathlib import Path
import os, signal
import torch
from attrib import Method

@dataclass(frozen=True)
class Stops(Method):
    def values(self, subject):
        calls = Path(__file__).with_suffix(".calls")
        with calls.open("a") as file:
            file.write("x")
        if len(calls.read_text()) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return torch.ones(len(subject.clip), 2, 2)
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("world"), videos=2, seed=5)


@pytest.fixture
def clip(world: Path) -> Path:
    return sorted((world / "videos").glob("*.mp4"))[0]


def refused(result: tuple[int, str, str], message: str, folder: Path) -> None:
    code, out, err = result
    assert code == 2, err
    assert message in err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert not out
    assert not folder.exists()


def test_list_shows_everything(attrib: Run) -> None:
    code, out, _ = attrib("list", "--json")
    found = json.loads(out)
    assert code == 0
    assert {entry["name"] for entry in found["methods"]} >= {"grad_cam", "random"}
    assert found["methods"][0].keys() == {"name", "description", "needs", "parameters", "source"}
    code, out, _ = attrib("list", "metrics")
    assert code == 0
    assert "srg" in out
    assert "grad_cam" not in out


def test_explain_writes_what_it_says(attrib: Run, clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    code, out, err = attrib("explain", clip, *ASK, "--method", "grad_cam", "--method", "centre",
                            "--set", "methods.centre.sigma=0.5", "-O", folder, "--json")  # fmt: skip
    assert code == 0, err
    summary = json.loads(out)
    names = ["centre.mp4", "centre.npz", "centre.png", "grad_cam.mp4", "grad_cam.npz", "grad_cam.png", "summary.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert summary["answer"] in {"A", "B"}
    assert sum(summary["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert summary["methods"]["centre"]["parameters"] == {"sigma": 0.5}
    volume = SaliencyVolume.load(folder / "grad_cam.npz")
    np.testing.assert_array_equal(volume.times, video.read(clip, 8).times)
    assert volume.provenance.model == "demo"
    drawn, source = (video.read(path, 100) for path in (folder / "centre.mp4", clip))
    np.testing.assert_allclose(drawn.times, source.times, atol=1e-3)


def test_explain_names_its_files_as_a_shell_reads_them(attrib: Run, clip: Path, tmp_path: Path) -> None:
    _, out, _ = attrib("explain", clip, *ASK, "--method", "centre", "-O", tmp_path / "one")
    assert out.endswith("summary.json, centre.{npz,mp4,png}\n") and "completeness" not in out
    given = ("--method", "integrated_gradients", "--set", "methods.integrated_gradients.steps=1")
    _, out, _ = attrib("explain", clip, *ASK, "--method", "centre", *given, "-O", tmp_path / "two")
    assert out.endswith("summary.json, {centre,integrated_gradients}.{npz,mp4,png}\n") and "completeness" in out


def test_explain_shows_how_far_another_seed_would_agree(attrib: Run, clip: Path, tmp_path: Path) -> None:
    given = ("--method", "smoothgrad", "--method", "centre", "--set", "methods.smoothgrad.samples=4")
    code, out, _ = attrib("explain", clip, *ASK, *given, "-O", tmp_path / "o", "--no-overlay")
    summary = json.loads((tmp_path / "o" / "summary.json").read_text())
    agreement = summary["methods"]["smoothgrad"]["monte_carlo_agreement"]
    shown = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    assert code == 0 and "agrees with another seed" in out and "completeness" not in out
    assert shown["smoothgrad"][1:] == [f"{agreement:.2f}"] and len(shown["centre"]) == 1


def test_integrated_gradients_reports_its_error(attrib: Run, clip: Path, tmp_path: Path) -> None:
    code, out, _ = attrib("explain", clip, *ASK, "--set", "methods.integrated_gradients.steps=4",
                          "--target", "contrast:1,0", "-O", tmp_path / "o", "--json")  # fmt: skip
    assert "reference_error" not in out
    summary = json.loads(out)
    assert code == 0
    assert summary["explained"] == "B. blue against A. red"
    assert list(summary["methods"]) == ["integrated_gradients"]
    assert summary["methods"]["integrated_gradients"]["completeness_error"] >= 0


def test_integrated_gradients_are_compared_with_a_reference_where_asked(
    attrib: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attrib.inputs.path.FEWEST", 2)
    monkeypatch.setattr("attrib.inputs.path.MOST", 4)
    given = ("steps=1", "checked=1")
    code, out, _ = attrib("explain", clip, *ASK, "-O", tmp_path / "o", "--no-overlay",
                          *(f"--set=methods.integrated_gradients.{one}" for one in given))  # fmt: skip
    found = json.loads((tmp_path / "o" / "summary.json").read_text())["methods"]["integrated_gradients"]
    assert code == 0 and "completeness error" in out and "L2 error" in out
    assert f"{found['completeness_error']:.2%}" in out and f"{found['reference_error']:.2%}" in out
    assert found["reference_error"] > 0 and found["reference_change"] > 0


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--method", "grad_cm"], "unknown method 'grad_cm'; did you mean 'grad_cam'?"),
        (["--model", "dmeo"], "unknown model 'dmeo'"),
        (["--model", "/nowhere"], "unknown model '/nowhere'"),
        (["--set", "modl.frames=3"], "modl: unknown key; did you mean 'model'?"),
        (["--set", "methods.grad_cam.layr=x"], "methods.grad_cam.layr: unknown key; did you mean 'layer'?"),
        (["--method", "grad_cam", "--set", "methods.grad_cam.layer=blocks.99"], "unknown vision layer 'blocks.99'"),
        (["--set", "model=3"], "model: input should be a valid dictionary"),
        (["--set", "methods=3"], "methods: expected --set methods.NAME"),
        (["--target", "correct"], "the right answer is not known"),
        (["--target", "option:7"], "expected an option from 0 to 1, got 7"),
        (["--target", "predictd"], "did you mean 'predicted'?"),
        (["--plugin", "/nowhere.py"], "no such file"),
        (["--set", "model.device=warp"], "device 'warp' is not available"),
    ],
)
def test_bad_arguments_are_one_line(attrib: Run, clip: Path, tmp_path: Path, extra: list[str], message: str) -> None:
    folder = tmp_path / "out"
    refused(attrib("explain", clip, *ASK, "-O", folder, *extra), message, folder)


def test_the_models_own_answer_and_a_given_one(attrib: Run, clip: Path, tmp_path: Path) -> None:
    ask = ["explain", clip, "--question", "What colour is the object that moves?", "--method", "raw_attention"]
    code, out, err = attrib(*ask, "-O", tmp_path / "own")
    assert code == 0, err
    assert "(the model's own)" in out
    summary = json.loads((tmp_path / "own" / "summary.json").read_text())
    assert summary["generated"]
    assert len(summary["tokens"]) == 1  # the built-in model says one word
    code, out, err = attrib(*ask, "--answer", "red square.", "--per-word", "-O", tmp_path / "out", "--json")
    assert code == 0, err
    assert list(json.loads(out)["words"]) == ["red", "square"]
    names = {f"raw_attention.{word}.{kind}" for word in ("red", "square") for kind in ("mp4", "npz", "png")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*names, "summary.json"}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--answer", ""], "answer: the text is empty"),
        (["--answer", "red", "--option", "red", "--option", "blue"], "options, answer: expected one of the two"),
        (["--answer", "red square", "--word", "sqare"], "did you mean 'square'?"),
        (["--answer", "giraffe"], "'giraffe' is not in the model's vocabulary"),
        (["--option", "red", "--option", "blue", "--per-word"], "words: apply to free answers only"),
    ],
)
def test_bad_answers_are_one_line(attrib: Run, clip: Path, tmp_path: Path, extra: list[str], message: str) -> None:
    folder = tmp_path / "out"
    ask = ["explain", clip, "--question", "What colour is the object that moves?", "--method", "centre"]
    refused(attrib(*ask, "-O", folder, *extra), message, folder)


def test_one_option_is_too_few(attrib: Run, clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    result = attrib("explain", clip, "--question", "What?", "--option", "one", "-O", folder)
    refused(result, "at least two options, got 1", folder)
    result = attrib("explain", clip, "--question", "What?", "--option", "one", "--option", "one", "-O", folder)
    refused(result, "expected different ones", folder)


@pytest.mark.parametrize("content", [None, b"", b"These are words, and no video.\n"], ids=["missing", "empty", "text"])
def test_files_that_are_no_videos_are_one_line(attrib: Run, tmp_path: Path, content: bytes | None) -> None:
    path, folder = tmp_path / "clip.mp4", tmp_path / "out"
    if content is not None:
        path.write_bytes(content)
    refused(attrib("explain", path, *ASK, "--method", "random", "-O", folder), "clip.mp4", folder)


def test_a_video_without_its_index_is_one_line(attrib: Run, shared_data: Path, tmp_path: Path) -> None:
    folder, path = tmp_path / "out", shared_data / "videos" / "no_index_truncated.mp4"
    refused(attrib("explain", path, *ASK, "--method", "random", "-O", folder), "no_index_truncated.mp4", folder)


def test_a_video_cut_short_gives_what_there_is_and_a_warning(attrib: Run, shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "videos" / "pancake_truncated.mkv"
    code, _, err = attrib("explain", path, *ASK, "--method", "centre", "-O", tmp_path / "out", "--json")
    assert code == 0
    (line,) = [line for line in err.splitlines() if line.startswith("warning")]
    assert "310" in line  # frames expected; how many were found is the decoder's to say
    assert (tmp_path / "out" / "centre.mp4").exists()


def test_output_that_cannot_be_written_is_one_line(attrib: Run, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for command in (["explain", clip, *ASK], ["bench"]):
        code, _, err = attrib(*command, "-O", tmp_path / "file" / "out")
        assert code == 2
        assert "not a directory that can be written to" in err


def test_bench_end_to_end_with_a_failing_plugin_and_a_rerun(
    attrib: Run, world: Path, clip: Path, tmp_path: Path
) -> None:
    plugin, config, folder = tmp_path / "broken.py", tmp_path / "bench.yaml", tmp_path / "run"
    plugin.write_text(NAN_PLUGIN)
    config.write_text(f"""
data: {{name: demo, root: "{world}", videos: 2, seed: 5}}
methods: {{grad_cam: , random: }}
metrics: {{srg: , object_auc: , segment_auc: }}
imputers: [mean]
resamples: 200
""")
    code, out, err = attrib("bench", config, "--plugin", plugin, "-O", folder, "--json")
    assert code == 1
    report = json.loads(out)
    assert [(failure["method"], failure["metric"]) for failure in report["failures"]] == [("broken_map", "")] * 2
    assert "not finite" in err
    assert "Traceback" not in err
    table = pd.read_parquet(folder / "results.parquet")
    assert len(table[table["method"] == "grad_cam"]) == 2 * 3
    broken = table[table["method"] == "broken_map"]
    assert broken["value"].isna().all()
    assert broken["error"].str.contains("not finite").all()
    assert (broken["reason"] == "").all()
    assert (folder / "videos" / "random").is_dir()
    assert not (folder / "videos" / "broken_map").exists()
    code, out, _ = attrib("bench", config, "--plugin", plugin, "-O", folder, "--json")
    again = json.loads(out)
    assert code == 1
    assert again["computed"] == 0  # what failed stays so
    assert (again["failures"], again["leaderboard"]) == (report["failures"], report["leaderboard"])
    code, out, _ = attrib("bench", config, "--plugin", plugin, "-O", folder, "--retry-failed", "--json")
    assert code == 1
    assert json.loads(out)["computed"] == 2
    for kind in registry.KINDS:
        registry._files[kind].clear()  # another process would not know the plug-in
    for command in ("report", "notebook"):
        code, _, err = attrib(command, folder)
        assert (code, err.count("\n")) == (2, 1)
        assert "unknown method 'broken_map'" in err and err.endswith("give the same --plugin FILE\n")
    assert attrib("report", folder, "--plugin", plugin)[0] == 0
    assert "broken_map" in (folder / "report.html").read_text()


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """Ctrl-C raises, also where the tests were started in a shell's background, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_interrupts")
@pytest.mark.parametrize(("number", "code", "word"), [("SIGTERM", 143, "terminated"), ("SIGINT", 130, "interrupted")])
def test_a_signal_stops_bench_in_one_line_and_keeps_what_there_is(
    attrib: Run, world: Path, tmp_path: Path, number: str, code: int, word: str
) -> None:
    plugin, config, folder = tmp_path / "stops.py", tmp_path / "bench.yaml", tmp_path / "run"
    plugin.write_text(STOPPING_PLUGIN.replace("SIGTERM", number))
    config.write_text(f"""
data: {{name: demo, root: "{world}", videos: 2, seed: 5}}
methods: {{stops: }}
metrics: {{mass: }}
overlays: 0
""")
    command = ["bench", config, "--plugin", plugin, "-O", folder, "--json"]
    found, out, err = attrib(*command)
    assert (found, out) == (code, "")
    assert err == f"{word}; what was computed is kept in {folder}: the same command goes on from there\n"
    assert len(pd.read_parquet(folder / "results.parquet")) == 1
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    _, out, _ = attrib(*command, "--dry-run")
    counts = {row["kind"]: (row["kept"], row["missing"]) for row in json.loads(out)["counts"]}
    assert counts["volumes"] == (1, 1)
    found, _, _ = attrib(*command)
    assert found == 0
    assert len(pd.read_parquet(folder / "results.parquet")) == 2


def test_a_dry_run_lists_and_writes_nothing(attrib: Run, world: Path, tmp_path: Path) -> None:
    config, folder = tmp_path / "bench.yaml", tmp_path / "run"
    config.write_text(f"""
data: {{name: demo, root: "{world}", videos: 2, seed: 5}}
methods: {{random: , oracle: }}
metrics: {{mass: , srg: }}
""")
    code, out, err = attrib("bench", config, "-O", folder, "--dry-run")
    assert code == 0, err
    assert re.search(r"^volumes +0 +4 +0 +unknown", out, re.MULTILINE)
    assert re.search(r"^scores imputer blur +0 +4 +0 +unknown", out, re.MULTILINE)
    assert (
        "to compute: 28 items with workers=1; time: unknown (not all kinds" in out
    )  # 2 answers, 2 gates, 4 x (1 map, 3 groups, 2 pairs of curves)
    assert not folder.exists()


def test_bad_configurations_are_one_line(attrib: Run, tmp_path: Path) -> None:
    config, folder = tmp_path / "bench.yaml", tmp_path / "run"
    config.write_text("data: {name: demo}\nmethds: {}\nmetrics: {srg: }\n")
    refused(attrib("bench", config, "-O", folder), "methds", folder)
    config.write_text("metods: {random: }\n")
    refused(attrib("bench", config, "-O", folder), "metods: unknown key; did you mean 'methods'?", folder)
    config.write_text("")
    refused(attrib("bench", config, "-O", folder), "an empty file", folder)
    config.write_text("data: {name: dmo}\nmethods: {random: }\nmetrics: {srg: }\n")
    refused(attrib("bench", config, "-O", folder), "did you mean 'demo'?", folder)
    config.write_text("data: {name: perception_test}\nmethods: {random: }\nmetrics: {srg: }\n")
    refused(attrib("bench", config, "-O", folder), "data.root: is required", folder)
    refused(attrib("bench", tmp_path / "missing.yaml", "-O", folder), "cannot be read", folder)


def test_plugin_methods_are_listed_with_their_file(attrib: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(NAN_PLUGIN)
    _, out, _ = attrib("list", "methods", "--plugin", tmp_path / "mine.py", "--json")
    found = {entry["name"]: entry["source"] for entry in json.loads(out)["methods"]}
    assert found["broken_map"] == str(tmp_path / "mine.py")


def test_usage_errors_have_exit_code_two(attrib: Run) -> None:
    assert attrib("explain")[0] == 2
    assert attrib("bnch")[0] == 2
    assert attrib("--help")[0] == 0


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode there")
def test_names_that_are_not_utf8(attrib: Run, clip: Path, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xe9te"))
    folder.mkdir()
    copy = folder / os.fsdecode(b"caf\xe9.mp4")
    copy.write_bytes(clip.read_bytes())
    code, out, _ = attrib("explain", copy, *ASK, "--method", "centre", "--no-overlay", "-O", folder / "out", "--json")
    assert code == 0
    assert json.loads(out.encode("utf-8"))["video"] == str(copy)
    assert {path.suffix for path in (folder / "out").iterdir()} == {".json", ".npz", ".png"}
