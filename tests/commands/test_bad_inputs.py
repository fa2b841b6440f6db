"""Generated bad inputs: each is refused in one harmless line or read sensibly; no traceback, no hang, no stray file.

`ATTRIB_BAD_INPUTS=20 ATTRIB_BAD_INPUTS_SEED=7 pytest tests/commands/test_bad_inputs.py` makes
twenty times as many, and others.
"""

from __future__ import annotations

import io
import json
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from attrib import config, registry, video
from attrib.annotation_cells import evidence_boxes, visible_tube
from attrib.data.perception_test import PerceptionTest
from attrib.types import Provenance, Question, SaliencyVolume
from attrib.video.source import open_source

from bad_inputs import NASTY, NASTY_TEXTS, TIMES, Arena, check_line, damaged, examples, flipped, judged

# How many of each kind; each once more for ATTRIB_BAD_INPUTS.
ANNOTATIONS, SIDE_FILES, JSON_BYTES, IDS = 220, 60, 60, len(NASTY_TEXTS)
SETTINGS, YAML_TEXTS, OVERRIDES = 160, 80, 80
VIDEOS, VOLUMES, TEXTS = 100, 80, 60

QUESTION = {"id": 0, "question": "Where?", "options": ["left", "right"], "answer_id": 1, "area": "x", "tag": ["y"]}
ANNOTATION: dict[str, Any] = {
    "metadata": {"frame_rate": 30.0, "resolution": [32, 48]},
    "object_tracking": [
        {"id": k, "label": "cup", "is_occluder": 0, "bounding_boxes": [[0.1, 0.1, 0.4, 0.4], [0.5, 0.1, 0.9, 0.4]],
         "timestamps": [0, 1_000_000], "is_masked": [0, 1]} for k in range(2)
    ],
    "action_localisation": [{"id": 0, "label": "go", "parent_objects": [-1, 1], "timestamps": [100_000, 900_000]}],
    "sound_localisation": [{"label": "bang", "parent_objects": [], "timestamps": [0, 500_000], "is_visible": 0}],
    "mc_question": [QUESTION],
    "grounded_question": [{"id": 0, "question": "Where?", "answers": [1]}],
}  # fmt: skip
SIDES: dict[str, Any] = {
    "cut_frame_mapping_valid": {"v": 20, "w": -1},
    "evidence_valid": {"v": {"0": [{"track": 1, "start": 0.0, "end": 0.9, "role": "necessary"}]}},
    "counterfactuals_valid": {"v": {"0": [{"kind": "part", "track": 1, "start": 0, "end": 1, "video": "v_1.mp4"}]}},
}
PLAIN = {"x", "7", "CON", "NaN", "null"}  # plain file names among the nasty texts
CONFIG: dict[str, Any] = {
    "data": {"name": "perception_test", "root": "here", "split": "valid", "limit": 3},
    "model": {"name": "demo", "device": "cpu", "dtype": "float32", "frames": 4, "sampling": "uniform"},
    "methods": {"centre": None, "mine": {"method": "grad_cam", "layer": "last"}, "random": {}, "occlusion": None},
    "metrics": {"mass": None, "srg": {"imputer": "mean"}, "roc_auc": {}},
    "imputers": ["blur", "mean"], "target": "predicted", "seed": 0, "workers": 1, "overlays": 0, "resamples": 1000,
}  # fmt: skip
YAML_PARTS = [
    "a: 1", "methods: {centre: }", "metrics: {mass: }", "seed: .nan", "seed: 0x" + "f" * 5000, "- 1", "\t",
    "a: &a [*a]", "&x", "*x", "!!python/object/apply:os.system ['touch evil']", "!!python/name:os.system",
    "!!binary aGVsbG8=", "? ", "<<: *a", "--- ", "...", "%YAML 9.9", "{", "}", "[" * 400, "]", ": ", "'",
    '"\\ud800"', '"\\e[31m"', "|\n  x", ">-", "2020-13-45", "1:60:99", "!!int x", "!!set {a}", "!!omap [1]",
    "\x00", "\x1b[31m", "\u202e", "# only a comment", "a0: &a0 [x, x, x, x]\na1: &a1 [*a0, *a0, *a0]", "1e999", "~",
    "seed: " + "9" * 6000, "é: ü", "model: {frames: yes}",
]  # fmt: skip


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """A folder among files of which none may change, with the working directory in it."""
    made = Arena(tmp_path_factory.mktemp("bad"))
    made.empty()
    (made.root / "keep.txt").write_text("keep")
    return made


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    """Small videos of several kinds: ending and bytes."""
    folder = tmp_path_factory.mktemp("films")
    noise = np.random.default_rng(0).integers(0, 255, (12, 32, 48, 3), np.uint8)
    video.write(folder / "a.mp4", noise, np.arange(12) / 10)
    found = [(".mp4", (folder / "a.mp4").read_bytes())]
    for ending, codec in ((".mkv", "libx264"), (".avi", "mpeg4"), (".ts", "libx264"), (".webm", "libvpx")):
        with av.open(str(folder / f"b{ending}"), "w") as file:
            stream = file.add_stream(codec, rate=Fraction(10))
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            for frame in noise:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            file.mux(stream.encode(None))
        found.append((ending, (folder / f"b{ending}").read_bytes()))
    return found


def read_samples(root: Path) -> int:
    """All of a data set, with what metrics ask of it; what is read must be sound."""
    count, times = 0, np.arange(4) / 4
    for sample in PerceptionTest(str(root)):
        count += 1
        assert sample.video.parent == root / "videos"
        assert all(item.video.parent == root / "counterfactuals" for item in sample.counterfactuals)
        check_line(sample.id)
        for text in (sample.task, *(track.label for track in sample.tracks), *(item.label for item in sample.segments)):
            if text:
                check_line(text[:500])
        for visible, hidden in evidence_boxes(sample, times):
            assert all(np.isfinite(box).all() for box in (*visible, *hidden))
        for track in sample.tracks:
            tube = visible_tube(track, times, 3, 3)
            assert ((tube >= 0) & (tube <= 1 + 1e-9)).all()
    return count


@examples(ANNOTATIONS)
@given(tree=damaged({"v": ANNOTATION, "w": {**ANNOTATION, "object_tracking": []}}))
def test_annotations(arena: Arena, tree: Any) -> None:
    root = arena.empty()
    (root / "all_valid.json").write_text(json.dumps(tree))
    judged(lambda: read_samples(root))


@examples(SIDE_FILES)
@given(tree=damaged(SIDES), form=st.sampled_from(["all", "plain"]))
def test_files_beside_the_annotations(arena: Arena, tree: Any, form: str) -> None:
    root = arena.empty()
    (root / "all_valid.json").write_text(json.dumps({"v": ANNOTATION} if form == "all" else {"v": [QUESTION]}))
    for name in SIDES:
        if name in tree:
            (root / f"{name}.json").write_text(json.dumps(tree[name]))
    judged(lambda: read_samples(root))


@pytest.mark.parametrize("number", range(JSON_BYTES * TIMES))
def test_damaged_json(arena: Arena, number: int) -> None:
    root = arena.empty()
    whole = json.dumps({"v": ANNOTATION}).encode()
    content = [b"", b"\xff\xfe\x00", b"[" * 200_000, b"{}" * 2, b"null", b'{"v": 1e999}', b'{"a": {"a": 1, "a": 2}}']
    data = content[number] if number < len(content) else flipped(whole, number)
    (root / "all_valid.json").write_bytes(data)
    judged(lambda: read_samples(root))


def test_a_directory_in_place_of_a_file(arena: Arena) -> None:
    root = arena.empty()
    (root / "all_valid.json").mkdir()
    assert judged(lambda: read_samples(root)) is None
    assert judged(lambda: config.read(root)) is None
    assert judged(lambda: SaliencyVolume.load(root)) is None


@pytest.mark.parametrize("name", NASTY_TEXTS)
def test_ids_of_videos(arena: Arena, name: str) -> None:
    root = arena.empty()
    (root / "all_valid.json").write_text(json.dumps({name: ANNOTATION}))
    read = judged(lambda: read_samples(root))
    assert (read == 1) == (name in PLAIN)  # all others are refused
    listed = {"v": {"0": [{"kind": "only", "video": name}]}}
    (root / "all_valid.json").write_text(json.dumps({"v": ANNOTATION}))
    (root / "counterfactuals_valid.json").write_text(json.dumps(listed))
    assert (judged(lambda: read_samples(root)) == 1) == (name in PLAIN)


def resolved(settings: Any) -> config.Config:
    """All that a run makes of its settings before it reads data."""
    found = config.parse(settings)
    config.method_entries(found)
    config.metric_entries(found)
    config.dataset(found)
    yaml.safe_dump(found.model_dump(), allow_unicode=True).encode()  # as it is kept beside the results
    return found


@examples(SETTINGS)
@given(tree=damaged(CONFIG), from_file=st.booleans())
def test_settings(arena: Arena, tree: Any, from_file: bool) -> None:
    path = arena.empty() / "c.yaml"
    path.write_text(json.dumps(tree))  # nearly all JSON is YAML
    judged(lambda: resolved(config.read(path) if from_file else tree))


@examples(YAML_TEXTS)
@given(parts=st.lists(st.sampled_from(YAML_PARTS) | st.text(max_size=15), max_size=5), between=st.sampled_from("\n \t"))
def test_yaml(arena: Arena, parts: list[str], between: str) -> None:
    path, before = arena.empty() / "c.yaml", set(Path.cwd().iterdir())
    path.write_text(between.join(parts), encoding="utf-8", errors="surrogatepass")
    judged(lambda: resolved(config.read(path)))
    assert set(Path.cwd().iterdir()) == before


@examples(OVERRIDES)
@given(
    keys=st.lists(st.sampled_from([*CONFIG, "mine", "layer", "frames", "", "..", "\x1b", "é"]), min_size=1, max_size=3),
    value=st.sampled_from(YAML_PARTS) | NASTY.map(str),
)
def test_overrides(keys: list[str], value: str) -> None:
    judged(lambda: resolved(config.override(CONFIG, [f"{'.'.join(keys)}={value}"])))


@pytest.mark.parametrize("number", range(VIDEOS * TIMES))
def test_videos(arena: Arena, films: list[tuple[str, bytes]], number: int) -> None:
    ending, whole = films[number % len(films)]
    path = arena.empty() / f"x{ending}"
    path.write_bytes(flipped(whole, number))

    def watched() -> int:
        clip = video.read(path, 4, video.SAMPLINGS[number % 2])
        assert len(clip) <= 4
        return sum(1 for _ in open_source(path).play()) if number % 3 == 0 else 0

    judged(watched)


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".avi", ".txt"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00", b"words\n" * 99, b"\x00\x00\x00\x18ftypisom", b"\x1a\x45\xdf\xa3", b"RIFF"]
)
def test_what_is_no_video(arena: Arena, ending: str, content: bytes) -> None:
    path = arena.empty() / f"x{ending}"
    path.write_bytes(content)
    assert judged(lambda: video.read(path)) is None


@pytest.mark.parametrize("name", [*NASTY_TEXTS, "x" * 256 + ".mp4"])
def test_names_of_files(arena: Arena, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(arena.empty())
    for read in (video.read, config.read, SaliencyVolume.load, registry.load_plugin, lambda path: read_samples(path)):
        assert judged(lambda read=read: read(Path(name))) is None


@pytest.mark.parametrize("frames", [np.zeros((1, 0, 8, 3), np.uint8), np.zeros((0, 8, 8, 3), np.uint8),
                                    np.zeros((1, 8, 8), np.uint8), np.full((1, 8, 8, 3), np.nan)])  # fmt: skip
def test_frames_that_are_none(arena: Arena, frames: np.ndarray[Any, Any]) -> None:
    root = arena.empty()
    assert judged(lambda: video.write(root / "x.mp4", frames, np.arange(len(frames)))) is None
    assert list(root.iterdir()) == []


def saved(values: Any, times: Any, provenance: Any) -> bytes:
    """A volume's file of any content."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, values=values, times=times, provenance=provenance)
    return buffer.getvalue()


MADE = np.array(json.dumps({"method": "centre", "parameters": {"sigma": 0.2}}))
CUBE = np.ones((2, 3, 3), np.float32)
OBJECTS = np.array([{"a": 1}], dtype=object)


@pytest.mark.parametrize("number", range(VOLUMES * TIMES))
def test_volumes(arena: Arena, number: int) -> None:
    path = arena.empty() / "x.npz"
    whole = saved(CUBE * np.arange(9, dtype=np.float32).reshape(3, 3), np.arange(2.0), MADE)
    path.write_bytes(flipped(whole, number))
    volume = judged(lambda: SaliencyVolume.load(path))
    if volume is not None:  # the damage lies where it does no harm
        assert np.array_equal(volume.values[0].ravel(), np.arange(9))
        assert volume.provenance == Provenance("centre", {"sigma": 0.2})


@pytest.mark.parametrize(
    ("values", "times", "provenance"),
    [
        (CUBE * np.nan, np.arange(2.0), MADE), (CUBE * np.inf, np.arange(2.0), MADE), (CUBE[0], np.arange(2.0), MADE),
        (CUBE[:0], np.arange(0.0), MADE), (CUBE.astype(np.float64), np.arange(2.0), MADE), (CUBE, np.arange(3.0), MADE),
        (CUBE, np.array([1.0, 0.0]), MADE), (CUBE, np.array([0, np.nan]), MADE), (CUBE, np.array(["0", "1"]), MADE),
        (OBJECTS, np.arange(2.0), MADE), (CUBE, OBJECTS, MADE), (CUBE, np.arange(2.0), OBJECTS),
        (CUBE, np.arange(2.0), np.array("[" * 9999)), (CUBE, np.arange(2.0), np.array("\x1b[31m")),
        (CUBE, np.arange(2.0), np.array('{"method": 3, "extras": "x"}')), (CUBE.astype(str), np.arange(2.0), MADE),
    ],
)  # fmt: skip
def test_volumes_of_other_content(arena: Arena, values: Any, times: Any, provenance: Any) -> None:
    path = arena.empty() / "x.npz"
    path.write_bytes(saved(values, times, provenance))
    assert judged(lambda: SaliencyVolume.load(path)) is None


def test_archives_that_leave_their_folder(arena: Arena) -> None:
    path, around = arena.empty() / "x.npz", arena.outside()
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../../values.npy", b"evil")
    assert judged(lambda: SaliencyVolume.load(path)) is None
    assert arena.outside() == around


@examples(TEXTS)
@given(text=NASTY, option=NASTY, answer=NASTY)
def test_questions(text: Any, option: Any, answer: Any) -> None:
    def asked() -> None:
        found = Question(str(text), (str(option), "b"), int(answer) if isinstance(answer, int) else None)
        found.text.encode()
        assert "\x1b" not in found.text + found.options[0]

    judged(asked)


def test_there_are_enough() -> None:
    """Five hundred, whatever the seed; `test_bad_commands.py` makes a few more."""
    counted = ANNOTATIONS + SIDE_FILES + JSON_BYTES + IDS + SETTINGS + YAML_TEXTS + OVERRIDES + VIDEOS + VOLUMES + TEXTS
    assert counted >= 500
