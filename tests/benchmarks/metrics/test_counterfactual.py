"""Counterfactual answers, the gate and the two metrics; the model's answers are set by hand where it can be done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from attrib import video
from attrib.benchmarks.metrics.counterfactual import CounterfactualDeletion, TargetSensitivity, masses, pairs_of
from attrib.benchmarks.perturb import counterfactual
from attrib.benchmarks.perturb.counterfactual import answers, changes, gate
from attrib.errors import InputError
from attrib.metric import Score
from attrib.subject import Subject
from attrib.testing import check_metric, toy_counterfactuals, toy_subject
from attrib.types import Counterfactual, Question, Sample

from linear import blank, sample_of, subject_of, track_of, volume_of

THREE = Question("Which?", ("a", "b", "c"), answer=0)
TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, TOP = [0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0, 0, 1, 0.5]
NOWHERE = [0, 0, 0, 0]


def part(track: int, start: float, end: float) -> Counterfactual:
    return Counterfactual(Path(f"{track}_{start}.mp4"), "part", track, start, end)


def answering(subject: Subject, logits: dict[Counterfactual, object]) -> Subject:
    """The subject with what the model is to answer to each video."""
    found = {item.video: torch.log_softmax(torch.tensor(row).float(), dim=0) for item, row in logits.items()}
    counterfactual._known[subject] = found
    return subject


def three(logits: object, frames: int = 4) -> Subject:
    """A subject of three options on a 2 x 2 grid, explaining its answer; frames at 0, .5, 1 and 1.5 s."""
    logprobs = torch.log_softmax(torch.tensor(logits).float(), dim=0)
    best = int(logprobs.argmax())
    others = tuple(option for option in range(3) if option != best)
    return replace(blank(frames), question=THREE, logprobs=logprobs, explained=(best,), others=others)


# --- answers ----------------------------------------------------------------------------------------------------------


def test_answers_are_those_to_the_videos_read_at_the_clips_frames(tmp_path: Path) -> None:
    subject, parts = toy_subject(), toy_counterfactuals(tmp_path)
    expected = [subject.model.option_logprobs(subject.model.preprocess(video.read(item.video, 4))[None],
                                              subject.question)[0] for item in parts]  # fmt: skip
    assert torch.equal(answers(subject, parts), torch.stack(expected))
    assert answers(subject, parts[::-1])[0].tolist() == expected[-1].tolist()
    red = changes(subject, parts[:4], subject.log_odds)  # the toy clip itself was never encoded: an offset for all
    assert red[1] > np.delete(red, 1).max() + 1  # the red cell in the second in which it is red


def test_a_video_is_evaluated_once_for_each_subject(tmp_path: Path) -> None:
    subject = subject_of(np.ones((2, 2, 2)))
    video.write(tmp_path / "a.mp4", subject.clip.frames, subject.clip.times, subject.clip.end)
    item = Counterfactual(tmp_path / "a.mp4", "removed")
    before = subject.model.evaluated
    for _ in range(2):
        assert answers(subject, [item, replace(item, kind="only")]).shape == (2, 2)
    assert subject.model.evaluated == before + 1


@pytest.mark.parametrize("fault", ["later", "shorter", "larger", "missing"])
def test_a_video_of_other_frames_is_refused(tmp_path: Path, fault: str) -> None:
    subject, path = subject_of(np.ones((2, 2, 2))), tmp_path / "a.mp4"
    frames = subject.clip.frames.repeat(2 if fault == "larger" else 1, axis=1)
    times = [0, 0.6 if fault == "later" else 0.5][: 1 if fault == "shorter" else 2]
    if fault != "missing":
        video.write(path, frames[: len(times)], times, 1.0)
    with pytest.raises(InputError, match=r"counterfactual .*a\.mp4"):
        answers(subject, [Counterfactual(path, "only")])


# --- the gate ---------------------------------------------------------------------------------------------------------

ONLY, REMOVED = Counterfactual(Path("only.mp4"), "only"), Counterfactual(Path("removed.mp4"), "removed")


def gated(original: object, only: object, removed: object) -> bool | None:
    subject = answering(three(original), {ONLY: only, REMOVED: removed})
    return gate(subject, replace(sample_of(counterfactuals=(ONLY, REMOVED)), question=THREE))


@pytest.mark.parametrize(
    ("original", "only", "removed", "passes"),
    [
        ([3, 0, 0], [2, 0, 0], [0, 1, 0], True),
        ([0, 3, 0], [2, 0, 0], [0, 1, 0], False),  # wrong on the video
        ([3, 0, 0], [0, 0, 2], [0, 1, 0], False),  # wrong on the evidence alone
        ([3, 0, 0], [2, 0, 0], [3, 0, 0], False),  # right without the evidence
        ([3, 0, 0], [2, 0, 0], [0.1, 0, 0], True),  # still the greatest, but a guess: p = .36
        ([3, 0, 0], [0.2, 0.1, 0], [0, 0, 0], True),  # alone the greatest is enough, at p = .37
        ([3, 0, 0], [2, 0, 0], [np.log(2) - 0.01, 0, 0], True),  # log-odds against both others just below 0
        ([3, 0, 0], [2, 0, 0], [np.log(2) + 0.01, 0, 0], False),
    ],
)
def test_gate(original: object, only: object, removed: object, passes: bool) -> None:
    assert gated(original, only, removed) is passes


def test_without_an_answer_or_a_video_the_gate_is_not_known() -> None:
    subject = answering(three([3, 0, 0]), {ONLY: [3, 0, 0], REMOVED: [0, 1, 0]})
    for found in ((), (ONLY,), (REMOVED,), (part(1, 0, 1),)):
        assert gate(subject, replace(sample_of(counterfactuals=found), question=THREE)) is None
    unknown = replace(THREE, answer=None)
    assert gate(subject, replace(sample_of(counterfactuals=(ONLY, REMOVED)), question=unknown)) is None


# --- counterfactual deletion ------------------------------------------------------------------------------------------

# Four frames of 2 x 2; the positive part sums to 16.
VALUES = np.array([[[4, 1], [0, 0]], [[2, 0], [1, -9]], [[0, 0], [3, 0]], [[0, 1], [4, 0]]], float)
TRACKS = (
    track_of(1, [TOP_LEFT] * 4),
    track_of(2, [TOP_RIGHT] * 4),
    track_of(3, [NOWHERE, BOTTOM_LEFT, BOTTOM_LEFT, BOTTOM_LEFT]),
)
PARTS = (part(1, 0, 1), part(1, 1, 2), part(2, 0, 1), part(3, 0, 1), part(3, 1, 2))
MASS = np.array([(4 + 2) / 2, 0, 1 / 2, 1 / 2, (3 + 4) / 2]) / 16  # the mean over both frames of each second


def falling(changes: object, parts: tuple[Counterfactual, ...] = PARTS) -> tuple[Subject, Sample]:
    """Log-odds of 3 on the video, and less by `changes` on the videos of the parts."""
    subject = subject_of(np.zeros((4, 2, 2)), bias=3.0)
    answering(subject, {item: [3.0 - fall, 0.0] for item, fall in zip(parts, np.asarray(changes), strict=True)})
    return subject, sample_of(*TRACKS, counterfactuals=parts)


def deletion(values: object, changes: object, parts: tuple[Counterfactual, ...] = PARTS) -> Score:
    return CounterfactualDeletion().score(volume_of(values), *falling(changes, parts))


def test_masses_by_hand() -> None:
    subject, sample = falling([0, 1, 2, 3, 4])
    pairs = pairs_of(subject, sample)
    assert pairs.videos == PARTS
    np.testing.assert_allclose(masses(volume_of(VALUES), subject, pairs), MASS)


def test_masses_are_weighted_by_the_covered_share_while_visible() -> None:
    half = [0.25, 0, 0.75, 0.5]  # half of both cells above
    tracks = (track_of(1, [half] * 4), track_of(2, [TOP] * 4, hidden=[False, True, False, False]), *TRACKS[2:])
    parts = (part(1, 0, 1), part(2, 0, 1), part(3, 1, 2))
    subject, sample = subject_of(np.zeros((4, 2, 2))), sample_of(*tracks, counterfactuals=parts)
    found = masses(volume_of(VALUES), subject, pairs_of(subject, sample))
    np.testing.assert_allclose(found, np.array([(2.5 + 1) / 2, 5 / 2, 7 / 2]) / 16)


def test_deletion_by_hand() -> None:
    """Mass ranks 4, 1, 2.5, 2.5, 5 against 5, 1, 3, 2, 4: covariance 8.5, variances 9.5 and 10."""
    score = deletion(VALUES, [2.0, 0.0, 1.0, 0.5, 1.5])
    assert (score.value, score.chance) == (pytest.approx(8.5 / np.sqrt(9.5 * 10)), 0)
    assert deletion(VALUES, [-2.0, 0.0, -1.0, -0.5, -1.5]).value == pytest.approx(-8.5 / np.sqrt(9.5 * 10))


def test_deletion_equals_scipy_on_random_numbers() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        values, change = rng.normal(size=(4, 2, 2)), rng.choice(np.arange(-8, 9), 5, replace=False)
        clipped = np.maximum(values, 0)
        mass = [clipped[:2, 0, 0].mean(), clipped[2:, 0, 0].mean(), clipped[:2, 0, 1].mean(), clipped[1, 1, 0] / 2,
                clipped[2:, 1, 0].mean()]  # fmt: skip
        assert deletion(values, change).value == pytest.approx(spearmanr(mass, change).statistic)


def test_what_hardly_differs_is_a_tie() -> None:
    exact = deletion(VALUES, [2.0, 0.0, 1.0, 1.0, 1.5])
    assert deletion(VALUES * (1 + 1e-7 * np.arange(16).reshape(4, 2, 2)), [2.0, 0.2, 1.1, 0.9, 1.6]) == exact
    assert deletion(VALUES, [2.0, 0.0, 1.3, 1.0, 1.5]) != exact
    assert deletion(VALUES, [20.0, 0.0, 10.9, 10.0, 15.0]) == exact  # a tenth of the largest
    assert deletion(VALUES, [20.0, 0.0, 11.5, 10.0, 15.0]) != exact
    assert "by 0.5 nats more" in deletion(VALUES, [0.2, 0.0, -0.2, 0.1, 0.1]).reason


def test_scaling_changes_nothing() -> None:
    change = [2.0, 0.0, 1.0, 0.5, 1.5]
    assert deletion(VALUES, change) == deletion(1024 * VALUES, change) == deletion(2.0**-20 * VALUES, change)


def test_pairs_that_cannot_be_seen_in_the_clip_are_left_out() -> None:
    """Track 3 is nowhere before 0.5 s; the clip has no frame in [0.1, 0.4); track 9 is not annotated."""
    unseen = (part(3, 0, 0.5), part(1, 0.1, 0.4), part(9, 0, 1), ONLY, REMOVED)
    subject, sample = falling([*range(5), *range(5)], (*PARTS, *unseen))
    assert pairs_of(subject, sample).videos == PARTS
    hidden = replace(sample, tracks=(*TRACKS[:2], track_of(3, [BOTTOM_LEFT] * 4, hidden=[True, True, False, False])))
    assert pairs_of(subject, hidden).videos == (*PARTS[:3], PARTS[4])


def test_undefined_deletion_says_why() -> None:
    change = [2.0, 0.0, 1.0, 0.5, 1.5]
    assert "no counterfactual video" in deletion(VALUES, [], ()).reason
    assert "2 pairs" in deletion(VALUES, [1, 2], PARTS[:2]).reason
    assert "no positive" in deletion(-np.abs(VALUES), change).reason
    elsewhere = np.zeros((4, 2, 2))
    elsewhere[:, 1, 1] = 1
    assert "on all pairs" in deletion(elsewhere, change).reason
    same = PARTS[:3]  # a map that is the same everywhere, on objects of the same size
    assert "on all pairs" in deletion(np.full((4, 2, 2), 0.3), [1, 2, 3], same).reason
    assert "by 0.5 nats more" in deletion(VALUES, [0.7] * 5).reason
    assert "not finite" in deletion(VALUES, [np.inf, 0, 1, 2, 3]).reason


def test_a_uniform_map_ranks_by_size() -> None:
    """Only half of the third object's first second is seen."""
    assert deletion(np.ones((4, 2, 2)), [1, 1, 1, 0, 1]).value == pytest.approx(1)


# --- target sensitivity -----------------------------------------------------------------------------------------------


def contrast(one: object, two: object, subject: Subject) -> Score:
    return TargetSensitivity().score(volume_of(one), volume_of(two), subject, sample_of(*TRACKS, counterfactuals=PARTS))


LOGITS = {PARTS[0]: [0.0, 2, 1], PARTS[1]: [3.0, 1, 2], PARTS[2]: [2.0, 2, 0], PARTS[3]: [3.0, -1, 2],
          PARTS[4]: [1.0, 0, 4]}  # fmt: skip


def log_odds(logits: object, option: int) -> float:
    row = np.asarray(logits, float)
    return float(row[option] - np.log(np.exp(np.delete(row, option)).sum()))


def test_sensitivity_is_spearman_of_the_differences() -> None:
    """Of the option chosen (0) and the strongest other (2), each against all others."""
    rng = np.random.default_rng(1)
    subject = answering(three([3.0, 1, 2]), LOGITS)
    assert subject.rival == 2
    change = [(log_odds([3, 1, 2], 0) - log_odds(row, 0)) - (log_odds([3, 1, 2], 2) - log_odds(row, 2))
              for row in LOGITS.values()]  # fmt: skip
    for _ in range(10):
        one, two = rng.normal(size=(2, 4, 2, 2))
        two *= 100  # each map is normalised by itself
        pairs = pairs_of(subject, sample_of(*TRACKS, counterfactuals=PARTS))
        mass = masses(volume_of(one), subject, pairs) - masses(volume_of(two), subject, pairs)
        score = contrast(one, two, subject)
        steps = np.round(np.array(change) / max(0.5, np.abs(change).max() / 10))
        assert score.value == pytest.approx(spearmanr(mass, steps).statistic)
        assert score.chance == 0
        assert contrast(two, one, subject).value == pytest.approx(-score.value)


def test_a_map_that_follows_the_answer_has_full_sensitivity() -> None:
    """Option 0 rests on pair 0 alone and option 2 on pair 4 alone, and so do their maps."""
    kept = {item: [3.0, 1, 2] for item in PARTS[1:4]}
    subject = answering(three([3.0, 1, 2]), {PARTS[0]: [0.0, 1, 2], **kept, PARTS[4]: [3.0, 1, 0]})
    first, last = np.zeros((2, 4, 2, 2))
    first[:2, 0, 0] = 1
    last[2:, 1, 0] = 1
    assert contrast(first, last, subject).value == pytest.approx(1)
    assert contrast(last, first, subject).value == pytest.approx(-1)


def test_a_map_that_does_not_change_has_none() -> None:
    subject = answering(three([3.0, 1, 2]), LOGITS)
    assert contrast(VALUES, VALUES, subject) == Score(0.0, 0.0)
    assert contrast(VALUES, 3 * VALUES, subject) == Score(0.0, 0.0)  # normalised, it is the same
    beside = VALUES.copy()
    beside[:, 1, 1] = [5, 5, 5, 5]  # only where no object is: less mass on each pair, so it ranks them
    assert contrast(VALUES, beside, subject).value != 0


def test_undefined_sensitivity_says_why() -> None:
    subject = answering(three([3.0, 1, 2]), LOGITS)
    assert "no positive" in contrast(VALUES, -np.abs(VALUES), subject).reason
    bare = TargetSensitivity().score(volume_of(VALUES), volume_of(VALUES), subject, sample_of(*TRACKS))
    assert "no counterfactual video" in bare.reason
    still = answering(three([3.0, 1, 2]), {item: [3.0, 1, 2] for item in PARTS})
    assert "by 0.5 nats more" in contrast(VALUES, VALUES, still).reason


@pytest.mark.parametrize("metric", [CounterfactualDeletion(), TargetSensitivity()], ids=str)
def test_contract(metric: CounterfactualDeletion | TargetSensitivity) -> None:
    check_metric(metric)


def test_a_volume_of_another_clip_is_refused() -> None:
    with pytest.raises(InputError, match="expected the clip's 4 frames"):
        deletion(np.ones((3, 2, 2)), range(5))
