from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from attrib import config
from attrib.benchmarks.metrics.segments.iou import SegmentIoU
from attrib.benchmarks.metrics.segments.segments import (
    SegmentAP,
    SegmentAUC,
    SegmentEnergy,
    SegmentLift,
    SegmentPointing,
    SegmentShuffledAUC,
)
from attrib.errors import ConfigError
from attrib.metric import Metric, Score
from attrib.types import Evidence, Sample, Segment

from linear import blank, sample_of, volume_of
from others import Near, among, subjects_of, video_of

# Frames at 0, 0.5, 1, 1.5 s; positive sums 3, 1, 4, 0 of 8.
VALUES = np.array([[[3, -1]], [[0, 1]], [[2, 2]], [[-5, -5]]])


def segment(
    start: float, end: float, parents: tuple[int, ...] = (1,), kind: str = "action", visible: bool | None = None
) -> Segment:
    return Segment(kind, "event", start, end, parents, visible)  # type: ignore[arg-type]


def peer(name: str, *segments: Segment, length: float = 2.0, **sample: object) -> Sample:
    """Another video that is annotated until `length`."""
    return video_of(name, segments=(*segments, segment(0.0, length, ())), **sample)


ALL = (SegmentEnergy(), SegmentLift(), SegmentAUC(), SegmentAP(), SegmentPointing(), SegmentIoU(), SegmentShuffledAUC())
EARLY, LATE = peer("early", segment(0.5, 1.0)), peer("late", segment(1.0, 2.0))


def score(metric: Metric, values: object, *segments: Segment, peers: tuple[Sample, ...] = (), **sample: object):
    volume = volume_of(values)
    subject = among(blank(*volume.values.shape), *(peers or (EARLY, LATE)))
    return metric.score(volume, subject, sample_of(segments=segments, **sample))


def reason(metric: Metric, values: object, *segments: Segment, **sample: object) -> str:
    found = score(metric, values, *segments, **sample)
    assert np.isnan(found.value)
    return found.reason


def test_energy_by_hand():
    # Half-open: the frame at 1.0 s is not inside. Signed sums would give 3 / -8, per-frame normalising 2 / 3.
    found = score(SegmentEnergy(), VALUES, segment(0.0, 1.0))
    assert (found.value, found.chance) == (pytest.approx(4 / 8), 0.5)
    found = score(SegmentEnergy(), VALUES, segment(1.0, 1.2))
    assert (found.value, found.chance) == (pytest.approx(4 / 8), 0.25)


def test_lift_by_hand():
    assert score(SegmentLift(), VALUES, segment(0.0, 1.0)) == Near(1, 1.0)
    assert score(SegmentLift(), VALUES, segment(1.0, 1.2)) == Near(2, 1.0)
    assert score(SegmentLift(), VALUES, segment(1.5, 2.0)) == Score(0.0, 1.0)


def test_average_precision_by_hand_with_ties_together():
    # Ranked 4, 3, 1, 0; the segment has 3 and 1: precision 1/2 at recall 1/2, 2/3 at recall 1.
    assert score(SegmentAP(), VALUES, segment(0.0, 1.0)) == Near((1 / 2 + 2 / 3) / 2, 0.5)
    tied = np.array([[[3, 0]], [[1, 2]], [[9, -9]], [[0, 0]]])
    assert score(SegmentAP(), tied, segment(0.0, 0.5)) == Near(1 / 3, 0.25)


def test_pointing_by_hand():
    # The greatest frame is that at 1.0 s. A hit is what is less than half a second after, or half a second before.
    assert score(SegmentPointing(), VALUES, segment(1.0, 1.2)) == Score(1.0, 0.75)  # 0.5, 1.0, 1.5
    assert score(SegmentPointing(), VALUES, segment(1.5, 2.0)) == Score(1.0, 0.5)
    assert score(SegmentPointing(), VALUES, segment(0.0, 0.5)) == Score(0.0, 0.5)  # the end is exclusive: not 1.0
    assert score(SegmentPointing(), VALUES, segment(0.0, 0.51)) == Score(1.0, 0.75)
    assert score(SegmentPointing(tolerance=0.0), VALUES, segment(1.5, 2.0)) == Score(0.0, 0.25)
    tied = np.array([[[4, 0]], [[1, 0]], [[2, 2]], [[0, 4]]])
    found = score(SegmentPointing(tolerance=0.0), tied, segment(0.0, 0.5), segment(1.5, 2.0))
    assert found == Near(2 / 3, 0.5)


def test_shuffled_auc_by_hand_with_each_other_video_alike():
    # Inside 3 and 1. Frames lie at 0, 1/4, 1/2, 3/4 of the others' 2 s: early has {1}, late {4, 0}.
    inside = segment(0.0, 1.0)
    assert score(SegmentShuffledAUC(), VALUES, inside, peers=(EARLY,)) == Near(1.5 / 2, 0.5)
    assert score(SegmentShuffledAUC(), VALUES, inside, peers=(LATE,)) == Near(2 / 4, 0.5)
    found = score(SegmentShuffledAUC(), VALUES, inside, peers=(EARLY, LATE))
    assert found.value == pytest.approx((1.5 / 2 + 2 / 4) / 2)  # all pairs in one pot would give 3.5 / 6


def test_others_are_looked_at_at_the_same_share_of_their_own_length_and_before_their_cut():
    inside = segment(0.0, 1.0)
    slow = peer("slow", segment(1.5, 3.0), length=6.0)
    assert score(SegmentShuffledAUC(), VALUES, inside, peers=(slow,)) == Near(1.5 / 2, 0.5)
    cut = peer("cut", segment(0.5, 2.0), cut=1.0)
    assert score(SegmentShuffledAUC(), VALUES, inside, peers=(cut,)) == Near(1.5 / 2, 0.5)


def test_a_map_paired_with_another_video_is_not_held_against_that_video():
    volume = volume_of([[[3, 0]], [[0, 1]], [[2, 2]], [[2, 0]]])
    for peers in ((LATE,), (EARLY, LATE), (LATE, EARLY)):
        found = SegmentShuffledAUC().score(volume, among(blank(4, 1, 2), *peers), EARLY)
        assert found == Score(0.0, 0.5)  # 1 against 4 and 2, and not against itself


def test_the_mean_of_any_fixed_profile_over_all_videos_is_one_half():
    rng = np.random.default_rng(1)
    videos = []
    for index in range(9):
        start = rng.uniform(0, 4)
        videos.append(peer(f"v{index}", segment(start, start + rng.uniform(0.6, 3)), length=8.0))
    values = volume_of(rng.random((16, 1, 2)))
    found = [SegmentShuffledAUC().score(values, each, each.sample).value for each in subjects_of(videos, 16, 2)]
    assert np.std(found) > 0.02
    assert np.mean(found) == pytest.approx(0.5, abs=1e-12)


def test_no_other_video_with_such_a_segment_is_undefined():
    inside = segment(0.0, 0.5)
    elsewhen = peer("elsewhen", segment(1.0, 2.0))
    for peers in ((peer("bare"),), (replace(EARLY, evidence=()),), (peer("heard", segment(0.5, 1.0, kind="sound")),)):
        assert "no other video" in reason(SegmentShuffledAUC(), VALUES, inside, peers=peers)
    assert "no other video" in reason(SegmentShuffledAUC(), VALUES, inside, peers=(elsewhen,), cut=1.0)
    volume = volume_of(VALUES)
    assert "no other video" in SegmentShuffledAUC().score(volume, blank(4, 1, 2), sample_of(segments=(inside,))).reason


# --- which segments count ---------------------------------------------------------------------------------------------

MIXED = (
    segment(0.0, 0.5),  # the evidence acts
    segment(0.5, 1.0, (1, 7), "sound", visible=True),  # is heard and seen
    segment(1.0, 1.5, (), "sound", visible=False),  # something is heard out of sight
    segment(1.5, 2.0, (7,)),  # another object acts
)


def test_actions_sounds_and_sounds_out_of_sight_are_apart():
    assert score(SegmentEnergy(), VALUES, *MIXED).value == pytest.approx(3 / 8)
    assert score(SegmentEnergy("sound"), VALUES, *MIXED).value == pytest.approx(1 / 8)
    assert score(SegmentEnergy("invisible_sound"), VALUES, *MIXED).value == pytest.approx(4 / 8)
    unsaid = segment(1.5, 2.0, kind="sound"), segment(0.0, 0.5, kind="sound", visible=False)
    assert score(SegmentEnergy("sound"), VALUES, *unsaid).value == 0  # what is not said to be out of sight counts
    assert score(SegmentEnergy("invisible_sound"), VALUES, *unsaid).value == pytest.approx(3 / 8)


def test_others_are_asked_for_segments_of_the_same_kind():
    other = peer("other", segment(0.0, 0.5), segment(1.5, 2.0, kind="sound"))
    found = score(SegmentShuffledAUC("sound"), VALUES, *MIXED, peers=(other,))
    assert found == Near(1, 0.5)  # 1 against 0
    assert score(SegmentShuffledAUC(), VALUES, *MIXED, peers=(other,)) == Near(0.5, 0.5)  # 3 against 3
    assert "no other video" in reason(SegmentShuffledAUC("invisible_sound"), VALUES, *MIXED, peers=(other,))


@pytest.mark.parametrize("kind", ["action", "sound", "invisible_sound"])
def test_the_reason_names_the_kind(kind: str):
    assert f"no segment of kind {kind}" in reason(SegmentAUC(kind), VALUES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("segment_auc", {"kind": "noise"}, "metrics.mine: input should be 'action', 'sound' or 'invisible_sound'"),
        ("segment_pointing", {"tolerance": -1.0}, "metrics.mine: tolerance: expected 0.0 or more, got -1.0"),
        ("segment_pointing", {"tolerance": float("nan")}, "tolerance: expected 0.0 or more, got nan"),
    ],
)
def test_bad_parameters_are_one_line(name: str, parameters: dict[str, object], words: str):
    with pytest.raises(ConfigError) as error:
        config.build("metrics", "mine", {"metric": name, **parameters})
    assert words.removeprefix("metrics.mine: ") in str(error.value)
    assert "\n" not in str(error.value)


# --- all --------------------------------------------------------------------------------------------------------------


def test_auc_by_hand_with_ties_half():
    found = score(SegmentAUC(), VALUES, segment(0.0, 1.0))  # 3 beats 0, loses to 4; 1 beats 0, loses to 4
    assert (found.value, found.chance) == (0.5, 0.5)
    assert score(SegmentAUC(), VALUES, segment(1.0, 1.5)).value == 1
    assert score(SegmentAUC(), VALUES, segment(1.5, 2.0)).value == 0
    tied = np.array([[[3, 0]], [[1, 2]], [[9, -9]], [[0, 0]]])
    assert score(SegmentAUC(), tied, segment(0.0, 0.5)).value == pytest.approx((0.5 + 0 + 1) / 3)


def test_frames_with_the_same_values_elsewhere_tie_in_spite_of_rounding():
    rng = np.random.default_rng(0)
    row = 10.0 ** -rng.uniform(0, 12, 12)  # sums of numbers this far apart depend on their order
    rows = np.stack([rng.permutation(row) for _ in range(12)])
    assert score(SegmentAUC(), rows[:, None], segment(0.0, 2.0)).value == 0.5


def test_auc_equals_scikit_learn():
    values = np.random.default_rng(0).normal(size=(12, 3, 4))
    inside = (np.arange(12) * 0.5 >= 2) & (np.arange(12) * 0.5 < 4)
    profile = np.maximum(values, 0).sum(axis=(1, 2))
    assert score(SegmentAUC(), values, segment(2.0, 4.0)).value == pytest.approx(roc_auc_score(inside, profile))
    wanted = average_precision_score(inside, profile)
    assert score(SegmentAP(), values, segment(2.0, 4.0)).value == pytest.approx(wanted)


def test_segments_of_evidence_of_one_kind_count_together():
    segments = segment(0.0, 0.5), segment(1.0, 1.5, (7, 1)), segment(0.5, 1.0, (7,)), segment(1.5, 2.0, ())
    found = score(SegmentEnergy(), VALUES, *segments)
    assert (found.value, found.chance) == (pytest.approx(7 / 8), 0.5)


def test_overlapping_segments_count_once():
    found = score(SegmentEnergy(), VALUES, segment(0.0, 1.0), segment(0.5, 1.5))
    assert (found.value, found.chance) == (pytest.approx(1), 0.75)


def test_the_evidence_interval_of_the_track_does_not_matter():
    found = score(SegmentEnergy(), VALUES, segment(0.0, 0.5), evidence=(Evidence(1, 1.0, 1.5),))
    assert found.value == pytest.approx(3 / 8)


def test_frames_after_the_cut_are_not_scored():
    found = score(SegmentEnergy(), VALUES, segment(0.5, 2.0), cut=1.0)
    assert (found.value, found.chance) == (pytest.approx(1 / 4), 0.5)


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_undefined_cases(metric: Metric):
    assert "no segment" in reason(metric, VALUES)
    assert "no segment" in reason(metric, VALUES, segment(0.0, 1.0, (2,)))
    assert "no segment" in reason(metric, VALUES, segment(0.0, 1.0), evidence=())
    assert "no segment" in reason(metric, VALUES, segment(0.0, 1.0), evidence=(Evidence(1, role="context"),))
    assert "no frame" in reason(metric, VALUES, segment(0.1, 0.4))
    assert "no frame" in reason(metric, VALUES, segment(1.0, 2.0), cut=1.0)
    assert "after the cut" in reason(metric, VALUES, segment(0.0, 1.0), cut=0.0)
    assert "no positive" in reason(metric, VALUES * 0, segment(0.0, 1.0))
    assert "no positive" in reason(metric, -1 - VALUES**2, segment(0.0, 1.0))
    assert "the same everywhere" in reason(metric, VALUES * 0 + 2, segment(0.0, 1.0))


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_segments_over_all_scored_frames_are_undefined(metric: Metric):
    filled = "the evidence fills every frame that is scored"
    assert reason(metric, VALUES, segment(0.0, 9.0), peers=(EARLY,)) == filled
    assert reason(metric, VALUES, segment(0.0, 1.0), peers=(EARLY,), cut=1.0) == filled


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_positive_scaling_changes_nothing(metric: Metric):
    assert score(metric, VALUES, segment(0.0, 1.0)) == score(metric, 1024 * VALUES, segment(0.0, 1.0))


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_the_evidence_ranks_above_a_noisy_copy_above_noise_above_its_inverse(metric: Metric):
    rng = np.random.default_rng(5)
    scores = []
    for _ in range(20):
        start = rng.integers(0, 8)
        oracle = np.full((12, 2, 2), 0.0)
        oracle[start : start + 4] = 1
        noise = rng.random(oracle.shape)
        volumes = (oracle, oracle + 6 * noise, noise, 1 - oracle)
        where = segment(0.5 * start, 0.5 * start + 2.0)
        scores.append([score(metric, values, where).value for values in volumes])
    means = np.mean(scores, axis=0)
    assert (np.diff(means) < 0).all(), means


@pytest.mark.parametrize(
    "metric", [SegmentEnergy(), SegmentLift(), SegmentAUC(), SegmentPointing(), SegmentShuffledAUC()], ids=str
)
def test_maps_that_know_nothing_reach_the_stated_chance(metric: Metric):
    rng = np.random.default_rng(6)
    found = [score(metric, rng.random((8, 2, 2)), segment(1.0, 2.6)) for _ in range(400)]
    values = [each.value for each in found]
    assert np.mean(values) == pytest.approx(found[0].chance, abs=4 * np.std(values) / 20)
