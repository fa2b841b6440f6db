"""Write the built-in data set: `python -m attrib.demo.generate DIR --videos N --seed S [--counterfactuals]`.

Generated videos come from scene seeds below `settings.TRAINING_SEEDS` and are therefore never seen in training.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from attrib import video
from attrib.demo.evidence import edits
from attrib.demo.pool import progress
from attrib.demo.world import annotate, render
from attrib.demo.world.families import FAMILIES, Family
from attrib.demo.world.scene import EVENTS, FRAMES, RATE, VERSION, Scene
from attrib.demo.world.table import sample
from attrib.errors import InputError
from attrib.runtime.files import write_text

MOST_VIDEOS, SEEDS = 10_000, 100_000
Question = tuple[Scene, Family, int]  # the last is the place of the right option


def generate(
    directory: str | Path, videos: int = 24, seed: int = 0, split: str = "valid", counterfactuals: bool = False
) -> Path:
    """Write videos, annotations and evidence into `directory`, in the official layout, and return it.

    Families take turns. `counterfactuals` adds, for each video, the same video with something taken away, in some 25
    ways. A complete set made with the same settings is kept as it is; anything else is made anew. Raises InputError
    when `videos` or `seed` is out of range or the directory cannot be written.
    """
    if not 1 <= videos <= MOST_VIDEOS:
        raise InputError(f"videos: expected 1 to {MOST_VIDEOS}, got {videos}")
    if not 0 <= seed < SEEDS:
        raise InputError(f"seed: expected 0 to {SEEDS - 1}, got {seed}")
    directory = Path(directory)
    made: dict[str, Any] = {
        "world": VERSION, "videos": videos, "seed": seed, "split": split, "counterfactuals": counterfactuals,
    }  # fmt: skip
    if not _complete(directory, made):
        write_text(directory / f"generated_{split}.json", "{}")  # from here on what lies there is no complete set
        _write(directory, made)
    return directory


def items(videos: int, seed: int = 0) -> Iterator[Question]:
    """Scene, family and the right option's place of each generated video; places are even within every family."""
    for index in range(videos):
        event = EVENTS[index % len(EVENTS)]
        turn, place = divmod(index // len(EVENTS), 3)
        places = np.random.default_rng([seed, index % len(EVENTS), turn]).permutation(3)
        yield sample(seed * MOST_VIDEOS + index, event), FAMILIES[event], int(places[place])


def video_path(directory: Path, scene: Scene) -> Path:
    """Path of a scene's video."""
    return directory / "videos" / f"{annotate.video_id(scene)}.mp4"


def _complete(directory: Path, made: dict[str, Any]) -> bool:
    names = ["all", "evidence"] + ["counterfactuals"] * made["counterfactuals"]
    try:
        same = json.loads((directory / f"generated_{made['split']}.json").read_text(encoding="utf-8")) == made
        parts = [json.loads((directory / f"{name}_{made['split']}.json").read_bytes()) for name in names]
    except (OSError, ValueError):
        return False
    scenes = (scene for scene, _, _ in items(made["videos"], made["seed"]))
    files = [video_path(directory, scene) for scene in scenes]
    if made["counterfactuals"]:
        files += [directory / "counterfactuals" / entry["video"] for part in parts[2].values() for entry in part["0"]]
    return same and all(path.is_file() for path in files)


def _write(directory: Path, made: dict[str, Any]) -> None:
    split = made["split"]
    files: dict[str, dict[str, Any]] = {"all": {}, "evidence": {}}
    files |= {"counterfactuals": {}} if made["counterfactuals"] else {}
    todo = list(items(made["videos"], made["seed"]))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # drawing and encoding let go of Python's lock
        drawn = pool.map(partial(_drawn, directory, made["counterfactuals"]), todo)
        told = progress(drawn, "generating videos", len(todo))
        for (scene, family, place), written in zip(todo, told, strict=True):
            name = annotate.video_id(scene)
            files["all"][name] = annotate.annotation(scene, family, split, place)
            files["evidence"][name] = annotate.evidence(scene, family)
            if made["counterfactuals"]:
                files["counterfactuals"][name] = {"0": written}
    for name, content in files.items():
        write_text(directory / f"{name}_{split}.json", json.dumps(content))
    write_text(directory / f"generated_{split}.json", json.dumps(made))  # last: its presence says that all is there


def _drawn(directory: Path, counterfactuals: bool, question: Question) -> list[dict[str, Any]]:
    """Write one video and, if wanted, its counterfactual ones, whose entries are returned."""
    scene, family, _ = question
    frames, times = render.frames(scene), np.arange(FRAMES) / RATE
    video.write(video_path(directory, scene), frames, times)
    written = []
    for edit in edits(scene, family) if counterfactuals else ():
        name = f"{annotate.video_id(scene)}_{edit.name}.mp4"
        video.write(directory / "counterfactuals" / name, render.edited(frames, scene, edit.scene), times)
        written.append({**edit.seconds(), "video": name})
    return written


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write videos and annotations of the built-in world.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--videos", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", default="valid")
    parser.add_argument("--counterfactuals", action="store_true", help="also each video with something taken away")
    try:
        print(generate(**vars(parser.parse_args())))
    except InputError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
