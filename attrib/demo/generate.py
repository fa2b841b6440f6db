"""Write the built-in data set: `python -m attrib.demo.generate DIR --videos N --seed S`.

Generated videos come from scene seeds below `settings.TRAINING_SEEDS` and are therefore never seen in training.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from attrib import video
from attrib.demo import annotate, render
from attrib.demo.families import FAMILIES, Family
from attrib.demo.world import EVENTS, FRAMES, RATE, VERSION, Scene, sample
from attrib.errors import InputError
from attrib.files import write_text

MOST_VIDEOS, SEEDS = 10_000, 100_000


def generate(directory: str | Path, videos: int = 24, seed: int = 0, split: str = "valid") -> Path:
    """Write videos, annotations and evidence into `directory`, in the official layout, and return it.

    Families take turns. A complete set made with the same settings is kept as it is; anything else is made anew.
    Raises InputError when `videos` or `seed` is out of range or the directory cannot be written.
    """
    if not 1 <= videos <= MOST_VIDEOS:
        raise InputError(f"videos: expected 1 to {MOST_VIDEOS}, got {videos}")
    if not 0 <= seed < SEEDS:
        raise InputError(f"seed: expected 0 to {SEEDS - 1}, got {seed}")
    directory = Path(directory)
    made: dict[str, int | str] = {"world": VERSION, "videos": videos, "seed": seed, "split": split}
    if not _complete(directory, made):
        write_text(directory / f"generated_{split}.json", "{}")  # from here on what lies there is no complete set
        _write(directory, made)
    return directory


def items(videos: int, seed: int = 0) -> Iterator[tuple[Scene, Family, int]]:
    """Scene, family and the right option's place of each generated video; places are even within every family."""
    for index in range(videos):
        event = EVENTS[index % len(EVENTS)]
        turn, place = divmod(index // len(EVENTS), 3)
        places = np.random.default_rng([seed, index % len(EVENTS), turn]).permutation(3)
        yield sample(seed * MOST_VIDEOS + index, event), FAMILIES[event], int(places[place])


def video_path(directory: Path, scene: Scene) -> Path:
    """Where a scene's video lies."""
    return directory / "videos" / f"{annotate.video_id(scene)}.mp4"


def _complete(directory: Path, made: dict[str, int | str]) -> bool:
    try:
        same = json.loads((directory / f"generated_{made['split']}.json").read_text(encoding="utf-8")) == made
    except (OSError, ValueError):
        return False
    scenes = (scene for scene, _, _ in items(int(made["videos"]), int(made["seed"])))
    files = [directory / f"{name}_{made['split']}.json" for name in ("all", "evidence")]
    return same and all(path.is_file() for path in (*files, *(video_path(directory, s) for s in scenes)))


def _write(directory: Path, made: dict[str, int | str]) -> None:
    videos, seed, split = int(made["videos"]), int(made["seed"]), str(made["split"])
    annotations, evidence = {}, {}
    todo = list(items(videos, seed))
    for scene, family, place in track(todo, "generating videos", console=Console(stderr=True), transient=True):
        video.write(video_path(directory, scene), render.frames(scene), np.arange(FRAMES) / RATE)
        name = annotate.video_id(scene)
        annotations[name] = annotate.annotation(scene, family, split, place)
        evidence[name] = annotate.evidence(scene, family)
    write_text(directory / f"all_{split}.json", json.dumps(annotations))
    write_text(directory / f"evidence_{split}.json", json.dumps(evidence))
    write_text(directory / f"generated_{split}.json", json.dumps(made))  # last: its presence says that all is there


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write videos and annotations of the built-in world.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--videos", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", default="valid")
    arguments = parser.parse_args()
    try:
        print(generate(arguments.directory, arguments.videos, arguments.seed, arguments.split))
    except InputError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
