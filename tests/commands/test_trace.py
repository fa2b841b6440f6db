"""`attrib trace` as a user meets it: what it finds on the built-in world, files, resuming, failures, refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from attrib import config, video
from attrib.benchmarks.engines.sample_jobs import SampleJobs
from attrib.benchmarks.jobs.store import Store
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.trace.sample import TraceOptions
from attrib.benchmarks.trace.trace import FILES, Trace, trace
from attrib.data.perception_test import PerceptionTest
from attrib.demo.evidence import edits
from attrib.demo.generate import generate, items
from attrib.demo.world import annotate, render
from attrib.demo.world.scene import FRAMES, RATE
from attrib.explaining.binding import load

Run = Callable[..., tuple[int, str, str]]
VIDEOS = 4
PLAIN = TraceOptions(streams=("residual",))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of the built-in world, and each without its evidence: one of the copies that `generate` would write."""
    root = generate(tmp_path_factory.mktemp("world"), videos=VIDEOS, seed=0)
    entries = {}
    for scene, family, _ in items(VIDEOS, 0):
        name, edit = annotate.video_id(scene), next(iter(edits(scene, family)))
        video.write(root / "counterfactuals" / f"{name}.mp4", render.frames(edit.scene), np.arange(FRAMES) / RATE)
        entries[name] = {"0": [{**edit.seconds(), "video": f"{name}.mp4"}]}
    (root / "counterfactuals_valid.json").write_text(json.dumps(entries))
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trace")


def jobs_of(world: Path, folder: Path) -> SampleJobs:
    samples, settings = tuple(PerceptionTest(str(world))), config.ExplainConfig()
    store = Store(folder, retry_failed=True)
    return SampleJobs(load(settings.model), settings, samples, store, SampleJobs.hashes(samples))


@pytest.fixture(scope="module")
def made(world: Path, folder: Path) -> Trace:
    """The trace of four videos through the built-in model, written into the folder."""
    found = trace(jobs_of(world, folder), PLAIN, Resampling(200, 0))
    assert found.write(folder) == list(FILES)
    return found


def curve(made: Trace, part: str) -> np.ndarray:
    own = made.table[(made.table["kind"] == "group") & (made.table["part"] == part)]
    return own.sort_values("layer")["mean"].to_numpy()


@pytest.mark.slow
def test_the_evidence_falls_while_the_last_token_rises(made: Trace) -> None:
    """The clear statement on the built-in world, and its controls."""
    evidence, last = curve(made, "evidence"), curve(made, "last")
    assert evidence[0] > 0.9 and evidence[-1] == pytest.approx(0, abs=1e-5) and (np.diff(evidence) < 0.05).all()
    assert last[0] == pytest.approx(0, abs=0.05) and last[-1] == pytest.approx(1, abs=1e-5)
    for control in ("random", "same_object", "other_objects", "background"):
        assert np.abs(curve(made, control)).max() < 0.3, control
    found = made.about["finding"]
    assert found["holds"] == VIDEOS == found["videos"]
    assert 0 < found["crossing"]["low"] <= found["crossing"]["mean"] <= found["crossing"]["high"] < 5
    assert found["leading"][0][0] == "evidence" and found["leading"][-1][0] == "last"
    assert made.sentence.startswith("The evidence object's tokens carry the answer up to layer ")


@pytest.mark.slow
def test_steps_before_the_evidence_restore_nothing(made: Trace) -> None:
    steps = made.table[(made.table["kind"] == "step") & (made.table["layer"] == 0)]
    numbers = steps["part"].astype(int)
    assert steps["mean"][numbers < 0].abs().max() < 0.1 < steps["mean"][numbers >= 0].max()


@pytest.mark.slow
def test_the_answer_cannot_do_without_the_edges_from_the_text(made: Trace) -> None:
    whole = made.table[(made.table["kind"] == "edge") & (made.table["layer"] == -1)].set_index("part")["mean"]
    assert whole["text_last"] > 0.3
    assert set(whole.index) == {
        "frame_frame",
        "video_text",
        "video_last",
        "text_last",
        "evidence_text",
        "evidence_last",
    }


@pytest.mark.slow
def test_the_files_hold_what_was_found(made: Trace, world: Path, folder: Path) -> None:
    pd.testing.assert_frame_equal(pd.read_csv(folder / "trace.csv"), made.table, check_dtype=False)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "trace.parquet"), made.rows)
    asked = {sample.id: sample.task for sample in PerceptionTest(str(world))}
    assert (
        dict(zip(made.rows["sample"], made.rows["task"], strict=True)) == asked and len(set(asked.values())) == VIDEOS
    )
    assert json.loads((folder / "trace.json").read_text())["finding"]["sentence"] == made.sentence
    assert (folder / "trace.png").stat().st_size > 30_000 and (folder / "trace.pdf").read_bytes().startswith(b"%PDF")


@pytest.fixture
def tracing(attrib: Run) -> Run:
    return partial(attrib, "trace")


@pytest.fixture(scope="module")
def settings(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "trace.yaml"
    data = {"name": "perception_test", "root": str(world), "limit": 2}
    path.write_text(
        yaml.safe_dump({"data": data, "model": {"frames": 4}, "methods": {}, "metrics": {}, "resamples": 100})
    )
    return path


def computed(folder: Path) -> list[str]:
    """Samples in the order in which they were computed."""
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["item"].split("/")[1] for line in lines]


@pytest.mark.slow
def test_a_set_of_videos_is_resumed_and_another_corrupt_video_is_another_trace(
    tracing: Run, settings: Path, tmp_path: Path
) -> None:
    out = ("--run", settings, "-O", tmp_path)
    code, said, err = tracing(*out, "--against", "blank", "--json")
    first = json.loads(said)
    assert (code, first["samples"], first["against"]) == (0, 2, ["blank"]), err
    assert first["traced"] + len(first["left_out"]) == 2
    assert len(computed(tmp_path)) == 2
    code, said, _ = tracing(*out, "--against", "blank")
    assert code == 0 and said.startswith(first["finding"]["sentence"]) and len(computed(tmp_path)) == 2
    assert "share restored after layer" in said and f"written to {tmp_path}: {', '.join(FILES)}" in said
    code, said, _ = tracing(*out, "--json")
    assert json.loads(said)["against"] == ["removed"] and len(computed(tmp_path)) == 4


@pytest.mark.slow
def test_a_broken_video_is_named_and_the_others_go_on(
    tracing: Run, world: Path, settings: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(world, root)
    (root / "counterfactuals" / "video_0.mp4").write_bytes(b"no video")
    out = ("--run", settings, "--set", f"data.root={root}", "-O", tmp_path / "out")
    code, said, err = tracing(*out, "--json")
    found = json.loads(said)
    assert code == 1 and "1 failed:" in err and "video_0_0: counterfactual" in " ".join(err.split())
    assert list(found["failures"]) == ["video_0_0"] and found["traced"] + len(found["left_out"]) == 1


@pytest.mark.slow
def test_a_video_file_against_another(tracing: Run, world: Path, tmp_path: Path) -> None:
    films = [world / "videos" / f"video_{number}.mp4" for number in (0, 1)]
    words = ("-q", "What colour is the object that slides away?", "--option", "purple", "--option", "orange")
    code, said, err = tracing(films[0], *words, "--against", f"frames:{films[1]}", "-O", tmp_path, "--frames", 4)
    assert code == 0 and err.count("warning") == 0, err
    assert said.startswith(("The video's tokens carry", "No group alone", "no finding"))
    assert (tmp_path / "trace.csv").is_file()


@pytest.mark.slow
def test_words_that_the_model_never_saw_are_warned_of(tracing: Run, world: Path, tmp_path: Path) -> None:
    film = world / "videos" / "video_0.mp4"
    out = ("--option", "cup", "--option", "ball", "--against", "blank", "--frames", 2, "-O", tmp_path)
    code, said, err = tracing(film, "-q", "Where is the occlusion?", *out)
    assert code == 0 and "warning: video_0: the built-in model does not know:" in " ".join(err.split())
    assert "occlusion" in err and said


@pytest.mark.slow
def test_the_real_cup_game_is_traced_with_a_warning(tracing: Run, shared_data: Path, tmp_path: Path) -> None:
    data = ("--data", shared_data / "perception_test" / "valid_cup_game", "--video", "video_7110")
    code, said, err = tracing(*data, "--frames", 2, "-O", tmp_path)
    assert code == 0 and "written to" in said
    assert "warning: video_7110: the built-in model does not know: The, person, uses" in " ".join(err.split())


@pytest.mark.slow
def test_streams_are_chosen(tracing: Run, world: Path, tmp_path: Path) -> None:
    """Another choice is another trace: nothing of an earlier one is shown."""
    data = ("--data", world, "--video", "video_0", "--against", "blank", "-O", tmp_path, "--json")
    for chosen, streams in ((("mlp", "residual"), {"residual", "mlp"}), (("residual",), {"residual"})):
        code, said, err = tracing(*data, *(word for name in chosen for word in ("--stream", name)))
        assert code == 0, err
        assert {row["stream"] for row in json.loads(said)["trace"] if row["kind"] == "group"} == streams


@pytest.mark.slow
def test_a_corrupt_video_that_changes_nothing_is_said(tracing: Run, world: Path, tmp_path: Path) -> None:
    (tmp_path / "trace.png").write_bytes(b"of an earlier trace")
    film = world / "videos" / "video_0.mp4"
    words = ("-q", "What colour is the object that slides away?", "--option", "purple", "--option", "orange")
    code, said, _ = tracing(film, *words, "--against", f"frames:{film}", "-O", tmp_path, "--frames", 4)
    assert code == 0 and said.splitlines() == [
        "no finding: 0 of 1 could be traced; try another --against",
        "left out: video_0: the corrupt video changes the log-odds by 0.00 nats, less than 0.5",
        f"written to {tmp_path}: trace.csv, trace.parquet, trace.json",
    ]
    assert not (tmp_path / "trace.png").exists()


def test_bad_input_is_told_in_one_line(tracing: Run, world: Path, settings: Path, tmp_path: Path) -> None:
    data, out, film = (
        ("--data", world, "--video", "video_0"),
        ("-O", tmp_path / "out"),
        world / "videos" / "video_1.mp4",
    )
    for arguments, words in (
        (data, "--output: expected a directory for the trace"),
        (("--run", settings), "--output: expected a directory for the trace"),
        ((*data, *out, "--run", settings), "--run takes questions, model and target of the run; got --data too"),
        ((*out, "--run", settings, "--model", "x"), "of the run; got --model too"),
        ((*out, "--run", settings, "--set", "metrics.a=1"), "'metrics' does not apply to a trace; choose one of: data"),
        ((*out, "--run", tmp_path), "expected a finished run"),
        (out, "expected VIDEO and --question, or --data and --video; got no VIDEO"),
        ((*data, *out, "--against", "remove"), "--against remove: unknown kind 'remove'; did you mean 'removed'?"),
        ((*data, *out, "--against", "frames:no.mp4"), "no.mp4"),
        ((*data, *out, "--stream", "atention"), "unknown stream 'atention'; did you mean 'attention'?"),
        ((*data, *out, "--target", "options:1"), "unknown kind 'options'; did you mean 'option'?"),
        ((film, *out, "-q", "What?", "--target", "option:1"), "applies to options only"),
        ((tmp_path / "no.mp4", *out, "-q", "What?", "--option", "a", "--option", "b"), "no.mp4"),
    ):  # fmt: skip
        code, said, err = tracing(*arguments)
        assert (code, said) == (2, "") and words in " ".join(err.split()) and err.count("\n") == 1, (arguments, err)
    assert not (tmp_path / "out").exists()
