"""Questions of the Perception Test as lmms-eval keeps them: a parquet file, with the videos in a folder elsewhere.

The Hub set `PerceptionTest_Val` holds `mc_question_val/validation-*.parquet` with the columns video_name, question,
question_id, options, answer_id, area, reasoning and tag; lmms-eval unpacks its videos to
`$HF_HOME/perceptiontest_val/videos`. There are no tracks and no segments.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrib.errors import InputError

SUFFIX, FOLDER, UNPACKED = ".parquet", "mc_question_val", "perceptiontest_val"
PATTERNS = (
    "validation-*.parquet", f"{FOLDER}/validation-*.parquet",
    f"hub/datasets--*--PerceptionTest_Val/snapshots/*/{FOLDER}/validation-*.parquet",
    f"datasets--*--PerceptionTest_Val/snapshots/*/{FOLDER}/validation-*.parquet",
    f"snapshots/*/{FOLDER}/validation-*.parquet",
)  # fmt: skip
COLUMNS = {"question_id": "id", "question": "question", "options": "options", "answer_id": "answer_id", "area": "area",
           "reasoning": "reasoning", "tag": "tag"}  # fmt: skip
NEEDED = ("video_name", "question_id", "question", "options")


def questions_file(root: Path) -> Path | None:
    """Return the parquet file in `root`: that file itself, its folder, the downloaded set, or $HF_HOME; else None."""
    if root.suffix == SUFFIX and root.is_file():
        return root
    found = (sorted(root.glob(pattern)) for pattern in PATTERNS) if os.path.isdir(root) else ()
    return next((files[-1] for files in found if files), None)


def videos_folder(root: Path, questions: Path) -> Path:
    """Return the folder in which `videos/` lies: near the questions, else where lmms-eval unpacks them."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    near = (root, root / UNPACKED, questions.parent.parent, questions.parent, *questions.parents[3:7])
    choices = [*near, *(folder / UNPACKED for folder in questions.parents[3:7]), home / UNPACKED]
    return next((folder for folder in choices if os.path.isdir(folder / "videos")), home / UNPACKED)


def entries(path: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield each video's name with its questions, in the file's order, in the layout of `mc_question_{split}.json`.

    Raises InputError for a file that cannot be read or lacks a column.
    """
    import pyarrow.parquet as parquet  # takes a while to import
    from pyarrow import ArrowException

    try:
        table = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise InputError(f"{path}: cannot be read as parquet: {str(error).splitlines()[0]}") from None
    for name in NEEDED:
        if name not in table.column_names:
            raise InputError(f"{path}: column {name!r} is missing; found: {', '.join(table.column_names)}")
    videos: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        videos.setdefault(str(row["video_name"]), []).append(_question(row))
    yield from videos.items()


def _question(row: dict[str, Any]) -> dict[str, Any]:
    found = {field: row[column] for column, field in COLUMNS.items() if row.get(column) is not None}
    if isinstance(found.get("tag"), str):
        found["tag"] = [found["tag"]]
    return found
