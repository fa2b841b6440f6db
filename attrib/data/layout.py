"""Paths of a data set's files: in the Perception Test's official layout, lmms-eval's, or as `explorer_data.json`."""

from __future__ import annotations

import os  # os.path answers False for a name that is too long; pathlib raises
import re
from dataclasses import dataclass
from pathlib import Path

from attrib.data import lmms_eval
from attrib.errors import InputError

SPLITS = ("train", "valid", "test")
EXPLORER = "explorer_data.json"
_KINDS = ("all", "mc_question")
_SPLIT_OF = re.compile(r"(?:all|mc_question)_(train|valid|test)\.json")


@dataclass(frozen=True)
class SplitFiles:
    """Files of one split: the annotations and the folder of all others. The file name decides the split, if it can."""

    annotations: Path
    folder: Path
    split: str

    @staticmethod
    def of(root: str, split: str) -> SplitFiles:
        """Find `all_{split}.json` in the directory `root`, else `mc_question_{split}.json`, else `explorer_data.json`.

        `root` may also be such a file, or the set as lmms-eval keeps it (see lmms_eval.py). Raises InputError if there
        is none; the message lists the splits that exist.
        """
        path = Path(root)
        if os.path.isfile(path) and path.suffix != lmms_eval.SUFFIX:
            named = _SPLIT_OF.fullmatch(path.name)
            return SplitFiles(path, path.parent, named[1] if named else split)
        names = (f"all_{split}.json", f"mc_question_{split}.json", EXPLORER)
        annotations = next((path / name for name in names if os.path.exists(path / name)), None)
        questions = lmms_eval.questions_file(path) if annotations is None and split == "valid" else None
        if questions is not None:
            return SplitFiles(questions, lmms_eval.videos_folder(path, questions), split)
        if annotations is None:
            raise InputError(f"{path}: {_absent(path, names)}")
        return SplitFiles(annotations, path, split)

    @staticmethod
    def every(root: str) -> tuple[SplitFiles, ...]:
        """Return one item for each split in `root`. Raises InputError if there is none."""
        path = Path(root)
        if os.path.isfile(path):
            return (SplitFiles.of(root, SPLITS[1]),)
        splits = [split for split in SPLITS if any(os.path.exists(path / f"{kind}_{split}.json") for kind in _KINDS)]
        return tuple(SplitFiles.of(root, split) for split in splits) or (SplitFiles.of(root, SPLITS[1]),)

    @property
    def videos(self) -> Path:
        """Folder of the video files."""
        return self.folder / "videos"

    def video(self, video_id: str) -> Path:
        """Path of one video; ends with .MP4 only where that file exists."""
        path = self.videos / f"{video_id}.mp4"
        return path if path.exists() or not path.with_suffix(".MP4").exists() else path.with_suffix(".MP4")

    def side_file(self, name: str) -> Path:
        """Path of an optional file of this split: `cut_frame_mapping`, `evidence` or `counterfactuals`."""
        return self.folder / f"{name}_{self.split}.json"


def _absent(path: Path, names: tuple[str, ...]) -> str:
    if not os.path.isdir(path):
        return "expected the directory of a data set or its annotation file; no such file or directory"
    others = sorted(file.name for file in path.glob("*.json") if _SPLIT_OF.fullmatch(file.name))
    hint = f", found {', '.join(others)}: choose that split" if others else ""
    return f"expected {names[0]}, {names[1]} or {names[2]}{hint}"
