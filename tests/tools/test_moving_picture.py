"""Two videos side by side as an animated picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from attrib import video
from tools.moving_picture import GAP, main, side_by_side


def test_pictures_are_scaled_to_one_width_with_their_upper_edges_in_line() -> None:
    left, right = Image.new("RGB", (10, 10), "red"), Image.new("RGB", (20, 40), "blue")
    joined = side_by_side(left, right, width=20)
    assert joined.size == (40 + GAP, 40)
    assert joined.getpixel((10, 5)) == (255, 0, 0)
    assert joined.getpixel((10, 30)) == joined.getpixel((20 + GAP // 2, 1)) == (0, 0, 255)  # the foot of the right one


def test_the_frames_of_both_videos_are_shown_at_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.25, 1.0]
    for name, level in (("plain", 40), ("overlay", 200)):
        frames = np.full((3, 32, 32, 3), level, np.uint8)
        frames[1:, :, :16] = 120  # from the second frame on
        frames[2, :8] = 0  # equal frames would become one
        video.write(tmp_path / f"{name}.mp4", frames, times, 1.5)
    main([str(tmp_path / "plain.mp4"), str(tmp_path / "overlay.mp4"), str(tmp_path / "both.webp")])
    moving = Image.open(tmp_path / "both.webp")
    durations, levels = [], []
    for index in range(moving.n_frames):
        moving.seek(index)
        shown = np.asarray(moving.convert("RGB"), int)
        durations.append(moving.info["duration"])
        levels.append((shown[300, 50, 0], shown[300, 360 + GAP + 300, 0]))
    assert durations == [250, 750, 500]
    assert np.abs(np.array(levels) - [[40, 200], [120, 200], [120, 200]]).max() < 12
