"""The evidence is exactly what the answer rests on, for a sample of items; the command checks thousands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attrib.demo.evidence import BINS, edits, faults, needed
from attrib.demo.world import render
from attrib.demo.world.families import FAMILIES, Family, Item
from attrib.demo.world.scene import EVENTS, FRAMES, RATE, Scene
from attrib.demo.world.table import sample


@pytest.mark.parametrize("name", EVENTS)
def test_evidence_is_right_for_a_sample_of_items(name: str) -> None:
    assert [fault for seed in range(15) for fault in faults(sample(seed, name), FAMILIES[name])] == []


def claiming(family: Family, items: list[Item]) -> Family:
    """The family, with these items as the evidence of every scene."""
    return replace(family, evidence=lambda _: items)


def wrong(family: Family, change: str, scene: Scene) -> list[str]:
    """The faults that are found in evidence changed for the worse."""
    items = family.evidence(scene)
    other = next(e for e in scene.entities if e.kind == "object" and e.id not in {i.track for i in items})
    worse = {
        "another thing": [Item(other.id, 0, FRAMES)],
        "too much": [*items, Item(other.id, 0, FRAMES)],
        "too little": [item for item in items if item.role == "context"],
        "half of the time": [replace(items[0], start=(items[0].start + items[0].end) // 2), *items[1:]],
        "wrong time": [replace(items[0], start=FRAMES - 1, end=FRAMES), *items[1:]],
    }[change]
    return faults(scene, claiming(family, worse))


@pytest.mark.parametrize("change", ["another thing", "too much", "too little", "wrong time"])
@pytest.mark.parametrize("name", [name for name in EVENTS if name != "cups"])
def test_wrong_evidence_is_found(name: str, change: str) -> None:
    assert all(wrong(FAMILIES[name], change, sample(seed, name)) for seed in range(5))


@pytest.mark.parametrize("name", ["hit", "appear", "cards", "hide"])
def test_half_of_the_time_is_found_where_the_other_half_suffices(name: str) -> None:
    """It does for what is seen in a single frame; one of the two steps of a slide is not enough to tell its course."""
    assert all(wrong(FAMILIES[name], "half of the time", sample(seed, name)) for seed in range(5))


def test_a_cup_that_is_left_out_is_found() -> None:
    scene, family = sample(0, "cups"), FAMILIES["cups"]
    items = family.evidence(scene)
    assert {item.track for item in items} == {e.id for e in scene.entities if e.kind == "cup"}
    assert faults(scene, claiming(family, items[1:]))


def test_one_hit_has_two_necessary_things_and_cards_have_context() -> None:
    scene = sample(0, "hit")
    assert len(needed(scene, FAMILIES["hit"])) == 2
    for name in ("first", "cards"):
        roles = [item.role for item in FAMILIES[name].evidence(sample(0, name))]
        assert roles == ["necessary", "context", "context"]


def test_mat_and_cup_in_the_end_and_cup_and_ball_in_the_beginning_are_each_needed() -> None:
    """The ball disappears in frame 3 or 4, and the cups rest in the last three frames at least."""
    family = FAMILIES["hide"]
    for seed in range(12):
        scene = sample(seed, "hide")
        mat, cup, same_cup, ball = family.evidence(scene)
        by_id = {e.id: e for e in scene.entities}
        assert [by_id[item.track].kind for item in (mat, cup, ball)] == ["mat", "cup", "ball"]
        assert cup.track == same_cup.track
        assert mat.start == cup.start <= FRAMES - 3
        assert mat.end == cup.end == FRAMES
        assert same_cup.start == ball.start == 0
        assert same_cup.end == ball.end in (3, 4)
        for item in (mat, cup, same_cup, ball):
            assert item.role == "necessary"
            assert family.answer(scene.without({item.track}, item.start, item.end)) is None
        kept = scene.only({mat.track, cup.track, ball.track}).without({mat.track}, 0, mat.start)
        assert family.answer(kept.without({cup.track, ball.track}, ball.end, cup.start)) == family.answer(scene)
        for left_out in (mat, same_cup, ball):
            rest = [item for item in (mat, cup, same_cup, ball) if item is not left_out]
            assert faults(scene, claiming(family, rest))


@pytest.mark.parametrize("name", EVENTS)
def test_edits_take_away_each_thing_in_each_second_in_which_it_is_seen(name: str) -> None:
    scene, family = sample(4, name), FAMILIES[name]
    made = {edit.name: edit for edit in edits(scene, family)}
    assert len(made) == len(list(edits(scene, family)))
    assert family.answer(made["removed"].scene) != family.answer(scene)
    assert family.answer(made["only"].scene) == family.answer(scene)
    parts = {(edit.track, edit.start, edit.end) for edit in made.values() if edit.kind == "part"}
    assert parts == {(e.id, *span) for e in scene.entities for span in BINS if any(scene.seen(e)[slice(*span)])}
    for edit in made.values():
        if edit.kind == "part":
            left = [e for e in edit.scene.entities if e.id == edit.track]
            assert not any(any(e.present[edit.start : edit.end]) for e in left)
            assert edit.seconds() == {
                "kind": "part", "track": edit.track, "start": edit.start / RATE, "end": edit.end / RATE,
            }  # fmt: skip


@pytest.mark.parametrize("name", EVENTS)
def test_an_edited_video_is_what_drawing_it_anew_gives(name: str) -> None:
    scene = sample(9, name)
    frames = render.frames(scene)
    for edit in list(edits(scene, FAMILIES[name]))[::5]:
        assert (render.edited(frames, scene, edit.scene) == render.frames(edit.scene)).all()


def test_nothing_taken_away_changes_nothing() -> None:
    scene = sample(9, "hit")
    frames = render.frames(scene)
    same = render.edited(frames, scene, scene.without(()))
    assert np.array_equal(same, frames)
    assert same is not frames
