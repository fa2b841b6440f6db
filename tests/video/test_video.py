"""Reading at true times, whichever decoder and container, and writing: against PyAV's full decode of real files."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from attrib import video
from attrib.errors import InputError, UnknownName, VideoError
from attrib.video.source import Display, Source, open_source
from tests.helpers.films import same_scheduling

DECORD: Any = sys.modules.get("decord")  # None where attrib.video could not import it


def pictures(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth frames that differ from each other by far more than a codec's loss: a bar that walks, on a ramp."""
    y, x = np.mgrid[:height, :width]
    ramp = np.stack([x * 160 // width, y * 160 // height, np.full_like(x, 60)], axis=-1)
    frames = np.repeat(ramp[None], count, axis=0).astype(np.uint8)
    for place, frame in enumerate(frames):
        frame[:, place * width // count : (place + 1) * width // count + 1] = 255
    return frames


@same_scheduling()
def encode(path: Path, frames: np.ndarray, codec: str = "libx264", **settings: Any) -> Path:
    """An independent writer: constant 10 frames per second, with options that `video.write` does not have."""
    options = settings.pop("options", {})
    with av.open(str(path), "w", **settings.pop("container", {})) as file:
        stream = file.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        if "aspect" in settings:
            stream.codec_context.sample_aspect_ratio = settings["aspect"]
        if "rotation" in settings:
            stream.set_display_rotation(settings["rotation"])
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))
    return path


def decode(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """All frames and times, straight from PyAV."""
    with av.open(str(path)) as file:
        shown = [(frame.to_ndarray(format="rgb24"), frame.time) for frame in file.decode(video=0)]
    return np.stack([frame for frame, _ in shown]), np.array([time for _, time in shown], dtype=np.float64)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(float) - b).mean()) < 6


SHARED = [
    "videos/dog.mp4",
    "videos/dog_odd_255x171.mp4",
    "videos/pancake.mkv",
    "videos/pancake_variable_rate.mp4",
    "perception_test/valid_cup_game/videos/video_7110.mp4",
]


@pytest.mark.parametrize("name", SHARED)
def test_sparse_reading_equals_full_decode(shared_data: Path, name: str) -> None:
    frames, times = decode(shared_data / name)
    clip = video.read(shared_data / name, 8)
    wanted = [k * len(frames) // 8 for k in range(8)]
    np.testing.assert_array_equal(clip.frames, frames[wanted])
    np.testing.assert_allclose(clip.times, times[wanted], atol=1e-9)
    assert clip.warnings == ()


def test_variable_rate_has_real_times(shared_data: Path) -> None:
    source = open_source(shared_data / "videos/pancake_variable_rate.mp4")
    assert source.times[89] == pytest.approx(2.97, abs=0.005)  # index / average rate would say 5.47
    assert source.end == pytest.approx(10.3333, abs=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {"g": "12", "x264-params": "open-gop=1:bframes=4:scenecut=0"},
        {"x264-params": "intra-refresh=1:keyint=30"},
    ],
)
def test_files_that_decord_would_misread(shared_data: Path, tmp_path: Path, options: dict[str, str]) -> None:
    original, _ = decode(shared_data / "videos/dog.mp4")
    path = encode(tmp_path / "a.mkv", original[:100], options=options)
    frames, _ = decode(path)
    wanted = np.array([3, 29, 47, 62, 71, 95])
    decord = pytest.importorskip("decord", reason="decord, which would misread them, is not installed")
    jumps = decord.VideoReader(str(path)).get_batch(wanted.tolist()).asnumpy()
    assert not np.array_equal(jumps, frames[wanted])  # or the check for it could go
    np.testing.assert_array_equal(video.read(path, sampling="times", times=wanted / 10).frames, frames[wanted])


CONTAINERS = {
    "a.mp4": "libx264",
    "a.mkv": "libx265",
    "a.webm": "libvpx-vp9",
    "a.ts": "libx264",
    "a.h264": "libx264",
    "a.avi": "mpeg4",
    "b.avi": "libx264",
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(tmp_path: Path, name: str) -> None:
    options = {"bf": "2"} if CONTAINERS[name] == "mpeg4" else {"x265-params": "log-level=none"}
    path = encode(tmp_path / name, pictures(20), CONTAINERS[name], options=options)
    frames, _ = decode(path)
    clip = video.read(path, 5)
    np.testing.assert_allclose(clip.times, [0, 0.4, 0.8, 1.2, 1.6], atol=2e-3)
    assert clip.end == pytest.approx(2.0, abs=2e-3)
    np.testing.assert_array_equal(clip.frames, frames[::4])
    assert bool(clip.warnings) == (name == "a.h264")  # an elementary stream has no times at all


@pytest.mark.parametrize("size", [(2, 2), (32, 16), (32, 48), (32, 254)])
def test_small_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    path = encode(tmp_path / "a.mp4", pictures(6, *size))  # decord opens the first and cannot give its pictures
    np.testing.assert_array_equal(video.read(path, 6).frames, decode(path)[0])


def test_opencv_reads_png_beside_us(tmp_path: Path) -> None:
    code = (
        "import attrib.video, cv2, numpy as np, sys; cv2.imwrite(sys.argv[1], np.eye(9, dtype=np.uint8)); "
        "assert (cv2.imread(sys.argv[1], -1) == np.eye(9)).all()"
    )  # fails where decord is loaded first
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True)


def test_av1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    codec = next((name for name in ("libsvtav1", "libaom-av1") if name in av.codecs_available), None)
    if codec is None:
        pytest.skip("this build of PyAV has no AV1 encoder")
    path = encode(tmp_path / "a.mp4", pictures(12, 64, 96), codec)
    if DECORD is not None:
        with pytest.raises(DECORD.DECORDError):
            DECORD.VideoReader(str(path))
    frames, times = decode(path)
    capfd.readouterr()
    clip = video.read(path, 4)
    np.testing.assert_array_equal(clip.frames, frames[::3])
    np.testing.assert_allclose(clip.times, times[::3])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("angle", "turns"), [(90, 1), (180, 2), (-90, 3)])
def test_rotation_is_applied_once(tmp_path: Path, angle: int, turns: int) -> None:
    frames = pictures(6, 240, 416)
    path = encode(tmp_path / "a.mp4", frames, rotation=angle)
    clip = video.read(path, 6)
    assert close(np.rot90(frames, turns, axes=(1, 2)), clip.frames)
    if DECORD is not None:
        assert close(clip.frames[0], DECORD.VideoReader(str(path))[0].asnumpy())  # which turns pictures by itself


@pytest.mark.parametrize(("aspect", "size"), [((2, 1), (48, 128)), ((1, 2), (96, 64))])
def test_pixel_aspect_makes_the_picture_larger(tmp_path: Path, aspect: tuple[int, int], size: tuple[int, int]) -> None:
    path = encode(tmp_path / "a.mp4", pictures(4), aspect=Fraction(*aspect))
    stored, _ = decode(path)
    shown = video.read(path, 4).frames
    assert shown.shape[1:3] == size == open_source(path).size
    down, across = size[0] // 48, size[1] // 64
    means = shown.reshape(4, 48, down, 64, across, 3).mean(axis=(2, 4))
    assert np.abs(means[:, 4:-4, 4:-4] - stored[:, 4:-4, 4:-4]).mean() < 4


def test_aspect_comes_before_rotation(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", pictures(4), aspect=Fraction(2, 1), rotation=90)
    assert video.read(path, 2).frames.shape == (2, 128, 48, 3)


def test_uniform_is_the_formula_of_transformers(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", pictures(17))
    np.testing.assert_allclose(video.read(path, 5).times, [0, 0.3, 0.6, 1.0, 1.3])  # 0, 3, 6, 10, 13 of 17


def test_fewer_frames_than_asked_for(tmp_path: Path) -> None:
    clip = video.read(encode(tmp_path / "a.mp4", pictures(3)), 8)
    np.testing.assert_allclose(clip.times, [0, 0.1, 0.2])
    assert len(clip.warnings) == 1
    assert "3 frames instead of 8" in clip.warnings[0]


def test_one_frame(tmp_path: Path) -> None:
    video.write(tmp_path / "a.mp4", pictures(1), [0.0], end=0.25)
    clip = video.read(tmp_path / "a.mp4", 1)
    assert (clip.times.tolist(), clip.end, clip.warnings) == ([0.0], 0.25, ())


def test_one_per_second_follows_the_clock(tmp_path: Path) -> None:
    times = np.array([0, 0.4, 1.0, 1.3, 3.2, 4.0, 4.9, 5.1])
    video.write(tmp_path / "a.mp4", pictures(8), times, end=6.0)
    at = video.read(tmp_path / "a.mp4", 8, "one_per_second")
    np.testing.assert_allclose(at.times, [0, 1.0, 1.3, 4.0, 4.9], atol=1e-5)  # 2 s and 3 s both show the one of 1.3 s
    thinned = video.read(tmp_path / "a.mp4", 3, "one_per_second")
    np.testing.assert_allclose(thinned.times, [0, 1.3, 4.9], atol=1e-5)  # places 0, 2 and 5 of 0, 1, ..., 5 s
    assert thinned.warnings == ()


def test_any_number_of_frames_may_be_asked_for(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", pictures(3))
    for sampling in video.SAMPLINGS[:2]:
        assert len(video.read(path, 10**15, sampling)) == (3 if sampling == "uniform" else 1)


def test_a_damaged_file_may_claim_ages() -> None:
    times = np.array([0, 1.0, 7e11, 7.5e11])
    source = Source(Path("a.mp4"), Display(4, 4), times, end=1e12)  # seconds: as many numbers would not fit into memory
    assert video._select(source, 3, "one_per_second", None)[0].tolist() == [0, 1, 3]


def test_times_give_the_frame_shown_then(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", pictures(20))
    clip = video.read(path, sampling="times", times=[1.0, 0.3, 0.55, 2.0])
    np.testing.assert_allclose(clip.times, [0.3, 0.5, 1.0, 1.9])
    twice = video.read(path, sampling="times", times=[0.31, 0.39])
    assert len(twice) == 1
    assert "1 frames instead of 2" in twice.warnings[0]
    with pytest.raises(InputError, match=r"0 to 2\.000 s"):
        video.read(path, sampling="times", times=[0.0, 2.5])


def test_requests_that_make_no_sense(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", pictures(2))
    with pytest.raises(UnknownName, match="did you mean 'uniform'"):
        video.read(path, sampling="unifrom")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least one frame"):
        video.read(path, frames=0)
    with pytest.raises(InputError, match="expected both `times`"):
        video.read(path, times=[0.1])


def test_truncated_mkv_gives_its_readable_frames(shared_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = shared_data / "videos/pancake_truncated.mkv"
    frames, times = decode(path)
    capfd.readouterr()
    clip = video.read(path, 6)
    assert "310 frames expected, 180 can be read" in clip.warnings[0]
    np.testing.assert_array_equal(clip.frames, frames[::30])
    np.testing.assert_allclose(clip.times, times[::30])
    assert clip.end == pytest.approx(6.0, abs=2e-3)
    assert capfd.readouterr() == ("", "")


def test_truncated_mp4_with_its_index(tmp_path: Path) -> None:
    video.write(tmp_path / "a.mp4", pictures(40), np.arange(40) / 10)
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 7 // 10])
    clip = video.read(tmp_path / "cut.mp4", 4)
    source = open_source(tmp_path / "cut.mp4")
    assert 10 < len(source.times) < 40
    assert f"40 frames expected, {len(source.times)} can be read" in clip.warnings[0]
    assert clip.end == pytest.approx(len(source.times) / 10, abs=1e-3)
    assert close(pictures(40)[np.rint(clip.times * 10).astype(int)], clip.frames)


def test_tags_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        file.metadata["title"] = "naive title"
        stream = file.add_stream("libx264", rate=10)
        stream.width, stream.height = 64, 48
        for frame in pictures(4):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"naive title", b"na\xefve title"))
    assert len(video.read(path, 4)) == 4


def test_damage_ends_in_frames_or_in_one_clear_error(shared_data: Path, tmp_path: Path) -> None:
    whole = (shared_data / "videos/dog.mp4").read_bytes()
    outcomes = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, len(data), 10 ** (seed % 4))] = rng.integers(0, 256)
        (tmp_path / "a.mp4").write_bytes(data.tobytes())
        try:
            clip = video.read(tmp_path / "a.mp4", 6)
            outcomes.add("frames")
            assert sum(1 for _ in open_source(tmp_path / "a.mp4").play()) >= len(clip)
        except VideoError:
            outcomes.add("error")
    assert outcomes == {"frames", "error"}


def test_a_duration_that_is_no_time_is_passed_over(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "videos/pancake_truncated.mkv").read_bytes()
    place = data.index(b"DURATION")
    at = data.index(b"00:00:", place)
    (tmp_path / "a.mkv").write_bytes(data[:at] + b"0\xff:x:" + data[at + 5 :])
    assert len(video.read(tmp_path / "a.mkv", 6)) == 6


def test_what_is_no_video(tmp_path: Path, shared_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    (tmp_path / "text.txt").write_text("not a video\n" * 50)
    with av.open(str(tmp_path / "audio.m4a"), "w") as file:
        stream = file.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), format="s16", layout="mono")
        sound.sample_rate = 44100
        file.mux(stream.encode(sound))
        file.mux(stream.encode(None))
    expected = {
        "missing.mp4": "no such file",
        "empty.mp4": "the file is empty",
        "text.mp4": "cannot be read as a video",
        "text.txt": "no video stream",
        "audio.m4a": "no video stream",
        ".": "is a directory",
        str(shared_data / "videos/no_index_truncated.mp4"): "cannot be read as a video",
    }
    for name, message in expected.items():
        with pytest.raises(VideoError, match=message) as caught:
            video.read(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [(48, 64), (47, 63), (2, 2), (1, 1), (171, 255)])
def test_write_then_read(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = pictures(6, *size)[..., :1].repeat(3, axis=-1)  # grey, as colour is halved in size
    times = np.array([0, 0.1, 0.5, 1.0 / 3 + 1, 1.34, 1000.001])
    video.write(tmp_path / "a.mp4", iter(frames), times, end=1003.0)
    shown, at = decode(tmp_path / "a.mp4")
    np.testing.assert_allclose(at, times, atol=6e-6)
    assert shown.shape[1:3] == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert close(shown[:, : size[0], : size[1]], frames)
    clip = video.read(tmp_path / "a.mp4", 6)
    np.testing.assert_allclose(clip.times, times, atol=6e-6)
    np.testing.assert_array_equal(clip.frames, shown)
    assert clip.end == pytest.approx(1003.0, abs=6e-6)


def test_written_files_suit_browsers(tmp_path: Path) -> None:
    video.write(tmp_path / "a.mp4", pictures(5), np.arange(5) / 5)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(tmp_path / "a.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.frames) == ("h264", "yuv420p", 5)
        assert float(stream.duration * stream.time_base) == pytest.approx(1.0)  # the last frame lasts a median step
    video.write(tmp_path / "b.mp4", pictures(5), np.arange(5) / 5)
    assert (tmp_path / "b.mp4").read_bytes() == data


def test_write_refuses_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    bad: list[tuple[Any, Any, str]] = [
        (pictures(3), [0, 1], "3 frames for 2 times"),
        (pictures(2), [0, 1, 2], "2 frames for 3 times"),
        (pictures(2), [0, 0], "increase"),
        (pictures(2), [-1, 0], "from 0 on"),
        (pictures(2), [0, np.nan], "finite"),
        (pictures(2) / 255, [0, 1], "expected uint8"),
        (pictures(2)[..., :2], [0, 1], "expected uint8"),
        ([pictures(1)[0], pictures(1, 50)[0]], [0, 1], r"frame 1: expected uint8 \(48, 64, 3\)"),
    ]
    for frames, times, message in bad:
        with pytest.raises(VideoError, match=message):
            video.write(path, frames, times)
    with pytest.raises(VideoError, match="increase"):
        video.write(path, pictures(2), [0, 1], end=1.0)
    (tmp_path / "file").touch()
    with pytest.raises(VideoError, match="cannot be written"):
        video.write(tmp_path / "file" / "a.mp4", pictures(2), [0, 1])
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_play_gives_every_frame_once(shared_data: Path) -> None:
    for name in ("videos/pancake_variable_rate.mp4", "videos/pancake_truncated.mkv"):
        frames, _ = decode(shared_data / name)
        count = 0
        for frame, expected in zip(open_source(shared_data / name).play(), frames, strict=True):
            assert np.array_equal(frame, expected)
            count += 1
        assert count == len(frames)


def test_log_lines_that_another_library_asks_for_do_not_stop_the_decoder(tmp_path: Path) -> None:
    """Torchvision 0.19 asks for them: PyAV's threads then wait for Python, which waits for them to end."""
    path = encode(tmp_path / "a.mp4", pictures(40, 128, 128))
    program = (
        "import sys, av; av.logging.set_level(av.logging.ERROR)\n"
        "from attrib import video\n"
        "for _ in range(60): video.read(sys.argv[1], 8)\n"
        "assert av.logging.get_level() is None"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=200)
