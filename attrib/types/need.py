"""Inputs that a method or a metric needs in addition to a video and a question."""

from __future__ import annotations

from typing import Literal, get_args

Need = Literal["model", "evidence", "tracks", "segments", "counterfactuals", "other videos"]
ANNOTATION: frozenset[Need] = frozenset(get_args(Need)) - {"model"}  # all needs except new model evaluations
