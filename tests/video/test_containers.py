"""What containers mean: whole files are never called damaged, damaged ones are; against hand-worked numbers."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attrib import video
from attrib.errors import VideoError
from attrib.video import source
from attrib.video.source import open_source
from tests.helpers.films import SIZE, Film, make, picture, raw, remuxed, song, spoil

LATE, STILL, PAUSES = range(50, 70), [0, 1, 2, 3, 40, 41, 99], [0, 1, 2, 10, 11, 12, 13, 30]
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
WHOLE: dict[str, tuple[list[int] | range, Film, tuple[float, float, float]]] = {  # first time, last time, end
    "late.mkv": (LATE, Film(), (5.0, 6.9, 7.0)),
    "late.webm": (LATE, Film("libvpx-vp9"), (5.0, 6.9, 7.0)),
    "late.mp4": (LATE, Film(), (5.0, 6.9, 7.0)),
    "late.ts": (LATE, Film(), (0.0, 1.9, 2.0)),
    "late.avi": (LATE, Film("mpeg4"), (0.0, 6.9, 7.0)),  # the gap at the start is filled with empty chunks
    "still.mkv": (STILL, Film(), (0.0, 9.9, 10.0)),
    "still.webm": (STILL, Film("libvpx"), (0.0, 9.9, 10.0)),
    "still.mp4": (STILL, Film(), (0.0, 9.9, 10.0)),
    "empty_chunks.avi": (PAUSES, Film("mpeg4"), (0.0, 3.0, 3.1)),
    "empty_chunks_h264.avi": (PAUSES, Film(options={"bf": "0"}), (0.0, 3.0, 3.1)),
    "pauses.mkv": (PAUSES, Film(), (0.0, 3.0, 3.1)),
    "fragments.mp4": (range(40), Film(options={"g": "10", "bf": "0"}, container=FRAGMENTS), (0.0, 3.9, 4.0)),
    "dash.mp4": (range(40), Film(options={"g": "10"}, container={"movflags": "dash"}), (0.2, 4.1, 4.2)),
    "hidden_frames.webm": (range(60), Film("libvpx", options={"auto-alt-ref": "1", "lag-in-frames": "16"}),
                           (0.0, 5.9, 6.0)),
    "longer_sound.mkv": (range(20), Film(sound=4.0), (0.0, 1.9, 2.0)),
    "open_groups.mkv": (range(30), Film("libx265", options={"x265-params": "log-level=none:open-gop=1:keyint=10"}),
                        (0.0, 2.9, 3.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_whole(tmp_path: Path, name: str) -> None:
    stamps, film, expected = WHOLE[name]
    clip = video.read(make(tmp_path / name, stamps, film), len(stamps))
    assert clip.warnings == ()
    assert len(clip) == len(stamps)
    assert (clip.times[0], clip.times[-1], clip.end) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("tag", [True, False])
@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx264"), ("a.webm", "libvpx-vp9")])
def test_a_still_screen_lasts_as_long_as_the_file_says(tmp_path: Path, name: str, codec: str, tag: bool) -> None:
    data = bytearray(make(tmp_path / name, [0, 1, 2, 3, 17], Film(codec)).read_bytes())
    place = data.index(b"\x44\x89\x88")  # the segment's duration in ms, a double
    data[place + 3 : place + 11] = struct.pack(">d", 10_000)
    place = data.index(b"00:00:01.8")
    data[place : place + 10] = b"00:00:10.0" if tag else b"no time at"
    (tmp_path / name).write_bytes(data)
    clip = video.read(tmp_path / name, 5)
    assert clip.warnings == ()
    assert (clip.times[-1], clip.end) == pytest.approx((1.7, 10.0), abs=2e-3)


CASES = {
    "01-mkv-late-start/late.mkv": (60, 5.0, 7.0, ""),
    "01-mkv-late-start/trim_copyts.mkv": (30, 1.0, 2.0, ""),
    "03-webm-still-screen/still_screen.webm": (22, 0.0, 10.0, ""),
    "17-damaged-frames-inside/damaged.mp4": (51, 0.0, 2.0, "60 frames expected, 51 can be read"),
}


@pytest.mark.parametrize("name", CASES)
def test_files_of_public_bug_reports(shared_data: Path, name: str) -> None:
    frames, start, end, warning = CASES[name]
    found = open_source(shared_data / "cases" / name)
    assert (len(found.times), found.times[0], found.end) == pytest.approx((frames, start, end), abs=2e-3)
    assert warning in " ".join(found.warnings)
    assert len(found.warnings) == bool(warning)


@pytest.mark.parametrize(
    ("seconds", "skipped", "frames"),
    [(2.7, 1.3, 27), (2.5, 0.0, 25), (1.2, 1.3, 12)],
)
def test_edit_lists_hide_frames(tmp_path: Path, seconds: float, skipped: float, frames: int) -> None:
    data = bytearray(make(tmp_path / "a.mp4", range(40), Film(options={"g": "10", "bf": "0"})).read_bytes())
    place = data.index(b"elst") + 12
    data[place : place + 8] = struct.pack(">Ii", round(seconds * 1000), round(skipped * 10240))
    (tmp_path / "b.mp4").write_bytes(data)
    clip = video.read(tmp_path / "b.mp4", frames)
    assert (len(clip), clip.warnings) == (frames, ())
    assert (clip.times[0], clip.end) == pytest.approx((0.0, seconds), abs=2e-3)


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
def test_recordings_that_start_between_key_frames_are_whole(tmp_path: Path, name: str) -> None:
    whole = make(tmp_path / "a.mp4", range(40), Film(options={"g": "10", "bf": "0"}))
    found = open_source(remuxed(whole, tmp_path / name, skip=4))
    assert found.warnings == ()
    assert 30 <= len(found.times) <= 36


GROUPS = {"g": "10", "bf": "0", "x264-params": "scenecut=0"}  # a key frame at 0, 1, 2 and 3 s
SPOILT: dict[str, tuple[Film, list[int], int]] = {  # which of 40 packets are spoilt, and how many frames are lost
    "a.mp4": (Film(options={"bf": "0"}), [7, 8, 9], 3),
    "last.mp4": (Film(options={"bf": "0"}), [38, 39], 2),
    "first.mp4": (Film(options=GROUPS), [0], 10),  # nothing can be read before the next key frame
    "a.mkv": (Film("libx265", options={"x265-params": "log-level=none:keyint=10:scenecut=0"}), [39], 1),
    "a.webm": (Film("libvpx-vp9"), [11, 12], 2),
    "av1.mp4": (Film("libsvtav1"), [39], 1),
    "a.avi": (Film("libx264", options={"bf": "0"}), [3, 4], 2),
    "fragments.mp4": (Film(options=GROUPS, container=FRAGMENTS), [25], 1),
}


@pytest.mark.parametrize("name", SPOILT)
def test_packets_that_cannot_be_decoded_are_damage(tmp_path: Path, name: str) -> None:
    film, which, lost = SPOILT[name]
    path = spoil(make(tmp_path / name, range(40), film), which)
    clip = video.read(path, 40)
    assert f"cut short or damaged: 40 frames expected, {40 - lost} can be read" in clip.warnings[0]
    assert len(clip) == 40 - lost
    gone = set(range(10) if name == "first.mp4" else which)
    if film.codec == "libx264":
        np.testing.assert_allclose(clip.times, [k / 10 for k in range(40) if k not in gone], atol=2e-3)
    assert clip.end == pytest.approx(4.0, abs=2e-3)  # the last picture stays until the end that the file declares


def test_silent_losses_are_damage(tmp_path: Path) -> None:
    path = spoil(make(tmp_path / "a.mp4", range(20), Film("libsvtav1")), [18, 19], b"\0")  # no error, and no picture
    assert "20 frames expected, 18 can be read" in video.read(path, 4).warnings[0]


CUT = {
    "a.mkv": (Film(options={"g": "10"}), "frames expected"),
    "dash.mp4": (Film(options={"g": "10"}, container={"movflags": "dash"}), "frames expected"),
    "a.avi": (Film("mpeg4", options={"g": "5"}), "40 frames expected"),
    "start.mp4": (Film(options={"g": "10", "bf": "0"}, container={"movflags": "faststart"}), "40 frames expected"),
}


@pytest.mark.parametrize("name", CUT)
def test_files_cut_short_are_damaged(tmp_path: Path, name: str) -> None:
    film, message = CUT[name]
    data = make(tmp_path / name, range(40), film).read_bytes()
    (tmp_path / f"cut_{name}").write_bytes(data[: len(data) * 8 // 10])
    found = open_source(tmp_path / f"cut_{name}")
    assert message in found.warnings[0]
    assert 5 < len(found.times) < 40
    assert found.end == pytest.approx(found.times[-1] + 0.1, abs=2e-3)


def test_long_files_are_checked_where_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CHECKED", 0)
    path = spoil(make(tmp_path / "a.mp4", range(40), Film(options=GROUPS)), [13])
    assert video.read(path, sampling="times", times=[0.5, 2.5, 3.5]).warnings == ()  # other groups of pictures
    clip = video.read(path, sampling="times", times=[1.5, 3.5])
    assert "40 frames expected, 39 can be read" in clip.warnings[0]
    np.testing.assert_allclose(clip.times, [1.5, 3.5], atol=2e-3)
    assert open_source(path).counted  # and remembered


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", range(10))
    assert open_source(path) is open_source(path)
    make(path, range(20))
    assert len(open_source(path).times) == 20


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
@pytest.mark.parametrize("long", [False, True])
def test_pictures_of_another_shape_are_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, long: bool
) -> None:
    if long:
        monkeypatch.setattr(source, "CHECKED", 0)
    (tmp_path / "a.h264").write_bytes(raw(10, 48, 64) + raw(10, 64, 48))
    path = remuxed(tmp_path / "a.h264", tmp_path / name)
    clip = video.read(path, sampling="times", times=[0.4, 1.5])
    assert len(clip.warnings) == 1
    assert "the picture changes from 64 x 48 to 48 x 64 pixels" in clip.warnings[0]
    assert clip.frames.shape == (2, 48, 64, 3)
    # 48 x 64 becomes 36 x 48 in the middle, with 14 black columns on either side; the bar of 8 columns 6 wide
    assert clip.frames[1][:, :13].max() < 30
    assert clip.frames[1][:, 51:].max() < 30
    wide = [int((frame[24].min(axis=-1) > 128).sum()) for frame in clip.frames]
    assert wide[0] == pytest.approx(8, abs=1)
    assert wide[1] == pytest.approx(6, abs=1)
    played = list(open_source(path).play())
    assert np.array_equal(played[15], clip.frames[1])


def test_pictures_of_another_size_fill_the_frame(tmp_path: Path) -> None:
    (tmp_path / "a.h264").write_bytes(raw(10, 48, 64) + raw(10, 96, 128))
    clip = video.read(remuxed(tmp_path / "a.h264", tmp_path / "a.ts"), sampling="times", times=[0.4, 1.5])
    assert "from 64 x 48 to 128 x 96" in clip.warnings[0]
    expected = picture(0.5, 96, 128).reshape(48, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(clip.frames[1] - expected).mean() < 8


@pytest.mark.parametrize(
    ("name", "codec", "cover"), [("a.mp3", "libmp3lame", "png"), ("a.flac", "flac", "png"), ("a.mp4", "aac", "mjpeg")]
)
def test_cover_art_is_no_video(tmp_path: Path, name: str, codec: str, cover: str) -> None:
    with pytest.raises(VideoError, match="contains no video stream"):
        video.read(song(tmp_path / name, codec, cover))


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "a.png", "a.avif"])
def test_animated_images(tmp_path: Path, name: str) -> None:
    images = [Image.fromarray(picture(k / 6)) for k in range(6)]
    durations = [100, 200, 300, 100, 100, 500]
    images[0].save(tmp_path / name, save_all=True, append_images=images[1:], duration=durations, loop=0)
    clip = video.read(tmp_path / name, 6)
    np.testing.assert_allclose(clip.times, [0, 0.1, 0.3, 0.6, 0.7, 0.8], atol=2e-3)
    assert clip.end == pytest.approx(1.3, abs=2e-3)
    assert clip.warnings == ()
    assert all(np.abs(frame.astype(float) - picture(k / 6)).mean() < 15 for k, frame in enumerate(clip.frames))
    np.testing.assert_array_equal(np.stack(list(open_source(tmp_path / name).play())), clip.frames)


def test_transparent_pixels_of_an_animation_are_black(tmp_path: Path) -> None:
    clear = [Image.new("RGBA", SIZE[::-1], (255, 255, 255, 0)), Image.new("RGBA", SIZE[::-1], (255, 0, 0, 255))]
    clear[0].save(tmp_path / "a.webp", save_all=True, append_images=clear[1:], duration=40, lossless=True)
    frames = video.read(tmp_path / "a.webp", 2).frames
    assert frames[0].max() == 0
    np.testing.assert_array_equal(frames[1][0, 0], [255, 0, 0])


def test_what_nothing_here_decodes_is_refused_by_name(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", range(4))
    (tmp_path / "unknown.mp4").write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    spoil(path, range(4))
    for name, expected in {"a.mp4": r"\(h264 in mov\).*convert it", "unknown.mp4": "format.*convert it"}.items():
        with pytest.raises(VideoError, match=expected):
            video.read(tmp_path / name)
    buffer = io.BytesIO()
    Image.fromarray(picture(0)).save(buffer, "WEBP", save_all=True, append_images=[Image.fromarray(picture(1))])
    (tmp_path / "cut.webp").write_bytes(buffer.getvalue()[:60])
    with pytest.raises(VideoError):
        video.read(tmp_path / "cut.webp")


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode there")
@pytest.mark.parametrize("place", [b"caf\xe9.mp4", b"f\xe9te/a.mkv", b"\xff\xfe.webm"])
def test_names_that_are_not_utf8(tmp_path: Path, place: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + place))
    path.parent.mkdir(exist_ok=True)
    plain = make(
        tmp_path / f"plain{path.suffix}", range(10), Film("libvpx-vp9" if "webm" in path.suffix else "libx264")
    )
    plain.rename(path)
    clip = video.read(path, 4)
    assert len(clip) == 4
    assert "\\xff" not in repr(clip.warnings)
