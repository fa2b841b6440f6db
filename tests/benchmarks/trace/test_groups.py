"""Groups of positions, corrupt videos and edges on the toy clip, whose cells are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attrib import video
from attrib.benchmarks.trace.against import Against
from attrib.benchmarks.trace.edges import EVERY, edges, windows
from attrib.benchmarks.trace.groups import DRAWS, Groups, shown_tokens
from attrib.capabilities import Places
from attrib.errors import InputError, UnknownName
from attrib.subject import Subject
from attrib.testing import toy_counterfactuals, toy_subject
from attrib.types import Evidence, Sample

Arguments = tuple[object, ...]


def sample_of(subject: Subject) -> Sample:
    assert subject.sample is not None
    return subject.sample


def places_of(subject: Subject) -> Places:
    """Five positions of a prompt, the visual tokens, three of a question and the last."""
    count = subject.grid.tokens
    return Places(tuple(range(5, 5 + count)), (*range(5), *range(5 + count, 8 + count)), (8 + count,))


def cell(subject: Subject, frame: int, row: int, column: int) -> int:
    grid = subject.grid
    return (frame // grid.frames_per_step * grid.rows + row) * grid.columns + column


def test_each_visual_token_is_in_one_group() -> None:
    """The red cell is evidence from 1.0 to 1.5 s, in frame 2; the track is there at all times."""
    subject = toy_subject()
    shown = {name: set(np.flatnonzero(mask)) for name, mask in shown_tokens(subject, sample_of(subject)).items()}
    frames = range(len(subject.clip))
    red, blue = ({cell(subject, frame, *at) for frame in frames} for at in ((1, 2), (0, 0)))
    assert shown["evidence"] == {cell(subject, 2, 1, 2)}
    assert shown["same_object"] == red - shown["evidence"]
    assert shown["other_objects"] == blue
    assert shown["background"] == set(range(subject.grid.tokens)) - red - blue


def test_nothing_is_shown_after_the_cut() -> None:
    subject = toy_subject()
    shown = shown_tokens(subject, replace(sample_of(subject), cut=0.4))
    assert not shown["evidence"].any() and shown["other_objects"].sum() == 1


def test_groups_are_positions_in_the_sequence() -> None:
    subject = toy_subject(seed=3)
    places = places_of(subject)
    groups = Groups.of(subject, places)
    assert groups.named["evidence"] == (5 + cell(subject, 2, 1, 2),)
    assert (groups.named["text"], groups.named["last"]) == (places.text, places.last)
    assert sorted(place for name in groups.named.values() for place in name) == list(range(places.last[0] + 1))
    assert [place for step in groups.steps for place in step] == list(places.visual)
    assert groups.start == 2 // subject.grid.frames_per_step
    assert len(groups.random) == DRAWS
    assert all(len(drawn) == 1 and drawn != groups.named["evidence"] for drawn in groups.random)
    assert groups == Groups.of(subject, places) != Groups.of(replace(subject, seed=4), places)


def test_without_evidence_the_video_is_one_group() -> None:
    subject = toy_subject()
    places = places_of(subject)
    for sample in (
        None,
        replace(sample_of(subject), evidence=()),
        replace(sample_of(subject), evidence=(Evidence(9),)),
    ):
        groups = Groups.of(replace(subject, sample=sample), places)
        assert dict(groups.named) == {"video": places.visual, "text": places.text, "last": places.last}
        assert (groups.random, groups.start) == ((), None)


def test_edges_go_from_what_is_read_to_the_rows_that_read() -> None:
    subject = toy_subject()
    places = places_of(subject)
    groups = Groups.of(subject, places)
    cut = edges(groups, places)
    assert cut["video_text"] == ((places.text, places.visual),)
    assert cut["text_last"] == ((places.last, places.text),)
    assert cut["evidence_last"] == ((places.last, groups.named["evidence"]),)
    for step, (rows, read) in zip(groups.steps, cut["frame_frame"], strict=True):
        assert rows == step and set(read) == set(places.visual) - set(step)
    assert "frame_frame" not in edges(replace(groups, steps=(places.visual,)), places)
    assert not [name for name in edges(replace(groups, named={}), places) if "evidence" in name]


def test_windows_are_a_fifth_of_the_layers() -> None:
    assert windows(4) == {0: range(1), 1: range(1, 2), 2: range(2, 3), 3: range(3, 4), EVERY: range(4)}
    found = windows(16)  # 3 layers
    assert (found[0], found[7], found[15]) == (range(2), range(6, 9), range(14, 16))
    assert (len(windows(10)[5]), len(windows(28)[14]), len(windows(32)[14])) == (2, 5, 6)


def test_the_corrupt_video_is_the_best_that_the_sample_allows(tmp_path: Path) -> None:
    sample = sample_of(toy_subject())
    drawn = replace(sample, counterfactuals=toy_counterfactuals(tmp_path))
    kinds = [str(Against().of(each)) for each in (drawn, sample, replace(sample, evidence=()))]
    assert kinds == ["removed", "object", "blank"]
    assert Against.parse("blank").of(drawn) == Against("blank")


def test_the_removed_video_is_read_at_the_clips_times(tmp_path: Path) -> None:
    subject = toy_subject()
    sample = replace(sample_of(subject), counterfactuals=toy_counterfactuals(tmp_path))
    pixels = Against("removed").pixels(subject, sample)
    changed = (pixels - subject.pixels).abs().amax(dim=1) > 0.4  # compression blurs the colours
    assert torch.equal(changed.any(dim=(1, 2)), torch.arange(len(pixels)) == 2)
    assert Against("removed").file(sample) == tmp_path / "removed.mp4"


def test_the_objects_cells_are_filled_in_all_frames() -> None:
    """By the median over time, which is grey: the red cell is red in one frame of several."""
    subject = toy_subject()
    pixels = Against("object").pixels(subject, sample_of(subject))
    changed = (pixels - subject.pixels).abs().amax(dim=1) > 1e-6
    assert torch.equal(changed.any(dim=(1, 2)), torch.arange(len(pixels)) == 2)
    filled = Against("object", "mean").pixels(subject, sample_of(subject))
    assert ((filled - subject.pixels).abs().amax(dim=(1, 2, 3)) > 0).all()


def test_blank_is_the_mean_colour() -> None:
    subject = toy_subject()
    pixels = Against("blank").pixels(subject, sample_of(subject))
    assert pixels.shape == subject.pixels.shape and pixels[:, 1].unique().numel() == 1
    assert float(pixels[0, 1, 0, 0]) == pytest.approx(float(subject.pixels[:, 1].mean()))


def test_another_video_has_to_have_the_clips_shape(tmp_path: Path) -> None:
    subject = toy_subject()
    frames = subject.clip.frames[:, ::-1].copy()
    for name, shown in (("same", frames), ("short", frames[:2])):
        video.write(tmp_path / f"{name}.mp4", shown, subject.clip.times[: len(shown)], len(shown) / 2)
    pixels = Against("frames", str(tmp_path / "same.mp4")).pixels(subject, sample_of(subject))
    assert float((pixels - subject.pixels.flip(2)).abs().mean()) < 0.05
    with pytest.raises(InputError, match=r"expected 4 frames that the model sees as .* got 2 of "):
        Against("frames", str(tmp_path / "short.mp4")).pixels(subject, sample_of(subject))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("remove", "unknown kind 'remove'; did you mean 'removed'?"),
        ("", "unknown kind ''; choose one of: blank, frames, object, removed"),
        ("frames", "expected removed, object, object:IMPUTER, blank or frames:VIDEO"),
        ("blank:mean", "expected removed, object, object:IMPUTER, blank or frames:VIDEO"),
        ("removed:x", "expected removed, object, object:IMPUTER, blank or frames:VIDEO"),
        ("object:", "expected removed, object, object:IMPUTER, blank or frames:VIDEO"),
        ("frames:no.mp4", "no.mp4"),
        ("object:meen", "did you mean 'mean'?"),
        ("object:token", "expected an imputer of pixels; token drops tokens"),
    ],
)
def test_a_wrong_corrupt_video_is_refused(text: str, words: str) -> None:
    with pytest.raises((InputError, UnknownName)) as told:
        Against.parse(text)
    assert words in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(("kind", "words"), [("removed", "no video without the evidence"), ("object", "no box of")])
def test_a_sample_without_what_is_asked_for_is_refused(kind: str, words: str) -> None:
    subject = toy_subject()
    with pytest.raises(InputError, match=words):
        Against(kind).pixels(subject, replace(sample_of(subject), evidence=()))
