"""Overlays of several methods in one pass, and what is left out of those of long videos."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import attrib as package
from attrib import video
from attrib.render import overlay
from attrib.types import Clip, Provenance, SaliencyVolume
from attrib.video import decode, source
from tests.helpers.films import Film, make, picture

GROUPS = Film(options={"g": "10", "x264-params": "scenecut=0"})  # a key frame each second


def drawn(folder: Path, clip: Clip, names: str = "abc") -> dict[Path, overlay.Drawn]:
    """Different volumes for overlays of these names."""
    rng = np.random.default_rng(0)
    volumes = [SaliencyVolume(rng.random((len(clip), 4, 4), np.float32), clip.times, Provenance(n)) for n in names]
    return {
        folder / f"{n}.mp4": (volume, overlay.RenderOptions(title=n)) for n, volume in zip(names, volumes, strict=True)
    }


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Numbers of passes over a file, of decoded pictures, and of pictures converted to pixels; all really happen."""
    seen: Counter[str] = Counter()
    decoded, rgb = decode.decoded, decode.rgb

    def counted(*given: Any, **more: Any) -> Any:
        seen["passes"] += 1
        for each in decoded(*given, **more):
            seen["decoded"] += 1
            yield each

    def converted(each: Any) -> Any:
        seen["converted"] += 1
        return rgb(each)

    monkeypatch.setattr(decode, "decoded", counted)
    monkeypatch.setattr(decode, "rgb", converted)
    return seen


def shown(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with av.open(str(path)) as file:
        frames = [(frame.to_ndarray(format="rgb24"), frame.time) for frame in file.decode(video=0)]
    return np.stack([frame for frame, _ in frames]), np.array([time for _, time in frames], float)


def test_all_methods_in_one_pass_are_as_each_alone(tmp_path: Path, counts: Counter[str]) -> None:
    clip = video.read(make(tmp_path / "in.mp4", range(30)), 4)
    wanted = drawn(tmp_path, clip)
    counts.clear()
    assert overlay.write_overlays(wanted, clip) == ""
    assert counts == {"passes": 1, "decoded": 30, "converted": 30}
    for path, (volume, drawing) in wanted.items():
        overlay.write_overlay(tmp_path / "alone.mp4", volume, clip, drawing)
        assert (tmp_path / "alone.mp4").read_bytes() == path.read_bytes()
        assert len(shown(path)[1]) == 30


def test_only_what_is_painted_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: Counter[str]
) -> None:
    monkeypatch.setattr(overlay, "PICTURES", 8)
    clip = video.read(make(tmp_path / "in.mp4", range(30)), 2)
    wanted = drawn(tmp_path, clip)
    counts.clear()
    assert overlay.write_overlays(wanted, clip) == "overlays show 8 of 30 frames, evenly spaced"
    assert (counts["passes"], counts["converted"]) == (1, 8)
    np.testing.assert_allclose(shown(tmp_path / "a.mp4")[1], np.arange(0, 3, 0.4), atol=1e-4)
    assert video.read(tmp_path / "a.mp4", 1).end == pytest.approx(3.0, abs=1e-4)


def test_overlays_of_long_videos_show_sampled_and_key_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: Counter[str]
) -> None:
    monkeypatch.setattr(overlay, "PLAYED", 40)
    monkeypatch.setattr(source, "CHECKED", 0)
    clip = video.read(make(tmp_path / "in.mp4", range(60), GROUPS), 4)  # frames 0, 15, 30 and 45
    counts.clear()
    note = overlay.write_overlays(drawn(tmp_path, clip), clip)
    assert note == "overlays show 8 of 60 frames, the sampled ones and key frames between them"
    assert counts == {"converted": 4}  # the key frames that were not sampled; no pass over the whole file
    frames, times = shown(tmp_path / "b.mp4")
    places = [0, 10, 15, 20, 30, 40, 45, 50]
    np.testing.assert_allclose(times, np.array(places) / 10, atol=1e-4)
    for frame, place in zip(frames, places, strict=True):  # the bar is where it was at that time
        bar = int(picture(place / 60)[0].min(axis=-1).argmax())
        assert frame[2:46, bar + 1 : bar + 7].mean() > frame[2:46, :64].mean() + 30
    assert video.read(tmp_path / "b.mp4", 1).end == pytest.approx(6.0, abs=1e-4)
    monkeypatch.setattr(overlay, "BROWSED", 3)
    overlay.write_overlays(drawn(tmp_path, clip, "d"), clip)
    np.testing.assert_allclose(shown(tmp_path / "d.mp4")[1], [0, 1.5, 2.0, 3.0, 4.0, 4.5], atol=1e-4)


def test_a_failure_leaves_no_overlay(tmp_path: Path) -> None:
    clip = video.read(make(tmp_path / "in.mp4", range(10)), 4)
    wanted = drawn(tmp_path, clip)
    (tmp_path / "file").touch()
    wanted[tmp_path / "file" / "d.mp4"] = next(iter(wanted.values()))
    with pytest.raises(package.errors.VideoError, match="cannot be written"):
        overlay.write_overlays(wanted, clip)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "in.mp4"]


def test_explanations_without_overlays(tmp_path: Path) -> None:
    path = make(tmp_path / "in.mp4", range(10))
    found = package.explain(path, "What moves?", ["a", "b"], methods=["centre", "recency"])
    assert found.save(tmp_path / "out", overlays=False) == ""
    assert {each.name for each in (tmp_path / "out").iterdir()} == {
        "summary.json", "centre.npz", "centre.png", "recency.npz", "recency.png"}  # fmt: skip
    assert found.save(tmp_path / "out") == ""
    assert len(shown(tmp_path / "out" / "recency.mp4")[1]) == 10


@pytest.mark.parametrize("overlays", [0, 1])
def test_a_run_draws_its_overlays_in_one_pass(tmp_path: Path, counts: Counter[str], overlays: int) -> None:
    methods = {"centre": None, "recency": None, "uniform": None}
    data = {"name": "demo", "root": str(tmp_path / "data"), "videos": 1}
    given = {"data": data, "methods": methods, "metrics": {"mass": None}, "overlays": overlays, "resamples": 100}
    assert not package.bench(given, tmp_path / "run").failures
    written = list((tmp_path / "run" / "videos").rglob("*.mp4"))
    assert len(written) == 3 * overlays
    if overlays:
        size, rounds = len(shown(written[0])[1]), counts["converted"]
        assert size <= rounds < 2 * size + 40  # once for all three, beside the sampled frames
