"""Cache keys of an atlas."""

from __future__ import annotations

from pathlib import Path

from attrib import config
from attrib.benchmarks.atlas.jobs import AtlasJobs, Options
from attrib.testing import toy_sample, toy_subject


def key(tmp_path: Path, frames: int | None) -> str:
    model, sample = toy_subject().model, toy_sample()
    settings = config.parse({"methods": {}, "metrics": {}, "model": {"frames": frames}})
    return AtlasJobs.of(model, settings, (sample,), Options(), tmp_path).key(sample)


def test_the_models_own_number_of_frames_is_the_same_video_named_or_not(tmp_path: Path) -> None:
    own = toy_subject().model.frames
    assert key(tmp_path, None) == key(tmp_path, own) != key(tmp_path, own + 1)
