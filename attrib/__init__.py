"""attrib: where and when in a video a language model's answer comes from, and whether that map can be trusted."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"  # the one source: setup.cfg reads it
_ROOT = Path(__file__).parent.parent
if (_ROOT / "setup.cfg").is_file():  # a checkout: methods/, benchmarks/ and configs/ lie beside this package
    __path__.append(str(_ROOT))

if TYPE_CHECKING:
    from attrib.api import bench, explain, explain_sample
    from attrib.errors import AttribError, AttributionError, ConfigError, InputError, UnsupportedModel, VideoError
    from attrib.explaining.explanation import Explanation
    from attrib.imputer import Canvas, Imputer, PixelImputer, TokenImputer
    from attrib.method import AnnotatedControl, Attribution, Control, Method, PeerControl
    from attrib.metric import ContrastMetric, Metric, RemakingMetric, Score
    from attrib.model import TokenGrid, VideoModel
    from attrib.models import load as load_model
    from attrib.subject import Subject, Target
    from attrib.types import (
        Clip,
        Counterfactual,
        Evidence,
        PointTrack,
        Question,
        SaliencyVolume,
        Sample,
        Segment,
        Track,
    )

# Loaded when first asked for, so that `attrib --help` needs neither torch nor transformers.
_HOMES = {
    "attrib.api": ("bench", "explain", "explain_sample"),
    "attrib.errors": ("AttribError", "AttributionError", "ConfigError", "InputError", "UnsupportedModel", "VideoError"),
    "attrib.explaining.explanation": ("Explanation",),
    "attrib.imputer": ("Canvas", "Imputer", "PixelImputer", "TokenImputer"),
    "attrib.method": ("AnnotatedControl", "Attribution", "Control", "Method", "PeerControl"),
    "attrib.metric": ("ContrastMetric", "Metric", "RemakingMetric", "Score"),
    "attrib.model": ("TokenGrid", "VideoModel"),
    "attrib.models": ("load_model",),
    "attrib.subject": ("Subject", "Target"),
    "attrib.types.annotation": ("Counterfactual", "Evidence", "PointTrack", "Segment", "Track"),
    "attrib.types.clip": ("Clip",),
    "attrib.types.question": ("Question",),
    "attrib.types.sample": ("Sample",),
    "attrib.types.volume": ("SaliencyVolume",),
}
_RENAMED = {"load_model": "load"}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AnnotatedControl",
    "AttribError",
    "Attribution",
    "AttributionError",
    "Canvas",
    "Clip",
    "ConfigError",
    "ContrastMetric",
    "Control",
    "Counterfactual",
    "Evidence",
    "Explanation",
    "Imputer",
    "InputError",
    "Method",
    "Metric",
    "PeerControl",
    "PixelImputer",
    "PointTrack",
    "Question",
    "RemakingMetric",
    "SaliencyVolume",
    "Sample",
    "Score",
    "Segment",
    "Subject",
    "Target",
    "TokenGrid",
    "TokenImputer",
    "Track",
    "UnsupportedModel",
    "VideoError",
    "VideoModel",
    "bench",
    "explain",
    "explain_sample",
    "load_model",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'attrib' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), _RENAMED.get(name, name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
