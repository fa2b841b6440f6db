"""Floors: what each is a map of, its scores by hand, and the paired differences."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from torch import Tensor

from attrib.benchmarks.checks.floors import NoVolume, conditions, differences, floor_rows, grey, map_of
from attrib.benchmarks.metrics.objects.mass import Mass
from attrib.benchmarks.stats.resampling import Resampling
from attrib.config import Entry
from attrib.method import Method
from attrib.methods.uniform import Uniform
from attrib.metric import Metric, Score
from attrib.subject import Subject, Target
from attrib.types import Question, SaliencyVolume, Sample

from linear import QUESTION, blank, sample_of, subject_of, track_of, volume_of

LEFT = [0.0, 0.0, 0.5, 0.5]
SAMPLE = sample_of(track_of(1, [LEFT, LEFT]))
MASS = Entry("mass", "mass", Mass())
OTHER = Question("Which one?", ("one", "two", "three")[:2])


@dataclass(frozen=True)
class Red(Method):
    """The mean red of each cell."""

    def values(self, subject: Subject) -> Tensor:
        return subject.grid.to_volume(subject.model.encode(subject.pixels[None])[0, :, 0])


@dataclass(frozen=True)
class Breaks(Method):
    """Never works."""

    def values(self, subject: Subject) -> Tensor:
        raise RuntimeError("cannot")


def bright() -> Subject:
    """Answers no (option 1), since its one cell of weight is bright red there; option 0 is explained."""
    weights, red = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    weights[0, 0, 0], red[0, 0, 0] = -10, 255
    subject = subject_of(weights, red, bias=6)
    return replace(subject, sample=SAMPLE, peers=(SAMPLE,))


def subject_in(found: object) -> Subject:
    assert isinstance(found, Subject)
    return found


def test_a_blank_video_is_mid_grey_at_the_same_times_with_the_same_option_explained() -> None:
    subject = bright().aimed(Target())
    assert subject.option == 1
    found = subject_in(conditions(subject, OTHER)["blank"])
    assert (found.clip.frames == 128).all() and found.clip.frames.shape == subject.clip.frames.shape
    assert np.array_equal(found.clip.times, subject.clip.times) and found.clip.end == subject.clip.end
    assert found.predicted == 0 and found.option == 1  # f = 6 - 10 * 128 / 255
    assert found.question == QUESTION and found.sample is SAMPLE and found.peers == (SAMPLE,)
    assert (subject.clip.frames != 128).any()
    assert grey(subject.clip).frames.dtype == np.uint8


def test_another_question_is_of_the_same_video_and_explains_the_answer_to_it() -> None:
    subject = bright()
    asked = subject_in(conditions(subject, OTHER)["other_question"])
    assert asked.question == OTHER and asked.option == asked.predicted == 1 and asked.clip is subject.clip
    assert conditions(subject, None)["other_question"] == "no sample asks a question of other options"


def test_a_map_is_the_method_s_or_the_reason_why_there_is_none() -> None:
    subject = bright()
    found = map_of(Red(), "red", subject)
    assert isinstance(found, SaliencyVolume) and found.provenance.method == "red"
    assert found.values[0].tolist() == [[1, 0], [0, 0]]
    assert map_of(Breaks(), "breaks", subject).error.startswith("RuntimeError: cannot")  # type: ignore[union-attr]
    assert map_of(Red(), "red", "no such video") == NoVolume(reason="no such video")


def test_each_floor_is_scored_on_this_sample_s_annotation_and_held_against_the_real_map() -> None:
    real = volume_of([[[4, 3], [2, 1]], [[8, 7], [6, 5]]])
    other = replace(volume_of([[[2, 1], [4, 3]], [[6, 5], [8, 7]]]), times=np.array([1.0, 9.0]))
    rows = list(
        floor_rows(real, {"swapped_video": other, "blank": NoVolume("nothing to see")}, blank(), SAMPLE, [MASS])
    )
    assert [(row.floor, row.metric, row.reason) for row in rows] == [
        ("swapped_video", "mass", ""), ("swapped_video", "similarity", ""),
        ("blank", "mass", "nothing to see"), ("blank", "similarity", "nothing to see"),
    ]  # fmt: skip
    assert rows[0].value == pytest.approx(8 / 36)
    assert rows[1].value == pytest.approx(1 - 6 * 8 * 4 / (8 * 63))
    assert [row.value for row in rows[2:]] == [None, None]


def test_a_floor_that_ranks_nothing_has_no_value() -> None:
    real, flat = volume_of(np.arange(8.0).reshape(2, 2, 2)), Uniform().attribute(blank())
    rows = list(floor_rows(real, {"blank": flat}, blank(), SAMPLE, [MASS]))
    assert [(row.value, row.reason) for row in rows] == [(None, "the saliency is the same everywhere")] * 2


@dataclass(frozen=True)
class Distance(Metric):
    """Lower is better."""

    direction = "low"

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        return Score(0.0)


def table_of(values: dict[str, float | None], **named: str) -> pd.DataFrame:
    rows = [{"sample": f"{video}_0", "video": video, "method": "m", **named, "value": v} for video, v in values.items()]
    return pd.DataFrame(rows).astype({"value": "float64"})


@pytest.mark.parametrize(("metric", "sign"), [(MASS, 1), (Entry("mass", "d", Distance()), -1)])
def test_differences_are_paired_by_sample_and_above_zero_where_the_map_is_better(metric: Entry, sign: int) -> None:
    real = table_of({"a": 0.9, "b": 0.5, "c": 0.8, "d": None, "e": 0.1}, metric="mass")
    floors = table_of({"c": 0.3, "a": 0.3, "b": 0.4, "d": 0.2}, metric="mass", floor="blank")
    strange = table_of({"a": 0.9}, metric="similarity", floor="blank")
    found = differences(pd.concat([floors, strange]), real, [metric], Resampling(500))
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["method"], row["metric"], row["floor"], row["videos"], row["undefined"]) == ("m", "mass", "blank", 3, 1)
    assert row["difference"] == pytest.approx(sign * (0.6 + 0.1 + 0.5) / 3)
    low, high = sorted([sign * 0.1, sign * 0.6])
    assert low - 1e-9 <= row["low"] < row["difference"] < row["high"] <= high + 1e-9
    assert row["real"] == pytest.approx(2.2 / 3)
