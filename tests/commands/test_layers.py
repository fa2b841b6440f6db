"""`attrib layers` and `attrib atlas` as a user meets them: results, failures, refusals, resuming."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from attrib import config
from attrib.attention.statistics import answer_statistics
from attrib.attention_record import Knockout
from attrib.benchmarks.atlas.atlas import atlas
from attrib.benchmarks.atlas.head_scores import STATISTICS
from attrib.benchmarks.atlas.jobs import AtlasJobs, Options
from attrib.benchmarks.atlas.knockout import KnockoutScene
from attrib.demo.generate import generate
from attrib.explaining import binding
from attrib.explaining.binding import bind_sample
from attrib.explaining.layers import PageSelection, rows_of
from attrib.testing import toy_subject

Run = Callable[..., tuple[int, str, str]]
VIDEOS = 4


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("world"), videos=VIDEOS, seed=0)


@pytest.fixture
def layers(attrib: Run) -> Run:
    return partial(attrib, "layers")


@pytest.fixture
def chart(attrib: Run) -> Run:
    return partial(attrib, "atlas")


@pytest.fixture(scope="module")
def settings(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "atlas.yaml"
    path.write_text(
        f"data: {{name: perception_test, root: {world}}}\nmethods: {{}}\nmetrics: {{}}\nresamples: 100\nnull_pairs: 1\n"
    )
    return path


@pytest.fixture(scope="module")
def made(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An atlas of the built-in model."""
    folder = tmp_path_factory.mktemp("atlas")
    found = config.parse(config.read(settings))
    work = AtlasJobs.of(binding.load(found.model), found, tuple(config.dataset(found)), Options(top=2, draws=2), folder)
    atlas(work).write(folder)
    return folder


def test_one_annotated_video(layers: Run, world: Path, tmp_path: Path) -> None:
    code, out, err = layers("--data", world, "--video", "video_1", "-O", tmp_path / "out", "--columns", 3, "--json")
    said = json.loads(out)
    assert (code, err) == (0, "") and said["sample"] == "video_1_0" and said["frames"] == [0, 4, 7]
    mass = np.array(said["mass"])
    assert [int(row) for row in said["shown"]] == np.flatnonzero(
        mass >= min(mass.mean() + mass.std(), mass.max())
    ).tolist()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "video_1_0.mp4", "video_1_0.pdf", "video_1_0.png"]  # fmt: skip
    _, out, _ = layers("--data", world, "--video", "video_1", "-O", tmp_path / "again", "--columns", 3)
    assert out.startswith(f"{len(said['shown'])} of 6 layers drawn: {', '.join(said['shown'])}\n")


def test_bad_input_is_told_in_one_line(layers: Run, world: Path, tmp_path: Path) -> None:
    data, out, film = ("--data", world), ("-O", tmp_path / "out"), world / "videos" / "video_1.mp4"
    for arguments, words in (
        (out, "expected VIDEO and --question, or --data and --video; got no VIDEO"),
        ((film, *data, *out), "expected VIDEO and --question, or --data and --video; got VIDEO and --data"),
        ((*data, *out), "expected VIDEO and --question, or --data and --video; got no --video"),
        ((film, *out, "-q", "?", "--split", "train"), "got VIDEO and --split"),
        ((*data, *out, "--video", "video_9"), "unknown video 'video_9'; did you mean"),
        ((*data, *out, "--video", "video_1", "--question-id", 4), "unknown question of video_1 '4'; choose one of: 0"),
        ((*data, *out, "--video", "video_1", "--layer", 6), "layer: expected one from 0 to 5, got 6"),
        ((film, *out), "got no --question"),
        ((film, *out, "-q", "?", "--option", "a", "--option", "a"), "expected different ones"),
        ((tmp_path / "no.mp4", *out, "-q", "What?", "--option", "a", "--option", "b"), "no.mp4"),
    ):  # fmt: skip
        code, said, err = layers(*arguments)
        assert (code, said) == (2, "") and words in " ".join(err.split()) and err.count("\n") == 1, (arguments, err)
    assert not (tmp_path / "out").exists()


def test_bad_input_to_the_atlas_is_told_in_one_line(chart: Run, tmp_path: Path, settings: Path) -> None:
    out = ("-O", tmp_path / "out")
    for arguments, words in (
        ((settings,), "--output: expected a directory"),
        ((tmp_path,), "expected a finished run"),
        ((tmp_path / "no.yaml", *out), "no.yaml"),
        ((settings, *out, "--set", "data.limit=1"), "expected at least 2 videos, one for each half, got 1"),
        ((settings, *out, "--set", "data.rot=1"), "data.rot: unknown key; did you mean 'root'?"),
    ):
        code, said, err = chart(*arguments)
        assert (code, said) == (2, "") and words in " ".join(err.split()) and err.count("\n") == 1, (arguments, err)
    assert not (tmp_path / "out").exists()


def test_rows_of_layers_and_of_heads() -> None:
    subject = toy_subject()
    found = answer_statistics(subject)
    layers = rows_of(subject, found, PageSelection("mean", columns=2))
    assert layers.maps[0] == pytest.approx(found.attention[0].mean(0).numpy())
    assert layers.mass.tolist() == pytest.approx([float(found.visual_mass.mean())]) and layers.columns == (0, 3)
    assert layers.overall == pytest.approx(found.attention.amax((0, 1)).numpy())
    heads = rows_of(subject, found, PageSelection(layer=0, every=True, by="most", columns=1))
    assert heads.kind == "head" and heads.shown.all() and len(heads.names) == found.attention.shape[1]
    assert heads.maps == pytest.approx(found.attention[0].numpy()) and heads.columns == (2,)  # where the red cell is
    with pytest.raises(ValueError, match="reduction"):
        PageSelection("median")  # type: ignore[arg-type]


def test_the_atlas_on_disk(made: Path) -> None:
    table, selection = pd.read_parquet(made / "atlas.parquet"), json.loads((made / "selection.json").read_text())
    assert pd.read_csv(made / "atlas.csv")["mean"].to_numpy() == pytest.approx(table["mean"].to_numpy(), nan_ok=True)
    assert set(table["statistic"]) > set(STATISTICS) and len(table[table["head"] >= 0]) == 7 * 24
    one, two = selection["halves"]
    assert one["chosen_on"] == two["reported_on"] and one["reported_on"] == two["chosen_on"]
    assert len({*one["chosen_on"], *two["chosen_on"]}) == VIDEOS and len(one["heads"]) == len(two["heads"]) == 2
    assert selection["statistic"] == "object_auc" and selection["failures"] == {}
    for ending in ("png", "pdf"):
        assert (made / f"atlas.{ending}").stat().st_size > 20_000


def test_numbers_of_the_atlas_are_those_of_its_samples(made: Path, settings: Path) -> None:
    """Means, the choice and the knockouts, worked out again from the samples, one by one."""
    asked = config.parse(config.read(settings))
    model, samples = binding.load(asked.model), tuple(config.dataset(asked))
    selection, table = json.loads((made / "selection.json").read_text()), pd.read_parquet(made / "atlas.parquet")
    masses = torch.stack([answer_statistics(bind_sample(model, asked, sample)).visual_mass for sample in samples])
    wide = table[table["statistic"] == "visual_mass"].pivot(index="layer", columns="head", values="mean")
    assert wide.to_numpy() == pytest.approx(masses.mean(0).numpy(), rel=1e-5)
    falls = {}
    for sample in samples:
        subject = bind_sample(model, asked, sample)
        (half,) = [part for part in selection["halves"] if sample.video_id in part["reported_on"]]
        scene = KnockoutScene.of(subject, sample, 2, 0)
        heads: dict[int, tuple[int, ...]] = {}
        for layer, head in half["heads"]:
            heads[layer] = (*heads.get(layer, ()), head)
        with model.knock_out(Knockout(tuple(scene.visual[list(scene.sets.evidence)].tolist()), (-1,), heads)):
            falls[sample.video_id] = float(subject.score(subject.pixels[None]).detach()) * -1 + float(
                subject.log_odds(subject.logprobs[None])[0])  # fmt: skip
    both = selection["both"]["knockout"]["evidence"]
    assert both["mean"] == pytest.approx(np.mean(list(falls.values())), abs=1e-4) and both["videos"] == VIDEOS
    for half in selection["halves"]:
        mean = np.mean([falls[video] for video in half["reported_on"]])
        assert half["knockout"]["evidence"]["mean"] == pytest.approx(mean, abs=1e-4)


def test_a_run_gets_its_atlas_and_goes_on_where_it_was(
    chart: Run, settings: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cached results are not computed again; the same numbers come out."""
    shutil.copytree(made, tmp_path / "again")
    (tmp_path / "again" / "selection.json").unlink()
    monkeypatch.setattr("attrib.benchmarks.atlas.knockout.KnockoutScene.of", None)
    code, out, err = chart(settings, "-O", tmp_path / "again", "--top", 2, "--draws", 2, "--figures", 0)
    assert (code, err) == (0, "") and "chosen on one half of the videos" in out
    assert (tmp_path / "again" / "selection.json").read_text() == (made / "selection.json").read_text()
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "again" / "atlas.parquet"), pd.read_parquet(made / "atlas.parquet")
    )


def test_a_sample_that_fails_is_told_and_the_others_go_on(
    chart: Run, world: Path, settings: Path, tmp_path: Path
) -> None:
    broken = shutil.copytree(world, tmp_path / "world")
    (broken / "videos" / "video_2.mp4").write_bytes(b"nothing")
    code, out, err = chart(settings, "-O", tmp_path / "out", "--set", f"data.root={broken}", "--causal", "none",
                            "--json", "--figures", 1)  # fmt: skip
    said = json.loads(out)
    assert code == 1 and "1 failed:" in err and re.search(r"video_2_0: .*video_2\.mp4", err)
    assert said["selection"]["samples"] == VIDEOS - 1 and list(said["selection"]["failures"]) == ["video_2_0"]
    assert {row["head"] for row in said["atlas"]} == {0, 1, 2, 3}
    assert said["selection"]["statistic"] is None  # of one video nothing can be held against chance
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "atlas.csv", "atlas.parquet", "atlas.pdf", "atlas.png", "items", "log.jsonl", "selection.json",
        "video_0_0.mp4", "video_0_0.pdf", "video_0_0.png"]  # fmt: skip
