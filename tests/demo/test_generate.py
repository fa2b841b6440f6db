"""The generated set: official layout, exact times, and the same bytes for the same seed."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attrib import video
from attrib.benchmarks.engines.forked import one_thread
from attrib.data.perception_test import PerceptionTest
from attrib.demo import evidence, generate
from attrib.demo.training.settings import TRAINING_SEEDS
from attrib.demo.world import annotate, render
from attrib.demo.world.families import FAMILIES
from attrib.demo.world.scene import EVENTS, FRAMES, RATE, SIZE, Entity, Scene, span, union
from attrib.demo.world.table import sample
from attrib.errors import InputError

VIDEOS = 16
Annotations = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate.generate(tmp_path_factory.mktemp("world"), videos=VIDEOS, seed=3)


@pytest.fixture(scope="module")
def annotations(made: Path) -> Annotations:
    return dict(json.loads((made / "all_valid.json").read_text()))


def files(directory: Path) -> dict[str, tuple[bytes, int]]:
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(directory.rglob("*")) if p.is_file()}


def test_the_layout_is_the_official_one(annotations: Annotations, shared_data: Path) -> None:
    """Same fields as a real annotation, at every level that the real one fills."""
    official = json.loads((shared_data / "perception_test/valid_cup_game/all_valid.json").read_text())
    real = next(iter(official.values()))
    for ours in annotations.values():
        assert ours.keys() == real.keys()
        assert {"split", "video_id", "frame_rate", "num_frames", "resolution", "is_cup_game"} <= ours["metadata"].keys()
        for part in ("object_tracking", "mc_question"):
            for item in ours[part]:
                assert item.keys() == real[part][0].keys()
                for key, value in real[part][0].items():
                    assert type(item[key]) is type(value), (part, key)


def test_tracks_are_whole_and_in_microseconds(annotations: Annotations) -> None:
    for ours in annotations.values():
        assert [t["id"] for t in ours["object_tracking"]] == list(range(len(ours["object_tracking"])))
        for track in ours["object_tracking"]:
            count = len(track["frame_ids"])
            columns = ("bounding_boxes", "initial_tracking_box", "timestamps", "is_masked")
            assert {len(track[key]) for key in columns} == {count}
            assert sum(track["initial_tracking_box"]) == 1
            assert track["timestamps"] == [i * 250_000 for i in track["frame_ids"]]
            boxes = np.array(track["bounding_boxes"])
            assert (boxes[:, :2] < boxes[:, 2:]).all()
            assert boxes.min() >= 0
            assert boxes.max() <= 1


def test_segments_and_grounded_questions_name_the_evidence(made: Path, annotations: Annotations) -> None:
    known = json.loads((made / "evidence_valid.json").read_text())
    assert known.keys() == annotations.keys()
    for name, ours in annotations.items():
        items = known[name]["0"]
        needed = {item["track"] for item in items if item["role"] == "necessary"}
        assert ours["grounded_question"][0]["answers"] == sorted(needed)
        for item in items:
            assert 0 <= item["start"] < item["end"] <= FRAMES / RATE
        segments = ours["action_localisation"] + ours["sound_localisation"]
        found = {(parent, *s["timestamps"]) for s in segments for parent in s["parent_objects"]}
        times = {(i["track"], round(i["start"] * 1e6), round(i["end"] * 1e6)) for i in items}
        question = ours["mc_question"][0]["question"]
        if "comes twice" in question:  # it comes in two frames of each visit
            assert {(track, start, start + 500_000) for track, start, _ in times} <= found
        elif "cups" not in question and "mat" not in question:
            assert times <= found


def test_hidden_things_are_masked_and_impacts_behind_a_screen_invisible() -> None:
    visible = hidden = 0
    for scene, family, place in generate.items(64, seed=2):
        record = annotate.annotation(scene, family, "valid", place)
        tracks = {t["id"]: t for t in record["object_tracking"]}
        masked = {i for i, t in tracks.items() if any(t["is_masked"])}
        occluders = [t for t in tracks.values() if t["is_occluder"]]
        covered = {e.id for e in scene.entities if any(e.covered)}
        assert covered <= masked
        assert occluders or masked == covered
        assert all(t["label"] == "screen" for t in occluders)
        for i in masked:  # boxes go on while a thing is hidden
            present = sum(scene.entities[i].present)
            assert len(tracks[i]["bounding_boxes"]) == len(tracks[i]["is_masked"]) == present
        for sound in record["sound_localisation"]:
            assert len(sound["parent_objects"]) == 2
            assert sound["is_visible"] == (not masked.issuperset(sound["parent_objects"]))
            visible, hidden = visible + sound["is_visible"], hidden + (not sound["is_visible"])
        assert [s["id"] for s in record["action_localisation"]] == list(range(len(record["action_localisation"])))
    assert visible >= 8
    assert hidden >= 2


def test_a_covered_ball_is_masked_and_its_box_stays_with_the_cup() -> None:
    """The camera does not shake, as it would shift the box."""
    scene = next(s for s in (sample(seed, "hide") for seed in range(99)) if not s.camera_shakes)
    record = annotate.annotation(scene, FAMILIES["hide"], "valid", 0)
    (ball,) = [e for e in scene.entities if e.kind == "ball"]
    track = record["object_tracking"][ball.id]
    assert track["label"] == "ball"
    assert track["is_masked"] == [int(frame >= ball.covered.index(True)) for frame in range(FRAMES)]
    for box, (x, y) in zip(track["bounding_boxes"], ball.centres, strict=True):
        x1, y1, x2, y2 = SIZE * np.array(box)
        assert [(x1 + x2) / 2, (y1 + y2) / 2] == pytest.approx([x, y], abs=1)


def test_metadata_tell_the_cup_game_and_a_moving_camera() -> None:
    shaking = []
    for scene, family, place in generate.items(24, seed=2):
        metadata = annotate.annotation(scene, family, "valid", place)["metadata"]
        assert metadata["is_cup_game"] == (family.name == "hide")
        assert metadata["is_camera_moving"] == any(scene.shift(frame) != (0, 0) for frame in range(FRAMES))
        shaking.append(metadata["is_camera_moving"])
    assert set(shaking) == {0, 1}


def actions(scene: Scene, label: str, track: int) -> list[list[int]]:
    """First frame and frame after the last of each action of a track."""
    record = annotate.annotation(scene, FAMILIES["move"], "valid", 0)["action_localisation"]
    return [s["frame_ids"] for s in record if s["label"] == label and s["parent_objects"] == [track]]


def test_whatever_happens_more_than_once_is_as_many_actions() -> None:
    """An object slides, comes and jumps twice; a slide begins with the frame before it leaves its place."""
    places = [(32.0, 32.0)] * 2 + [(64.0, 32.0)] * 3 + [(96.0, 32.0)] * 11
    twice = Entity(
        0, "object", "circle", "red", 24, tuple(places), (True,) * FRAMES, wobble=(0.0,) * 12 + (5.0, -5.0, 0.0, 0.0),
        sparkling=union(span(7, 9), span(12, 14)), lifted=union(span(8, 9), span(10, 11)),
    )  # fmt: skip
    card = Entity(1, "card", "star", "white", 24, ((160.0, 160.0),) * FRAMES, (True,) * FRAMES, turned=span(4, 6))
    mover = Entity(2, "object", "ring", "blue", 24, ((96.0, 160.0),) * FRAMES, (True,) * FRAMES)
    scene = Scene(0, (twice, card, mover))
    assert actions(scene, "Moving something", 0) == [[1, 3], [4, 6]]
    assert actions(scene, "Shaking something", 0) == [[12, 14]]
    assert actions(scene, "Something coming", 0) == [[7, 9], [12, 14]]
    assert actions(scene, "Something jumping", 0) == [[8, 9], [10, 11]]
    assert actions(scene, "Turning a card over", 1) == [[4, 6]]
    record = annotate.annotation(scene, replace(FAMILIES["move"], answer=lambda _: "red"), "valid", 0)
    assert [s["timestamps"] for s in record["action_localisation"]][:2] == [[250_000, 750_000], [1_000_000, 1_500_000]]
    assert {parent for s in record["action_localisation"] for parent in s["parent_objects"]} == {0, 1}


def test_counterfactual_videos_lack_what_their_entries_say(tmp_path: Path) -> None:
    directory = generate.generate(tmp_path, videos=2, seed=3, counterfactuals=True)
    entries = json.loads((directory / "counterfactuals_valid.json").read_text())
    assert {p.name for p in (directory / "counterfactuals").iterdir()} == {
        e["video"] for part in entries.values() for e in part["0"]
    }
    for scene, family, _ in generate.items(2, 3):
        found = {e["video"]: e for e in entries[annotate.video_id(scene)]["0"]}
        assert Counter(e["kind"] for e in found.values())["removed"] == 1
        for edit in list(evidence.edits(scene, family))[::6]:
            name = f"{annotate.video_id(scene)}_{edit.name}.mp4"
            assert {k: v for k, v in found[name].items() if k != "video"} == edit.seconds()
            clip = video.read(directory / "counterfactuals" / name, FRAMES)
            assert np.abs(clip.frames.astype(int) - render.frames(edit.scene)).mean() < 3  # of 255; lossy
    before = files(directory)
    assert files(generate.generate(tmp_path, videos=2, seed=3, counterfactuals=True)) == before
    next((directory / "counterfactuals").iterdir()).unlink()
    assert files(generate.generate(tmp_path, videos=2, seed=3, counterfactuals=True)).keys() == before.keys()


def test_families_and_letters_are_balanced() -> None:
    made = list(generate.items(120, seed=5))
    assert Counter(family.name for _, family, _ in made) == dict.fromkeys(EVENTS, 15)
    for name in EVENTS:
        places = Counter(place for _, family, place in made if family.name == name)
        assert places == (dict.fromkeys(range(5), 3) if name == "jumps" else dict.fromkeys(range(3), 5))


def test_generated_seeds_are_never_training_seeds() -> None:
    scene, _, _ = next(generate.items(1, generate.SEEDS - 1))
    assert scene.seed + generate.MOST_VIDEOS <= TRAINING_SEEDS


def test_same_seed_same_bytes_and_frames(made: Path, tmp_path: Path) -> None:
    again = generate.generate(tmp_path / "again", videos=VIDEOS, seed=3)
    for name in ("all_valid.json", "evidence_valid.json"):
        assert (made / name).read_bytes() == (again / name).read_bytes()
    for path in sorted((made / "videos").iterdir())[:2]:
        first, second = video.read(path, FRAMES), video.read(again / "videos" / path.name, FRAMES)
        assert (first.frames == second.frames).all()


def test_videos_hold_the_frames_at_their_times(made: Path) -> None:
    scene, _, _ = next(generate.items(VIDEOS, 3))
    clip = video.read(generate.video_path(made, scene), FRAMES)
    assert clip.times == pytest.approx(np.arange(FRAMES) / RATE, abs=1e-4)
    assert clip.end == pytest.approx(FRAMES / RATE, abs=1e-4)
    assert np.abs(clip.frames.astype(int) - render.frames(scene)).mean() < 3  # of 255; the codec is lossy
    assert video.read(generate.video_path(made, scene), 8).times == pytest.approx(np.arange(8) / 2, abs=1e-4)


def test_samples_are_read_back_with_their_evidence(made: Path) -> None:
    samples = list(PerceptionTest(str(made)))
    assert len(samples) == VIDEOS
    for read, (scene, family, place) in zip(samples, generate.items(VIDEOS, 3), strict=True):
        assert read.question.text == family.question
        assert read.question.answer == place
        assert len(read.question.options) == family.choices
        assert read.question.options[place] == family.answer(scene)
        assert sorted(read.evidence_tracks) == annotate.evidence_tracks(scene, family)


def test_a_complete_set_is_kept_and_an_incomplete_one_made_anew(made: Path, tmp_path: Path) -> None:
    directory = tmp_path / "set"
    shutil.copytree(made, directory)
    before = files(directory)
    generate.generate(directory, videos=VIDEOS, seed=3)
    assert files(directory) == before
    victim = next((directory / "videos").iterdir())
    victim.unlink()
    generate.generate(directory, videos=VIDEOS, seed=3)
    assert victim.stat().st_size > 0
    assert files(directory).keys() == before.keys()
    generate.generate(directory, videos=2, seed=4)  # other settings
    assert len(json.loads((directory / "all_valid.json").read_text())) == 2


@pytest.mark.parametrize("wrong", [{"videos": 0}, {"videos": 10_001}, {"seed": -1}, {"seed": 100_000}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))}: expected"):
        generate.generate(tmp_path / "none", **wrong)
    assert not (tmp_path / "none").exists()


def test_a_place_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file"):
        generate.generate(tmp_path / "file", videos=1)


def test_every_family_is_asked_in_its_own_words() -> None:
    assert len({family.question for family in FAMILIES.values()}) == len(FAMILIES)


def test_processes_that_begin_at_once_write_a_set_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = generate._write

    def noted(directory: Path, settings: dict[str, Any]) -> None:
        with (tmp_path / "writes").open("a") as file:
            file.write("x")
        write(directory, settings)

    monkeypatch.setattr(generate, "_write", noted)
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=generate.generate, args=(tmp_path / "world", 2)) for _ in range(3)]
    with one_thread():
        for process in processes:
            process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "writes").read_text() == "x"
