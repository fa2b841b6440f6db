"""Writer of the built-in data set: `python -m attrib.demo.generate DIR --videos N --seed S [--counterfactuals]`.

Generated videos use scene seeds below `settings.TRAINING_SEEDS`, so that none of them occurs in training.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from attrib import video
from attrib.demo.evidence import edits
from attrib.demo.pool import progress
from attrib.demo.world import annotate, render
from attrib.demo.world.families import FAMILIES, Family
from attrib.demo.world.scene import EVENTS, FRAMES, RATE, VERSION, Scene
from attrib.demo.world.table import sample
from attrib.errors import InputError, NotWritten
from attrib.runtime.files import write_text

MOST_VIDEOS, SEEDS = 10_000, 100_000
GeneratedItem = tuple[Scene, Family, int]  # the last is the index of the right option


def generate(
    directory: str | Path, videos: int = 24, seed: int = 0, split: str = "valid", counterfactuals: bool = False
) -> Path:
    """Write videos, annotations and evidence into `directory`, in the official layout, and return it.

    Families alternate. `counterfactuals` adds about 25 copies of each video with different content removed. A complete
    set with the same settings is reused; otherwise all files are written again. Raises InputError if `videos` or `seed`
    is out of range or the directory cannot be written.
    """
    if not 1 <= videos <= MOST_VIDEOS:
        raise InputError(f"videos: expected 1 to {MOST_VIDEOS}, got {videos}")
    if not 0 <= seed < SEEDS:
        raise InputError(f"seed: expected 0 to {SEEDS - 1}, got {seed}")
    directory = Path(directory)
    settings: dict[str, Any] = {
        "world": VERSION, "videos": videos, "seed": seed, "split": split, "counterfactuals": counterfactuals,
    }  # fmt: skip
    if not _complete(directory, settings):
        with _alone(directory):
            if not _complete(directory, settings):  # another process may just have written it
                write_text(directory / f"generated_{split}.json", "{}")  # mark the set as incomplete
                _write(directory, settings)
    return directory


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Wait until no other process writes into the directory. Raises NotWritten if it cannot be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / ".generating.lock")
        lock.acquire()
    except OSError as error:
        raise NotWritten(f"{directory}: cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def items(videos: int, seed: int = 0) -> Iterator[GeneratedItem]:
    """Yield scene, family and index of the right option of each video; indices are balanced within every family."""
    for index in range(videos):
        event = EVENTS[index % len(EVENTS)]
        choices = FAMILIES[event].choices
        block, turn = divmod(index // len(EVENTS), choices)
        order = np.random.default_rng([seed, index % len(EVENTS), block, 6]).permutation(choices)
        yield sample(seed * MOST_VIDEOS + index, event), FAMILIES[event], int(order[turn])


def video_path(directory: Path, scene: Scene) -> Path:
    """Path of a scene's video."""
    return directory / "videos" / f"{annotate.video_id(scene)}.mp4"


def _complete(directory: Path, settings: dict[str, Any]) -> bool:
    names = ["all", "evidence"] + ["counterfactuals"] * settings["counterfactuals"]
    try:
        same = json.loads((directory / f"generated_{settings['split']}.json").read_text(encoding="utf-8")) == settings
        contents = [json.loads((directory / f"{name}_{settings['split']}.json").read_bytes()) for name in names]
    except (OSError, ValueError):
        return False
    scenes = (scene for scene, _, _ in items(settings["videos"], settings["seed"]))
    files = [video_path(directory, scene) for scene in scenes]
    if settings["counterfactuals"]:
        listed = (entry["video"] for by_question in contents[2].values() for entry in by_question["0"])
        files += [directory / "counterfactuals" / name for name in listed]
    return same and all(path.is_file() for path in files)


def _write(directory: Path, settings: dict[str, Any]) -> None:
    split = settings["split"]
    files: dict[str, dict[str, Any]] = {"all": {}, "evidence": {}}
    files |= {"counterfactuals": {}} if settings["counterfactuals"] else {}
    todo = list(items(settings["videos"], settings["seed"]))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # drawing and encoding release Python's lock
        results = pool.map(partial(_write_videos, directory, settings["counterfactuals"]), todo)
        tracked = progress(results, "generating videos", len(todo))
        for (scene, family, right), entries in zip(todo, tracked, strict=True):
            name = annotate.video_id(scene)
            files["all"][name] = annotate.annotation(scene, family, split, right)
            files["evidence"][name] = annotate.evidence(scene, family)
            if settings["counterfactuals"]:
                files["counterfactuals"][name] = {"0": entries}
    for name, content in files.items():
        write_text(directory / f"{name}_{split}.json", json.dumps(content))
    write_text(directory / f"generated_{split}.json", json.dumps(settings))  # last: it marks the set as complete


def _write_videos(directory: Path, counterfactuals: bool, item: GeneratedItem) -> list[dict[str, Any]]:
    """Write one video and, on request, its counterfactual videos; return the entries of the latter."""
    scene, family, _ = item
    frames, times = render.frames(scene), np.arange(FRAMES) / RATE
    video.write(video_path(directory, scene), frames, times)
    entries = []
    for edit in edits(scene, family) if counterfactuals else ():
        name = f"{annotate.video_id(scene)}_{edit.name}.mp4"
        video.write(directory / "counterfactuals" / name, render.edited(frames, scene, edit.scene), times)
        entries.append({**edit.seconds(), "video": name})
    return entries


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Write videos and annotations of the built-in world.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--videos", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", default="valid")
    parser.add_argument("--counterfactuals", action="store_true", help="also write copies with content removed")
    try:
        print(generate(**vars(parser.parse_args())))
    except InputError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
