"""Null scores by hand: maps that are one cell, annotations that are one box, two frames of two by two cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from attrib.benchmarks.checks.nulls import alignment, pairing_rows, primary, shift_rows, unpaired_rows
from attrib.benchmarks.metrics.counterfactual import CounterfactualDeletion, TargetSensitivity
from attrib.benchmarks.metrics.faithfulness import SRG
from attrib.benchmarks.metrics.objects.mass import Mass
from attrib.benchmarks.metrics.objects.object_auc import ObjectAUC
from attrib.benchmarks.metrics.segments.segments import SegmentEnergy
from attrib.config import Entry
from attrib.metric import Metric, Score
from attrib.subject import Subject
from attrib.types import Clip, SaliencyVolume, Sample, Segment
from attrib.types.need import Need

from linear import blank, sample_of, track_of, volume_of

LEFT, RIGHT = [0.0, 0.0, 0.5, 0.5], [0.5, 0.0, 1.0, 0.5]  # the cells of the upper row
MASS, ENERGY = Entry("mass", "mass", Mass()), Entry("energy", "segment_energy", SegmentEnergy())


def named(name: str, boxes: list[list[float]], **changes: Any) -> Sample:
    return replace(sample_of(track_of(1, boxes)), id=name, video=Path(f"video {name}.mp4"), **changes)


def slower(subject: Subject, factor: float) -> Subject:
    """The same frames at other times."""
    clip = subject.clip
    return replace(subject, clip=Clip(clip.frames, clip.times * factor, clip.end * factor))


def frames_of(masses: list[float]) -> SaliencyVolume:
    return volume_of([[[mass / 2, 0], [0, mass / 2]] for mass in masses])


def test_maps_are_scored_on_the_annotation_of_the_other_video() -> None:
    own = named("own", [LEFT, RIGHT])
    first, second = named("first", [LEFT, LEFT]), named("second", [RIGHT, RIGHT])
    one = volume_of([[[1, 0], [0, 0]], [[0, 3], [0, 0]]])  # all of it on `own`'s evidence
    two = volume_of([[[0, 1], [0, 0]], [[0, 0], [0, 1]]])
    rows = list(pairing_rows(blank(), own, [(first, {"m": one, "n": two}), (second, {"m": two})], [MASS]))
    assert [(row.sample, row.video, row.partner, row.null, row.method, row.metric, row.value) for row in rows] == [
        ("first", "video first", "own", "pairing", "m", "mass", 1.0),
        ("first", "video first", "own", "pairing", "n", "mass", 0.0),
        ("second", "video second", "own", "pairing", "m", "mass", 0.0),
    ]
    swapped = list(pairing_rows(blank(), first, [(own, {"m": one})], [MASS]))
    assert [(row.sample, row.partner, row.value) for row in swapped] == [("own", "first", 0.25)]


def test_frames_of_clips_of_other_lengths_in_seconds_stand_on_each_other() -> None:
    own = named("own", [LEFT, RIGHT])
    stretched = replace(own, tracks=(replace(own.tracks[0], times=own.tracks[0].times * 7),))
    one = volume_of([[[1, 0], [0, 0]], [[0, 3], [0, 1]]])
    (row,) = pairing_rows(slower(blank(), 7), stretched, [(named("first", [LEFT, LEFT]), {"m": one})], [MASS])
    assert row.value == pytest.approx(0.8)


def test_what_has_no_value_says_why() -> None:
    own = named("own", [LEFT, RIGHT])
    other = named("first", [LEFT, LEFT])
    (row,) = pairing_rows(blank(), own, [(other, {"m": volume_of(np.zeros((2, 2, 2)))})], [MASS])
    assert row.value is None and row.reason == "no positive saliency in the cells that are scored"
    alone = list(unpaired_rows(own, 2, ["m", "n"], [MASS]))
    assert [(row.method, row.value, row.partner, row.null) for row in alone] == [
        ("m", None, "", "pairing"), ("n", None, "", "pairing"),
    ]  # fmt: skip
    assert alone[0].reason == "expected 3 videos of this task with as many frames, found 2"
    assert (alone[0].task, alone[0].video) == ("t", "video own")


def acting(start: float, end: float, cut: float | None = None) -> Sample:
    box = track_of(1, [LEFT] * 4)
    return sample_of(box, segments=(Segment("action", "acts", start, end, parents=(1,)),), cut=cut)


def test_a_map_is_turned_in_time_by_every_number_of_frames_but_none() -> None:
    sample = acting(0.5, 1.5)  # frames 1 and 2 of four
    rows = list(shift_rows(blank(4), sample, {"m": frames_of([1, 2, 3, 10])}, [MASS, ENERGY]))
    assert [(row.partner, row.null, row.metric) for row in rows] == [
        (str(shift), "shift", "energy") for shift in (1, 2, 3)
    ]
    assert [row.value for row in rows] == pytest.approx([3 / 16, 11 / 16, 13 / 16])


def test_only_the_frames_before_the_cut_are_turned() -> None:
    sample = acting(0.5, 1.5, cut=1.5)  # the last frame, of 10, is not scored
    volume = frames_of([1, 2, 4, 10])
    rows = list(shift_rows(blank(4), sample, {"m": volume}, [ENERGY]))
    assert [row.value for row in rows] == pytest.approx([3 / 7, 5 / 7])
    assert volume.values[:, 0, 0].tolist() == [0.5, 1, 2, 5]


@dataclass(frozen=True)
class Sees(Metric):
    """Metric of a plug-in that needs tracks."""

    needs: ClassVar[frozenset[Need]] = frozenset({"tracks"})

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        return Score(0.0)


def test_metrics_that_ask_the_model_are_no_alignment_and_few_are_primary() -> None:
    items = [SRG(), Mass(), ObjectAUC(), CounterfactualDeletion(), TargetSensitivity(), Sees()]
    names = ["srg", "mass", "object_auc", "counterfactual_deletion", "target_sensitivity", "sees"]
    entries = [Entry(f"{name}'s label", name, item) for name, item in zip(names, items, strict=True)]
    assert [entry.name for entry in alignment(entries)] == ["mass", "object_auc", "sees"]
    assert [entry.name for entry in primary(entries)] == ["object_auc"]
