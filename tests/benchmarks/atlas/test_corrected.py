"""Re-paired twin of the heads' object AUC: heads with a fixed map have one half, and the others what is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attrib import config, video
from attrib.benchmarks.atlas import corrected as twins
from attrib.benchmarks.atlas.jobs import AtlasJobs, Options
from attrib.benchmarks.metrics.objects.object_auc import ObjectAUC
from attrib.subject import Subject
from attrib.testing import toy_subject
from attrib.testing.toy_model import COLUMNS, FRAMES, ROWS
from attrib.testing.toy_world import toy_clip, toy_sample
from attrib.types import Evidence, Provenance, SaliencyVolume, Sample, Track

NAMES = ("a", "b", "c", "d")


def boxes_of(seed: int) -> tuple[Track, ...]:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.6, (3, 2))
    return tuple(
        Track(number + 1, "", np.arange(FRAMES) / 2, np.tile([*corner, *(corner + 0.35)], (FRAMES, 1)),
              np.zeros(FRAMES, bool))
        for number, corner in enumerate(low)
    )  # fmt: skip


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, ...]:
    folder, clip = tmp_path_factory.mktemp("videos"), toy_clip()
    found = []
    for seed, name in enumerate(NAMES):
        video.write(folder / f"{name}.mp4", clip.frames, clip.times, clip.end)
        found.append(replace(toy_sample(), id=f"{name}_0", video=folder / f"{name}.mp4", tracks=boxes_of(seed),
                             evidence=(Evidence(1),), segments=()))  # fmt: skip
    return tuple(found)


@pytest.fixture
def maps(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Maps (2 layers, 2 heads) by sample; the first head is the same in all videos, the others are not."""
    rng = np.random.default_rng(5)
    fixed = rng.random((FRAMES, ROWS, COLUMNS))
    made = {f"{name}_0": rng.random((2, 2, FRAMES, ROWS, COLUMNS)) for name in NAMES}
    for values in made.values():
        values[0, 0] = fixed

    def statistics(subject: Subject) -> SimpleNamespace:
        assert subject.sample is not None
        return SimpleNamespace(attention=torch.from_numpy(made[subject.sample.id]))

    monkeypatch.setattr(twins, "answer_statistics", statistics)
    return made


def auc(values: np.ndarray, sample: Sample) -> float:
    volume = SaliencyVolume(values.astype(np.float32), toy_clip().times, Provenance("head"))
    return ObjectAUC().score(volume, replace(toy_subject(), sample=sample), sample).value


def jobs_of(samples: tuple[Sample, ...], folder: Path, pairs: int = 3) -> AtlasJobs:
    settings = config.parse({"methods": {}, "metrics": {}, "null_pairs": pairs})
    return AtlasJobs.of(toy_subject().model, settings, samples, Options(), folder)


def test_it_is_the_own_score_minus_the_other_maps_on_the_same_annotation(
    samples: tuple[Sample, ...], maps: dict[str, np.ndarray], tmp_path: Path
) -> None:
    own = np.array([[[auc(maps[sample.id][layer, head], sample) for head in range(2)] for layer in range(2)]
                    for sample in samples])  # fmt: skip
    found = twins.corrected(jobs_of(samples, tmp_path), own, None)
    for index, sample in enumerate(samples):
        for layer, head in np.ndindex(2, 2):
            others = [auc(maps[other.id][layer, head], sample) for other in samples if other is not sample]
            assert found[index, layer, head] == pytest.approx(own[index, layer, head] - np.mean(others) + 0.5)
    assert set(found[:, 0, 0].tolist()) == {0.5} and len(set(own[:, 0, 0].tolist())) > 1
    assert len(set(found[:, 1, 1].tolist())) > 1


@pytest.mark.usefixtures("maps")
def test_too_few_videos_of_a_task_leave_it_undefined(samples: tuple[Sample, ...], tmp_path: Path) -> None:
    found = twins.corrected(jobs_of(samples[:2], tmp_path), np.full((2, 2, 2), 0.7), None)
    assert np.isnan(found).all()
