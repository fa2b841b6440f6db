"""Still pictures as clips of one frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_families import qwen3_vl

from attrib import models, registry, video
from attrib.errors import VideoError
from attrib.subject import Subject
from attrib.types import Question

Run = Callable[..., tuple[int, str, str]]
ORIENTATION = 0x112


def picture(mode: str = "RGB") -> Image.Image:
    pixels = np.full((36, 48, 3), 40, np.uint8)
    pixels[4:20, 28:44] = (220, 30, 30)
    return Image.fromarray(pixels).convert(mode)


def turned(folder: Path) -> Path:
    """A picture stored on its side, with a note of how to turn it."""
    note = Image.Exif()
    note[ORIENTATION] = 6
    picture().rotate(90, expand=True).save(folder / "turned.jpg", exif=note, quality=100, subsampling=0)
    return folder / "turned.jpg"


def saved(folder: Path, name: str, mode: str = "RGB") -> Path:
    picture(mode).save(folder / name, **({"lossless": True} if name.endswith("webp") else {}))
    return folder / name


@pytest.mark.parametrize(("name", "mode"), [("a.png", "RGB"), ("a.png", "P"), ("a.PNG", "RGBA"), ("a.webp", "RGB")])
def test_a_picture_is_a_clip_of_one_frame_that_lasts_a_second(tmp_path: Path, name: str, mode: str) -> None:
    clip = video.read(saved(tmp_path, name, mode), frames=8)
    assert np.array_equal(clip.frames[0], np.asarray(picture(mode).convert("RGB")))
    assert (len(clip), clip.times.tolist(), clip.end, clip.warnings) == (1, [0.0], 1.0, ())


def test_a_photograph_is_upright(tmp_path: Path) -> None:
    frame = video.read(turned(tmp_path)).frames[0].astype(int)
    assert frame.shape == (36, 48, 3)
    assert abs(frame - np.asarray(picture())).mean() < 3


def test_animations_stay_videos_and_damage_is_told(tmp_path: Path) -> None:
    frames = [picture(), picture().rotate(180)]
    for ending in ("webp", "png"):
        frames[0].save(tmp_path / f"moving.{ending}", save_all=True, append_images=frames[1:], duration=200)
        assert len(video.read(tmp_path / f"moving.{ending}")) == 2
    whole = saved(tmp_path, "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("cut.png", "text.jpg"):
        with pytest.raises(VideoError, match=name):
            video.read(tmp_path / name)


def test_a_family_that_needs_two_frames_gets_it_twice_and_the_map_has_one(tmp_path: Path) -> None:
    model = models.load(str(qwen3_vl(tmp_path / "qwen")))
    subject = Subject.bind(model, video.read(saved(tmp_path, "a.png")), Question("Which?", ("red", "blue")))
    assert subject.grid.steps == 1 and subject.grid.frames == 1
    for name in ("saliency", "occlusion", "attention_rollout"):
        volume = registry.get("methods", name)().attribute(subject)
        assert volume.values.shape[0] == 1 and np.abs(volume.values).max() > 0


def test_the_command_explains_a_picture(attrib: Run, tmp_path: Path) -> None:
    options = ("--question", "Where?", "--option", "left", "--option", "right", "--method", "saliency")
    code, out, err = attrib("explain", turned(tmp_path), *options, "-O", tmp_path / "out")
    assert code == 0 and "frames instead of" not in err and "A. left" in out
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["times"] == [0.0]
    assert len(video.read(tmp_path / "out" / "saliency.mp4")) >= 1
