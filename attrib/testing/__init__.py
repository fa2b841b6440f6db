"""Toy models with known attributions, and the conformance checks that every registered plug-in passes."""

from attrib.testing.imputers import check_imputer
from attrib.testing.methods import check_method
from attrib.testing.metrics import check_metric
from attrib.testing.models import check_model
from attrib.testing.toy_model import CELL, COLUMNS, FRAMES, ROWS, WORDS, ToyModel
from attrib.testing.toy_world import (
    BLUE,
    GREY,
    QUESTION,
    RED,
    toy_answer,
    toy_clip,
    toy_counterfactuals,
    toy_peer,
    toy_sample,
    toy_subject,
    toy_volume,
)

__all__ = [
    "BLUE",
    "CELL",
    "COLUMNS",
    "FRAMES",
    "GREY",
    "QUESTION",
    "RED",
    "ROWS",
    "WORDS",
    "ToyModel",
    "check_imputer",
    "check_method",
    "check_metric",
    "check_model",
    "toy_answer",
    "toy_clip",
    "toy_counterfactuals",
    "toy_peer",
    "toy_sample",
    "toy_subject",
    "toy_volume",
]  # fmt: skip
