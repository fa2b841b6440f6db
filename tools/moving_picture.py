"""Picture of the README: `python -m tools.moving_picture VIDEO OVERLAY OUTPUT.webp` puts both side by side.

`VIDEO` is what `attrib explain` was asked about, `OVERLAY` the NAME.mp4 that it wrote. Frames are shown at their own
times; the picture repeats without end.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from PIL import Image

from attrib import video

FRAMES = 48  # at most
WIDTH = 360  # pixels of each of the two
GAP = 12


def side_by_side(left: Image.Image, right: Image.Image, width: int = WIDTH) -> Image.Image:
    """Return both pictures, each scaled to `width`, upper edges in line, on the colour of the right one's foot."""
    pair = [each.resize((width, round(each.height * width / each.width))) for each in (left, right)]
    foot = pair[1].getpixel((2, pair[1].height - 2)) or 0
    joined = Image.new("RGB", (2 * width + GAP, max(each.height for each in pair)), foot)
    joined.paste(pair[0], (0, 0))
    joined.paste(pair[1], (width + GAP, 0))
    return joined


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the animated WebP."""
    plain, overlay, output = sys.argv[1:] if arguments is None else arguments
    one, two = (video.read(path, frames=FRAMES) for path in (plain, overlay))
    pictures = [
        side_by_side(Image.fromarray(np.asarray(left)), Image.fromarray(np.asarray(right)))
        for left, right in zip(one.frames, two.frames, strict=True)
    ]
    shown = [round(1000 * float(each)) for each in np.diff(np.append(one.times, one.end))]
    pictures[0].save(output, save_all=True, append_images=pictures[1:], duration=shown, loop=0, quality=80, method=6)


if __name__ == "__main__":
    main()
