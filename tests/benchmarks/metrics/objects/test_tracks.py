from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from attrib.annotation_cells import coverage
from attrib.benchmarks.metrics.objects.correlation import NSS, Pearson, Spearman
from attrib.benchmarks.metrics.objects.ground_truth import evidence_cells
from attrib.benchmarks.metrics.objects.mass import Lift, Log2Lift, Log2LiftSpace, Log2LiftTime, Mass, TubeMetric
from attrib.benchmarks.metrics.objects.object_auc import ObjectAUC
from attrib.benchmarks.metrics.objects.other_videos import InformationGain, ShuffledAUC
from attrib.benchmarks.metrics.objects.ranking import ROCAUC, AveragePrecision, IoU, Pointing, RankAccuracy
from attrib.errors import InputError
from attrib.metric import Metric, Score
from attrib.types import Evidence, Track

from linear import blank, sample_of, track_of, volume_of
from others import Near, among, video_of

TUBE_METRICS = (
    Mass(), Lift(), Log2Lift(), Log2LiftTime(), Log2LiftSpace(), ROCAUC(), AveragePrecision(), Pointing(),
    RankAccuracy(), IoU(), NSS(), Pearson(), Spearman(), ShuffledAUC(), InformationGain(),
)  # fmt: skip
ALL = (*TUBE_METRICS, ObjectAUC())
LEFT = [0, 0, 0.5, 1]
TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT = [0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1]
NOWHERE = [0, 0, 0, 0]
PEERS = video_of("left", track_of(1, [LEFT] * 4)), video_of("right", track_of(1, [[0.4, 0.1, 1, 1]] * 4))


def score(metric: Metric, values: object, *tracks: Track, **sample: object) -> Score:
    volume = volume_of(values)
    return metric.score(volume, among(blank(*volume.values.shape), *PEERS), sample_of(*tracks, **sample))


def value(metric: Metric, values: object, *tracks: Track, **sample: object) -> float:
    return score(metric, values, *tracks, **sample).value


def reason(metric: Metric, values: object, *tracks: Track, **sample: object) -> str:
    found = score(metric, values, *tracks, **sample)
    assert np.isnan(found.value)
    assert np.isnan(found.chance)
    return found.reason


# --- ground truth -----------------------------------------------------------------------------------------------------


def test_a_box_covers_cells_in_part():
    found = coverage([[0.25, 0.5, 0.75, 0.625]], rows=2, columns=4)
    assert found == pytest.approx(np.array([[0, 0, 0, 0], [0, 0.25, 0.25, 0]]))


def test_boxes_count_as_their_exact_union():
    found = coverage([[0, 0, 0.25, 0.5], [0.125, 0, 0.375, 1], [0.125, 0, 0.375, 1]], rows=1, columns=2)
    assert found == pytest.approx(np.array([[0.25 * 0.5 + 0.25 - 0.125 * 0.5, 0]]) * 2)


def test_coverage_agrees_with_a_fine_raster():
    rng = np.random.default_rng(0)
    for rows, columns, count in ((3, 5, 4), (4, 4, 4), (7, 2, 4), (3, 5, 1), (7, 4, 1), (4, 2, 1)):
        corners = rng.integers(-20, 440, (count, 2, 2))
        boxes = np.sort(corners, axis=1).reshape(count, 4) / 420
        middle = (np.arange(420) + 0.5) / 420
        inside = np.zeros((420, 420), bool)
        for x1, y1, x2, y2 in boxes:
            inside |= np.outer((middle > y1) & (middle < y2), (middle > x1) & (middle < x2))
        wanted = inside.reshape(rows, 420 // rows, columns, 420 // columns).mean(axis=(1, 3))
        assert coverage(boxes, rows, columns) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("box", [[1.2, 0, 1.4, 1], [-1, -1, -0.1, 0], [0.6, 0, 0.2, 1], NOWHERE, [0.3, 0, 0.3, 1]])
def test_a_box_outside_the_frame_or_inverted_or_without_area_covers_nothing(box: list[float]):
    assert not coverage([box], 3, 3).any()


def test_a_box_that_reaches_over_the_frame_is_cut():
    assert coverage([[-3, -1, 0.5, 9]], 2, 2) == pytest.approx(np.array([[1, 0], [1, 0]]))


def test_each_track_is_evidence_during_its_own_half_open_interval():
    tracks = track_of(1, [TOP_LEFT] * 4), track_of(2, [TOP_RIGHT] * 4), track_of(3, [LEFT] * 4)
    evidence = Evidence(1, 0.5, 1.0), Evidence(2, 1.0), Evidence(3, role="context")
    seen, hidden = evidence_cells(blank(4, 2, 2), sample_of(*tracks, evidence=evidence))
    assert seen[:, 0].tolist() == [[0, 0], [1, 0], [0, 1], [0, 1]]  # frames at 0, .5, 1 and 1.5 s
    assert not seen[:, 1].any()
    assert not hidden.any()


# --- numbers worked by hand on 2 x 2 x 2 ------------------------------------------------------------------------------

VALUES = np.array([[[3, 1], [0, -2]], [[2, 2], [-4, 0]]])  # positive part sums to 8


def test_mass_and_lift_by_hand():
    # Left half of both frames: 3 + 0 + 2 + 0 of 8. Signed sums would give 1 / 2, per-frame shares 3/4 and 1/2.
    score = Mass().score(volume_of(VALUES), blank(), sample_of(track_of(1, [LEFT] * 2)))
    assert score.value == pytest.approx(5 / 8)
    assert score.chance == 0.5
    lift = Lift().score(volume_of(VALUES), blank(), sample_of(track_of(1, [LEFT] * 2)))
    assert lift.value == pytest.approx(5 / 4)
    assert lift.chance == 1


def test_cells_count_by_the_share_that_is_covered():
    quarter = [0, 0, 0.25, 0.25]  # a quarter of the top left cell, in frame 0 only
    score = Mass().score(volume_of(VALUES), blank(), sample_of(track_of(1, [quarter, NOWHERE])))
    assert score.value == pytest.approx(3 / 8 / 4)
    assert score.chance == pytest.approx(1 / 32)
    assert value(Lift(), VALUES, track_of(1, [quarter, NOWHERE])) == pytest.approx(3)


def test_log2_lifts_by_hand():
    # Positive parts: 6, 1, 1, 0 in frame 0 and 2, 2, 0, 0 in frame 1. The tube is the top left cell of frame 0: half of
    # the saliency on an eighth of the cells is lift 4; frame 0 has 8/12 on a half: 4/3; in it 6/8 lie on a quarter: 3.
    values = [[[6, 1], [1, -2]], [[2, 2], [-4, 0]]]
    track = track_of(1, [TOP_LEFT, NOWHERE])
    assert value(Lift(), values, track) == pytest.approx(4)
    tube, time = (np.log2(0.999 * lift + 0.001) for lift in (4, 4 / 3))
    assert value(Log2Lift(), values, track) == pytest.approx(tube, abs=1e-12)
    assert value(Log2LiftTime(), values, track) == pytest.approx(time, abs=1e-12)
    assert value(Log2LiftSpace(), values, track) == pytest.approx(tube - time, abs=1e-12)
    assert value(Log2LiftSpace(), values, track) == pytest.approx(np.log2(3), abs=2e-3)
    small = track_of(1, [[0, 0, 0.25, 0.25], NOWHERE])  # a quarter of a cell lies in frame 0, too
    assert value(Log2LiftTime(), values, small) == pytest.approx(time, abs=1e-12)
    assert [score(metric, values, track).chance for metric in (Log2Lift(), Log2LiftTime(), Log2LiftSpace())] == [0] * 3


def test_log2_lift_is_the_sum_of_its_parts():
    rng = np.random.default_rng(2)
    for count in range(1, 9):
        values = rng.normal(size=(4, 5, 6)) * 10.0 ** rng.uniform(-6, 6)
        x, y = rng.uniform(0, 0.7, (2, 4))
        track = track_of(1, np.stack([x, y, x + 0.3, y + 0.3], axis=1), hidden=[False, False, False, True])
        where = {"evidence": (Evidence(1, 0.0, 0.5 * (count % 4 + 1)),), "cut": 1.5 if count % 2 else None}
        tube, time, space = (value(metric, values, track, **where) for metric in (Log2Lift(), Log2LiftTime(),
                                                                                  Log2LiftSpace()))  # fmt: skip
        assert tube == pytest.approx(time + space, abs=1e-9)
        assert tube == pytest.approx(np.log2(value(Lift(), values, track, **where)), abs=0.05)


def test_log2_lift_of_a_map_that_leaves_the_evidence_out_is_finite():
    missed = np.array([[[0, 1], [1, 1]], [[1, 1], [1, 1]]])
    track = track_of(1, [TOP_LEFT, NOWHERE])
    assert value(Lift(), missed, track) == 0
    assert value(Log2Lift(), missed, track) == pytest.approx(np.log2(0.001))
    elsewhen = np.array([[[0, 0], [0, 0]], [[1, 2], [1, 1]]])
    assert value(Log2LiftTime(), elsewhen, track) == pytest.approx(np.log2(0.001))
    assert value(Log2LiftSpace(), elsewhen, track) == pytest.approx(0)  # what is spread evenly is all there is


def test_a_tube_in_every_scored_frame_has_no_lift_in_time():
    track = track_of(1, [TOP_LEFT, BOTTOM_LEFT])
    assert value(Log2LiftTime(), VALUES, track) == pytest.approx(0, abs=1e-12)
    assert value(Log2LiftSpace(), VALUES, track) == pytest.approx(value(Log2Lift(), VALUES, track), abs=1e-12)


def test_the_tube_ends_with_the_evidence_interval():
    track = track_of(1, [LEFT] * 2)
    assert value(Mass(), VALUES, track, evidence=(Evidence(1, 0.0, 0.5),)) == pytest.approx(3 / 8)
    assert value(Mass(), VALUES, track, evidence=(Evidence(1, 0.5, 9.0),)) == pytest.approx(2 / 8)


def test_frames_after_the_cut_are_not_scored():
    track = track_of(1, [LEFT] * 2)
    score = Mass().score(volume_of(VALUES), blank(), sample_of(track, cut=0.5))  # the end is exclusive
    assert score.value == pytest.approx(3 / 4)
    assert score.chance == 0.5
    assert value(Mass(), VALUES, track, cut=0.51) == pytest.approx(5 / 8)


def test_cells_under_a_hidden_object_are_neither_hit_nor_fault():
    # Seen in frame 0 at the top left; hidden in frame 1 at the top right, whose 2 then counts nowhere: 3 of 3 + 1 + 2.
    track = track_of(1, [TOP_LEFT, TOP_RIGHT], hidden=[False, True])
    score = Mass().score(volume_of(VALUES), blank(), sample_of(track))
    assert score.value == pytest.approx(3 / 6)
    assert score.chance == pytest.approx(1 / 7)


def test_a_visible_box_wins_over_a_hidden_one_in_the_same_cell():
    seen, unseen = track_of(1, [TOP_LEFT] * 2), track_of(2, [LEFT] * 2, hidden=True)
    score = Mass().score(volume_of(VALUES), blank(), sample_of(seen, unseen, evidence=(Evidence(1), Evidence(2))))
    assert score.value == pytest.approx(5 / 8)  # the bottom left cells are out; their clipped saliency was 0
    assert score.chance == pytest.approx(2 / 6)


def test_pointing_counts_tied_maxima_in_part():
    tied = np.array([[[3, 3], [0, 0]], [[3, -5], [1, 0]]])
    assert value(Pointing(), tied, track_of(1, [TOP_LEFT] * 2)) == pytest.approx(2 / 3)
    assert value(Pointing(), tied, track_of(1, [BOTTOM_LEFT] * 2)) == 0
    score = Pointing().score(volume_of(VALUES), blank(), sample_of(track_of(1, [TOP_LEFT] * 2)))
    assert (score.value, score.chance) == (1, 0.25)


def test_a_cell_belongs_to_the_ground_truth_from_one_half_on():
    half, less = [0, 0, 0.25, 0.5], [0, 0, 0.24, 0.5]
    assert value(Pointing(), VALUES, track_of(1, [half, NOWHERE])) == 1
    assert "by half" in reason(Pointing(), VALUES, track_of(1, [less, NOWHERE]))
    third = [(1 + 0.5) / 3, 0, 2 / 3, 1]  # half of the middle column; in floating point 0.4999999999999999 of it
    assert coverage([third], 1, 3)[0, 1] < 0.5
    assert value(Pointing(), [[[0, 1, 0]]], track_of(1, [third])) == 1


def test_what_looks_at_whole_cells_has_a_chance_of_whole_cells():
    wide = [0, 0, 0.3, 0.5]  # 0.6 of the top left cell, in frame 0 only
    track = track_of(1, [wide, NOWHERE])
    assert score(Mass(), VALUES, track).chance == pytest.approx(0.6 / 8)
    for metric in (Pointing(), RankAccuracy(), AveragePrecision()):
        assert score(metric, VALUES, track).chance == pytest.approx(1 / 8)
    assert score(IoU(), VALUES, track).chance == pytest.approx(1 / 15)  # a / (2 - a)


def test_top_cells_by_hand_with_ties_in_part():
    # Top left of both frames: G = {3, 2}. Of the top 2, 3 is a hit; 2 ties with another 2 outside: half a hit.
    track = track_of(1, [TOP_LEFT] * 2)
    assert score(RankAccuracy(), VALUES, track) == Near(1.5 / 2, 0.25)
    assert score(IoU(), VALUES, track) == Near(1.5 / 2.5, 0.25 / 1.75)
    # Left column: G = {3, 0, 2, 0}. The top 4 are 3, 2, 2 and 1, of which 2 lie in G.
    track = track_of(1, [LEFT] * 2)
    assert score(RankAccuracy(), VALUES, track) == Near(2 / 4, 0.5)
    assert score(IoU(), VALUES, track) == Near(2 / 6, 1 / 3)
    # One cell of eight is salient: 3 of the top 4 are drawn from the 7 zeros, of which 3 lie in G.
    assert value(RankAccuracy(), [[[1, 0], [0, 0]], [[0, 0], [0, 0]]], track) == pytest.approx((1 + 3 * 3 / 7) / 4)


def test_ranking_metrics_by_hand_with_ties_half():
    # G = left column: positives 3, 0, 2, 0; negatives 1, 0, 2, 0 after clipping.
    # Pairs won: 3 beats 4; 2 beats 3 and ties 1; each 0 ties 2: (4 + 3.5 + 1 + 1) / 16. Unclipped it would be 9.5, too,
    # were it not for -4, which loses all its pairs.
    track = track_of(1, [LEFT] * 2)
    score = ROCAUC().score(volume_of(VALUES), blank(), sample_of(track))
    assert (score.value, score.chance) == (pytest.approx(9.5 / 16), 0.5)
    assert roc_auc_score([1, 0, 1, 0] * 2, VALUES.ravel()) != pytest.approx(9.5 / 16)
    # Thresholds 3, 2, 1, 0 reach recall 1/4, 2/4, 2/4, 1 at precision 1, 2/3, 1/2, 1/2.
    score = AveragePrecision().score(volume_of(VALUES), blank(), sample_of(track))
    assert (score.value, score.chance) == (pytest.approx(1 / 4 + 2 / 3 / 4 + 1 / 2 / 2), 0.5)


def test_ranking_metrics_equal_scikit_learn_on_the_clipped_voxels():
    rng = np.random.default_rng(0)
    values = np.round(rng.normal(size=(3, 4, 5)), 1)  # with ties
    track = track_of(1, [[0.2, 0.25, 0.8, 0.75]] * 3)
    inside = np.zeros((3, 4, 5), bool)
    inside[:, 1:3, 1:4] = True
    clipped = np.maximum(values, 0).astype(np.float32)
    assert value(ROCAUC(), values, track) == pytest.approx(roc_auc_score(inside.ravel(), clipped.ravel()))
    wanted = average_precision_score(inside.ravel(), clipped.ravel())
    assert value(AveragePrecision(), values, track) == pytest.approx(wanted)


def test_saliency_of_another_size_is_averaged_into_tokens_before_it_is_clipped():
    fine = np.zeros((1, 4, 4))
    fine[0, :2, :2] = [[9, -5], [-5, 2]]  # averages to 1/4; clipped first it would be 11/4
    fine[0, 2:, 2:] = 0.75
    subject = blank(1, 2, 2)
    found = Mass().score(volume_of(fine), subject, sample_of(track_of(1, [TOP_LEFT])))
    assert found.value == pytest.approx(0.25)


# --- all --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_positive_scaling_changes_nothing(metric: Metric):
    values = np.random.default_rng(1).normal(size=(3, 4, 4))
    tracks = track_of(1, [[0.1, 0.2, 0.7, 0.8]] * 3), track_of(2, [[0.6, 0, 1, 0.4]] * 3)
    assert value(metric, values, *tracks) == value(metric, 1024 * values, *tracks)
    assert value(metric, values, *tracks) == pytest.approx(value(metric, 1e-6 * values, *tracks))


@pytest.mark.parametrize("metric", TUBE_METRICS, ids=str)
def test_the_evidence_ranks_above_a_noisy_copy_above_noise_above_its_inverse(metric: TubeMetric):
    rng = np.random.default_rng(3)
    scores = []
    for _ in range(20):
        x, y = rng.uniform(0, 0.6, 2)
        track = track_of(1, [[x, y, x + 0.4, y + 0.4]] * 4)
        oracle = np.stack([coverage([track.boxes[0]], 6, 6)] * 4)
        oracle[[0, 3]] = 0
        noise = rng.normal(size=oracle.shape)
        volumes = (oracle, oracle + noise, noise, 1 - oracle)
        scores.append([value(metric, values, track, evidence=(Evidence(1, 0.5, 1.5),)) for values in volumes])
    means = np.mean(scores, axis=0)
    assert (np.diff(means) < 0).all(), means


PAIR = track_of(1, [TOP_LEFT] * 2), track_of(2, [TOP_RIGHT] * 2)


@pytest.mark.parametrize("metric", ALL, ids=str)
@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((2, 2, 2)), "no positive saliency"),
        (-np.ones((2, 2, 2)) - VALUES * 0.1, "no positive saliency"),
        (np.full((2, 2, 2), 0.7), "the same everywhere"),
    ],
)
def test_saliency_that_says_nothing_is_undefined(metric: Metric, values: np.ndarray, words: str):
    assert words in reason(metric, values, *PAIR)


def test_a_constant_is_known_in_spite_of_rounding_and_not_confused_with_weak_contrast():
    steps = np.random.default_rng(0).integers(-2, 3, (2, 2, 2))
    assert "the same everywhere" in reason(Mass(), 0.1 * (1 + steps * 2.0**-24), *PAIR)
    assert value(ROCAUC(), 1 + 1e-4 * VALUES, PAIR[0]) == roc_auc_score([1, 0, 0, 0] * 2, VALUES.ravel())
    found = Mass().score(volume_of(np.full((2, 7, 5), 0.1)), blank(2, 3, 4), sample_of(*PAIR))
    assert "the same everywhere" in found.reason


@pytest.mark.parametrize("metric", TUBE_METRICS, ids=str)
def test_no_ground_truth_is_undefined(metric: Metric):
    assert "no evidence track" in reason(metric, VALUES, *PAIR, evidence=())
    assert "no evidence track" in reason(metric, VALUES, *PAIR, evidence=(Evidence(9),))
    assert "no evidence track" in reason(metric, VALUES, *PAIR, evidence=(Evidence(1, role="context"),))
    assert "in the clip's frames" in reason(metric, VALUES, *PAIR, evidence=(Evidence(1, 0.1, 0.4),))
    assert "no area" in reason(metric, VALUES, track_of(1, [[0.2, 0.2, 0.2, 0.9]] * 2))
    assert "no area" in reason(metric, VALUES, track_of(1, [[1.5, 0, 2, 1]] * 2))
    assert "hidden" in reason(metric, VALUES, track_of(1, [LEFT] * 2, hidden=True))
    assert "no area" in reason(metric, VALUES, track_of(1, [NOWHERE, LEFT]), cut=0.5)
    assert "after the cut" in reason(metric, VALUES, *PAIR, cut=0.0)
    nowhere = Track(1, "unseen", np.array([]), np.empty((0, 4)), np.array([], bool))
    assert "in the clip's frames" in reason(metric, VALUES, nowhere)


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_evidence_that_fills_every_scored_cell_is_undefined(metric: Metric):
    everywhere, other = track_of(1, [[-1, -1, 2, 2]] * 2), track_of(2, [TOP_RIGHT] * 2)
    assert reason(metric, VALUES, everywhere, other) == "the evidence fills every cell that is scored"
    most = track_of(1, [[0, 0, 0.8, 1]] * 2)  # all of the left cells and 60 % of the right ones
    assert reason(metric, VALUES, most, other) == "the evidence fills every cell that is scored"
    before = track_of(1, [[0, 0, 1, 1], LEFT])
    assert "fills every cell" in reason(metric, VALUES, before, other, cut=0.5)
    assert np.isfinite(value(metric, VALUES, before, other))


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_cells_whose_values_cancel_tie_with_cells_of_zero(metric: Metric):
    fine = np.zeros((2, 4, 4), np.float32)
    fine[:, :2, :2] = [[0.1, 0.7], [-0.7, -0.1]]  # in float64 their weighted sum is not 0
    fine[:, 2:, :2] = 3
    coarse = np.zeros((2, 2, 2), np.float32)
    coarse[:, 1, 0] = 3
    subject, sample = among(blank(), *PEERS), sample_of(*PAIR)
    assert metric.score(volume_of(fine), subject, sample) == metric.score(volume_of(coarse), subject, sample)


@pytest.mark.parametrize(
    "metric", [Mass(), Lift(), ROCAUC(), Pointing(), RankAccuracy(), NSS(), Pearson(), Spearman(), ShuffledAUC()],
    ids=str,
)  # fmt: skip
def test_maps_that_know_nothing_reach_the_stated_chance(metric: TubeMetric):
    rng = np.random.default_rng(6)
    track = track_of(1, [[0.1, 0.2, 0.7, 0.62]] * 2)
    found = [score(metric, rng.random((2, 4, 4)), track) for _ in range(400)]
    values = [each.value for each in found]
    assert np.mean(values) == pytest.approx(found[0].chance, abs=4 * np.std(values) / 20)


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_a_volume_of_another_clip_is_refused(metric: Metric):
    with pytest.raises(InputError, match="expected the clip's 2 frames"):
        metric.score(volume_of(np.ones((3, 2, 2))), among(blank(), *PEERS), sample_of(*PAIR))


def test_boxes_are_taken_at_the_frames_times_and_not_by_index():
    times = np.array([0.0, 0.25, 1.0])  # the frame at 0.5 s lies a third of the way from the second box to the third
    boxes = np.array([TOP_LEFT, [0, 0, 0.3, 1], [0.6, 0, 0.9, 1]], float)
    track = replace(track_of(1, [LEFT] * 3), times=times, boxes=boxes)
    seen, _ = evidence_cells(blank(2, 1, 10), sample_of(track))
    assert seen[1, 0] == pytest.approx([0, 0, 1, 1, 1, 0, 0, 0, 0, 0])
