"""What a report holds: the tables' own numbers, maps as they are, text that stays text, and what it does without."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attrib import video
from attrib.benchmarks.jobs import finished_run
from attrib.benchmarks.jobs.directory import RunDirectory
from attrib.benchmarks.jobs.roles import roles
from attrib.benchmarks.report import columns as axes
from attrib.benchmarks.report import header, layers, media, page, paths, players, trace
from attrib.config import parse
from attrib.errors import InputError
from attrib.types import Provenance, SaliencyVolume
from attrib.video.source import open_source

from reported import ACTION, ERROR, EVIL, IDS, OPTIONS, QUESTION, TRACK, forgotten, hostile, known


class Page(HTMLParser):
    """Elements of a page, as `text` has it: its tags, the scripts by id, and all words outside of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words, self.inside = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.inside = tag == "script"
        self.scripts += [(dict(attrs), "")] if self.inside else []

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        else:
            self.words += data

    def data(self, name: str = "data") -> Any:
        """Content of the JSON with this id."""
        return next(json.loads(text) for attributes, text in self.scripts if attributes.get("id") == name)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(autouse=True)
def _names() -> Iterator[None]:
    known()
    yield
    forgotten()


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be damaged."""
    return Path(shutil.copytree(run, tmp_path / "run"))


def read(path: Path) -> Page:
    return Page((path / paths.PAGE).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def made(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    known()
    folder = tmp_path_factory.mktemp("report")
    page.write(run, folder)
    return read(folder)


def test_markup_in_names_stays_text(made: Page) -> None:
    assert not {"img", "u", "b", "svg"} & {*made.tags}
    runs = [text for attributes, text in made.scripts if attributes.get("type") != "application/json"]
    assert len(runs) == 1 and "alert(" not in runs[0]
    for words in (EVIL, ERROR):
        assert words in made.words
    data = made.data()
    assert {method["label"] for method in data["methods"]} >= {EVIL, "centre"}
    assert {sample["question"] for sample in data["samples"]} == {QUESTION}
    assert {sample["id"] for sample in data["samples"]} == set(IDS)
    for sample in data["samples"]:
        body = made.data(f"sample-{sample['file']}")
        assert body["options"] == list(OPTIONS)
        assert [track["label"] for track in body["tracks"]] == [TRACK, "other"]
        assert [segment["label"] for segment in body["segments"]] == [ACTION]


def test_only_the_pages_own_script_may_run_and_nothing_is_loaded_from_elsewhere(run: Path, tmp_path: Path) -> None:
    page.write(run, tmp_path)
    text = (tmp_path / paths.PAGE).read_text(encoding="utf-8")
    (script,) = [body for attributes, body in Page(text).scripts if not attributes]
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search('Content-Security-Policy" content="([^"]*)"', text)
    assert policy and policy[1].startswith(f"default-src 'none'; script-src 'sha256-{hashed}' 'self' file:;")
    assert "http" not in policy[1]
    addresses = re.findall(r'(?:src|href|action)\s*=\s*"([^"]*)"', text.partition("<script")[0])
    assert {each.partition(":")[0] for each in addresses if not each.startswith(("#", "report/"))} == {"data"}


def test_the_leaderboard_in_the_page_is_the_leaderboard(run: Path, made: Page) -> None:
    table, board = pd.read_csv(run / "leaderboard.csv"), made.data()["board"]
    assert [one["name"] for one in board["subsets"]][:2] == ["all", "macro"]
    assert set(board["rows"]) == set(table["subset"])
    shown = {(subset, row[0], row[1]): row for subset, rows in board["rows"].items() for row in rows}
    assert len(shown) == len(table)
    for row in table.to_dict("records"):
        metric = row["metric"] if pd.isna(row["imputer"]) else f"{row['metric']} {row['imputer']}"
        found = shown[row["subset"], row["method"], metric]
        for name, value in zip(board["columns"], found[3:], strict=True):
            assert value is None if pd.isna(row[name]) else value == pytest.approx(row[name], rel=1e-5, abs=1e-12)


def test_too_many_tasks_are_left_to_the_file(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attrib.benchmarks.report.tables.MOST_ROWS", 10)
    page.write(run, tmp_path)
    board = read(tmp_path).data()["board"]
    assert board["left_out"] == 1
    assert not any(name.startswith("task: ") for name in board["rows"])


def test_curves_are_the_means_of_the_kept_ones(run: Path, made: Page) -> None:
    table, curves = pd.read_parquet(run / "curves.parquet"), made.data()["curves"]
    assert {row["method"] for row in curves["rows"]} == {EVIL, "centre", "recency", "oracle", ""}
    for row in curves["rows"]:
        part = table[(table["method"].fillna("") == row["method"]) & (table["order"] == row["order"])]
        for of in ("log_odds", "probability"):
            each = [np.interp(curves["steps"], one["fraction"], one[of]) for _, one in part.groupby("sample")]
            assert len(each) == row["videos"] == 2
            np.testing.assert_allclose([mean for mean, _, _ in row[of]], np.mean(each, axis=0), rtol=1e-5, atol=1e-6)
        assert all(low is None or low <= mean <= high for mean, low, high in row["log_odds"])


def test_a_sample_shows_its_scores_answer_and_annotation(run: Path, made: Page) -> None:
    body = made.data("sample-one_0")
    results = pd.read_parquet(run / "results.parquet")
    rows = results[(results["sample"] == "one_0") & (results["method"] == EVIL)]
    expected = dict(zip(rows["metric"], rows["value"], strict=True))
    found = {key: value for key, value, _, _ in body["scores"][EVIL]}
    assert found == {
        f"{name} blur" if name in ("srg", EVIL) else name: pytest.approx(value, rel=1e-5)
        for name, value in expected.items()
    }  # fmt: skip
    assert next(reason for _, _, _, reason in body["scores"]["uniform"]) == "the saliency is the same everywhere"
    ((metric, value, _, reason),) = body["scores"]["fails"]
    assert (metric, value) == ("", None) and reason.startswith(f"failed: ValueError: {ERROR} (reported.py:")
    answer = RunDirectory.at(run).store.read(("answers", "one_0"))
    assert answer and body["probabilities"] == pytest.approx(np.exp(answer.value["logprobs"]), rel=1e-5)
    assert body["times"] == [0.0, 0.5, 1.0, 1.5] and body["end"] == pytest.approx(2.0, abs=1e-4)
    assert body["tracks"][0]["boxes"][0] == [0.25, 0.25, 0.5, 0.5] and body["tracks"][0]["strong"] != []
    assert body["tracks"][1]["strong"] == []
    assert body["segments"][0] | {"label": ""} == {
        "kind": "action", "label": "", "start": 0.5, "end": 1.0, "visible": None
    }  # fmt: skip


def test_maps_are_small_signed_and_true_to_the_volume() -> None:
    values = np.random.default_rng(0).normal(size=(3, 64, 96)).astype(np.float32)
    volume = SaliencyVolume(values, np.array([0.0, 0.5, 1.25]), Provenance("noise"))
    found = players.quantised(volume)
    assert (found["rows"], found["columns"], found["times"]) == (32, 32, [0.0, 0.5, 1.25])
    cells = np.frombuffer(base64.b64decode(found["data"]), np.int8).reshape(3, 32, 32)
    pooled = values.reshape(3, 32, 2, 32, 3).mean(axis=(2, 4))
    assert found["scale"] == pytest.approx(np.percentile(np.abs(pooled), 99.5), rel=1e-5)
    clipped = np.clip(pooled, -found["scale"], found["scale"])
    np.testing.assert_allclose(cells / 127 * found["scale"], clipped, atol=found["scale"] / 127 * 0.51)
    np.testing.assert_allclose(found["positive"], np.maximum(values, 0).mean(axis=(1, 2)), rtol=1e-4)
    np.testing.assert_allclose(found["signed"], values.mean(axis=(1, 2)), rtol=1e-3, atol=1e-6)
    grid = SaliencyVolume(-np.ones((1, 6, 4), np.float32), np.zeros(1), Provenance("against"))
    small = players.quantised(grid)
    assert (small["rows"], small["columns"]) == (6, 4)
    assert set(base64.b64decode(small["data"])) == {256 - 127}
    nothing = players.quantised(SaliencyVolume(np.zeros((1, 2, 2), np.float32), np.zeros(1), Provenance("none")))
    assert nothing["scale"] == 0 and set(base64.b64decode(nothing["data"])) == {0}


def test_a_divided_row_is_the_twin_of_the_same_method_and_parameters() -> None:
    rows = {
        "raw": {"method": "relevance"}, "other": {"method": "attention_rollout", "null": "divided"},
        "masked": {"method": "relevance", "null": "divided", "sinks": "mask"},
        "divided": {"method": "relevance", "null": "divided"},
    }  # fmt: skip
    settings = parse({"methods": rows, "metrics": {"mass": None}})
    twins = {method["label"]: method["twin"] for method in axes.methods(settings, roles(settings))}
    assert twins == {"raw": "divided", "other": None, "masked": None, "divided": None}


def test_every_metric_is_on_the_axis_that_it_measures() -> None:
    wanted = {
        "srg": "faithfulness", "counterfactual_deletion": "faithfulness", "flip_rate": "faithfulness",
        "mass": "alignment in space", "object_auc": "alignment in space", "segment_auc": "alignment in time",
        "segment_shuffled_auc": "alignment in time", "completeness": "the map itself",
    }  # fmt: skip
    settings = parse({"methods": {"centre": None}, "metrics": dict.fromkeys(wanted), "imputers": ["mean"]})
    table = pd.DataFrame({"metric": ["srg", "object_auc", "object_auc_corrected"]})
    columns = axes.metrics(finished_run.FinishedRun(Path(), settings, {}, table))
    wanted["object_auc_corrected"] = "alignment in space"
    assert {column["label"]: column["axis"] for column in columns} == wanted
    assert {column["key"] for column in columns} >= {"srg mean", "mass"}


def test_what_a_run_lacks_is_said_and_the_rest_is_shown(copy: Path, tmp_path: Path) -> None:
    for name in ("curves.parquet", "tasks.csv", "exceptions.csv", "nulls.parquet"):
        (copy / name).unlink()
    run = RunDirectory.at(copy)
    samples = finished_run.read(copy).samples
    run.volume_path(samples["one_0"], "centre").unlink()
    run.volume_path(samples["one_0"], "recency").write_bytes(b"PK damaged")
    run.store.path(("answers", "one_0")).write_text("{")
    page.write(copy, tmp_path / "out")
    found = read(tmp_path / "out")
    (missing,) = [text for text in found.data()["warnings"] if text.startswith("Not computed")]
    for words in ("curves", "generality", "nulls", "sanity", "floors", "layers", "travels"):
        assert words in missing
    assert found.data()["tasks"] == found.data()["curves"]["rows"] == found.data()["exceptions"]["rows"] == []
    body = found.data("sample-one_0")
    assert body["maps"]["centre"] == {"missing": "no map was computed"}
    assert "expected a saliency volume" in body["maps"]["recency"]["missing"]
    assert body["probabilities"] == []
    assert found.data()["atlas"] is found.data()["trace"] is None


def test_without_its_data_set_a_run_is_reported_without_players(copy: Path, tmp_path: Path) -> None:
    settings = copy / "config.yaml"
    settings.write_text(re.sub("root: .*", f"root: {tmp_path / 'gone' / 'away'}", settings.read_text()))
    made = page.write(copy)
    assert (made.shown, made.samples) == (0, 2)
    assert any("data set cannot be read" in text for text in read(copy).data()["warnings"])


def test_a_video_that_is_gone_costs_only_the_video(copy: Path, tmp_path: Path) -> None:
    world = Path(shutil.copytree(Path(finished_run.read(copy).settings.data["root"]), tmp_path / "world"))
    settings = copy / "config.yaml"
    settings.write_text(re.sub("root: .*", f"root: {world}", settings.read_text()))
    (world / "one.mp4").write_bytes(b"no video")
    made = page.write(copy)
    assert made.shown == 2 and any("one: no video in the report" in text for text in made.warnings)
    found = read(copy).data()
    assert [sample["video"] is None for sample in found["samples"]] == [True, False]


def test_an_unfinished_run_is_refused_in_one_line(copy: Path, tmp_path: Path) -> None:
    (copy / "leaderboard.csv").unlink()
    with pytest.raises(InputError, match=r"expected a finished run, found no leaderboard\.csv"):
        page.write(copy)
    assert not (copy / paths.PAGE).exists()


def test_what_is_too_large_lies_beside_the_page(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = page.write(run, tmp_path / "in")
    monkeypatch.setattr(page, "EMBEDDED", 0)
    apart = page.write(run, tmp_path / "out")
    assert whole.embedded and not apart.embedded and apart.size < whole.size
    names = {path.name for path in (tmp_path / "out" / "report").iterdir() if path.suffix != ".csv"}
    assert names == {"one.mp4", "one_0.js", "t%3Cw%3Eo %26 %273%27 %2541.mp4", "%2E.%2F%3Ci%3Eup%3C%2Fi%3E%2Ftwo.js"}
    call = (tmp_path / "out" / "report" / "one_0.js").read_text()
    assert json.loads(call.removeprefix('attribReport.loaded("one_0", ').removesuffix(");\n")) == read(
        tmp_path / "in"
    ).data("sample-one_0")
    assert not [attributes for attributes, _ in read(tmp_path / "out").scripts if "sample-" in str(attributes)]
    assert {path.suffix for path in (tmp_path / "in" / "report").iterdir()} == {".csv"}


def test_at_most_so_many_samples_have_a_player(run: Path, tmp_path: Path) -> None:
    assert [page.write(run, tmp_path, most).shown for most in (0, 1, 2, 60)] == [0, 1, 2, 2]


def test_a_report_is_stale_when_the_run_is_newer(copy: Path) -> None:
    assert paths.is_stale(copy)
    page.write(copy)
    assert not paths.is_stale(copy)
    (copy / "log.jsonl").touch()
    assert not paths.is_stale(copy)
    pd.read_csv(copy / "ranks.csv").to_csv(copy / "ranks.csv")
    assert paths.is_stale(copy)


def test_a_large_video_is_made_small_at_its_own_times(tmp_path: Path) -> None:
    times = np.array([0.0, 0.1, 0.15, 0.6, 0.9])
    frames = np.zeros((5, 300, 601, 3), np.uint8)
    frames[:, :, :] = np.arange(5, dtype=np.uint8)[:, None, None, None] * 50
    video.write(tmp_path / "large.mp4", frames, times, 1.5)
    assert media.make(tmp_path / "large.mp4", tmp_path / "small.mp4") == pytest.approx(1.5, abs=1e-3)
    found = open_source(tmp_path / "small.mp4")
    assert max(found.size) == 480
    np.testing.assert_allclose(found.times, times, atol=1e-4)
    levels = [picture.mean() for picture in found.pictures(range(5))]
    np.testing.assert_allclose(levels, np.arange(5) * 50, atol=4)
    before = (tmp_path / "small.mp4").stat().st_ino
    media.make(tmp_path / "large.mp4", tmp_path / "small.mp4")
    assert (tmp_path / "small.mp4").stat().st_ino == before, "it is not made twice"


def test_a_video_of_another_run_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    """Both have the same name, and the one that comes second is the older file."""
    for name, level in (("old", 0), ("new", 200)):
        video.write(tmp_path / f"{name}.mp4", np.full((4, 64, 64, 3), level, np.uint8), np.arange(4) / 4)
    os.utime(tmp_path / "old.mp4", (1e9, 1e9))
    for name in ("new", "old"):
        media.make(tmp_path / f"{name}.mp4", tmp_path / "report.mp4")
        assert (tmp_path / "report.mp4").read_bytes() == (tmp_path / f"{name}.mp4").read_bytes()


def test_a_small_video_is_taken_as_it_is_and_a_fast_one_is_thinned(tmp_path: Path) -> None:
    video.write(tmp_path / "small.mp4", np.zeros((4, 64, 64, 3), np.uint8), np.arange(4) / 4)
    media.make(tmp_path / "small.mp4", tmp_path / "copy.mp4")
    assert (tmp_path / "copy.mp4").read_bytes() == (tmp_path / "small.mp4").read_bytes()
    video.write(tmp_path / "fast.mp4", np.zeros((60, 490, 64, 3), np.uint8), np.arange(60) / 60)
    media.make(tmp_path / "fast.mp4", tmp_path / "thin.mp4")
    np.testing.assert_allclose(open_source(tmp_path / "thin.mp4").times, np.arange(15) / 15, atol=1e-3)


def test_the_head_warns_of_few_videos_guessing_and_another_world(run: Path, made: Page) -> None:
    texts = made.data()["warnings"]
    assert texts[0].startswith("2 videos: intervals are wide")
    assert any(text.startswith("2 computations failed") for text in texts)
    assert [(row["what"], row["method"]) for row in made.data()["failures"]] == [("map", "fails")] * 2
    found = finished_run.read(run)
    wrong = found.results.assign(correct=False)
    assert header.accuracy(wrong)["share"] == 0
    other = finished_run.FinishedRun(
        run, found.settings.model_copy(update={"model": found.settings.model.model_copy(update={"name": "demo"})}),
        {}, wrong,
    )  # fmt: skip
    texts = list(header.warnings(other))
    assert any("trained on attrib's generated videos only" in text for text in texts)
    assert any("answers 0 of 2 questions correctly, which is compatible with guessing (0.50)" in text for text in texts)


def test_the_atlas_is_shown_with_its_numbers_where_there_is_one(tmp_path: Path) -> None:
    assert layers.atlas(tmp_path, tmp_path / "report") is None
    folder = tmp_path / "layers"
    folder.mkdir()
    (folder / "atlas.png").write_bytes(b"picture")
    (folder / "selection.json").write_text(
        json.dumps(
            {
                "top_heads": 1,
                "halves": [
                    {
                        "heads": [[0, 3], [1, 2]],
                        "chosen_on": ["a", "b"],
                        "knockout": {
                            "evidence": {"mean": 0.71234, "low": 0.5, "high": 0.9, "videos": 8, "p": 0.25},
                            "none": None,
                        },
                    }
                ],
            }
        )
    )
    found = layers.atlas(tmp_path, tmp_path / "report")
    assert found == {
        "source": f"data:image/png;base64,{base64.b64encode(b'picture').decode()}",
        "numbers": [
            ["top heads", "1"], ["halves 1 heads", "0.3, 1.2"], ["halves 1 chosen on", "2 videos"],
            ["halves 1 knockout evidence", "0.7123 [0.5, 0.9], videos 8, p 0.25"], ["halves 1 knockout none", "None"],
        ],
    }  # fmt: skip
    (folder / "selection.json").write_text("{")
    (folder / "atlas.png").write_bytes(b"x" * (layers.EMBEDDED + 1))
    found = layers.atlas(tmp_path, tmp_path / "report")
    assert found == {"source": "report/atlas.png", "numbers": []}
    assert (tmp_path / "report" / "atlas.png").stat().st_size == layers.EMBEDDED + 1


def test_the_trace_is_shown_with_its_finding_where_there_is_one(copy: Path, tmp_path: Path) -> None:
    folder = copy / "trace"
    folder.mkdir()
    (folder / "trace.png").write_bytes(b"picture")
    (folder / "trace.json").write_text(json.dumps({"finding": {"sentence": "It travels <b>so</b>."}}))
    assert paths.is_stale(copy)
    page.write(copy)
    found = read(copy)
    embedded = f"data:image/png;base64,{base64.b64encode(b'picture').decode()}"
    assert found.data()["trace"] == {"source": embedded, "finding": "It travels <b>so</b>."}
    text = (copy / "report.html").read_text(encoding="utf-8")
    assert 'href="#trace"' in text and "It travels &lt;b&gt;so&lt;/b&gt;." in text and f'src="{embedded}"' in text
    assert not paths.is_stale(copy)
    (folder / "trace.json").write_text("{")
    assert trace.trace(copy, copy / "report") == {"source": embedded, "finding": ""}
    assert trace.trace(tmp_path, tmp_path / "report") is None
