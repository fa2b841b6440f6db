"""Needs of a method or a metric beside a video and a question."""

from __future__ import annotations

from typing import Literal, get_args

Need = Literal["model", "evidence", "tracks", "segments", "counterfactuals", "other videos"]
ANNOTATION: frozenset[Need] = frozenset(get_args(Need)) - {"model"}  # all but asking the model again
