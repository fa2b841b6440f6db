"""Files of a data set's directory, in the official layout of the Perception Test and in the explorer's."""

from __future__ import annotations

import os  # its questions are False for a name that is too long, where those of pathlib raise
import re
from dataclasses import dataclass
from pathlib import Path

from attrib.errors import InputError

SPLITS = ("train", "valid", "test")
EXPLORER = "explorer_data.json"
_KINDS = ("all", "mc_question")
_SPLIT_OF = re.compile(r"(?:all|mc_question)_(train|valid|test)\.json")


@dataclass(frozen=True)
class Layout:
    """One file of annotations, the folder that all else lies in, and the split that its name or the caller says."""

    annotations: Path
    folder: Path
    split: str

    @staticmethod
    def of(root: str, split: str) -> Layout:
        """`all_{split}.json` of the directory `root`, else `mc_question_{split}.json`, else the explorer's file.

        `root` may also be such a file itself. Raises InputError where there is none, with what is there instead.
        """
        path = Path(root)
        if os.path.isfile(path):
            named = _SPLIT_OF.fullmatch(path.name)
            return Layout(path, path.parent, named[1] if named else split)
        names = (f"all_{split}.json", f"mc_question_{split}.json", EXPLORER)
        found = next((path / name for name in names if os.path.exists(path / name)), None)
        if found is None:
            raise InputError(f"{path}: {_absent(path, names)}")
        return Layout(found, path, split)

    @staticmethod
    def every(root: str) -> tuple[Layout, ...]:
        """One for each split that is there. Raises InputError where there is none."""
        path = Path(root)
        if os.path.isfile(path):
            return (Layout.of(root, SPLITS[1]),)
        there = [split for split in SPLITS if any(os.path.exists(path / f"{kind}_{split}.json") for kind in _KINDS)]
        return tuple(Layout.of(root, split) for split in there) or (Layout.of(root, SPLITS[1]),)

    @property
    def videos(self) -> Path:
        """The folder of the video files."""
        return self.folder / "videos"

    def video(self, video_id: str) -> Path:
        """The file of one video."""
        return self.videos / f"{video_id}.mp4"

    def beside(self, name: str) -> Path:
        """A file of this split that may be there: `cut_frame_mapping`, `evidence`, `counterfactuals`."""
        return self.folder / f"{name}_{self.split}.json"


def _absent(path: Path, names: tuple[str, ...]) -> str:
    if not os.path.isdir(path):
        return "expected the directory of a data set, or a file of its annotations, found no such thing"
    others = sorted(found.name for found in path.glob("*.json") if _SPLIT_OF.fullmatch(found.name))
    there = f", found {', '.join(others)}: choose that split" if others else ""
    return f"expected {names[0]}, {names[1]} or {names[2]}{there}"
