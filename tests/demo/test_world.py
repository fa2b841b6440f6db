"""Scenes and question programs: one seed, one scene; and the evidence is exactly what the answer rests on."""

from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np
import pytest

from attrib.demo import labels, world
from attrib.demo.families import FAMILIES, Family, Item
from attrib.demo.world import EVENTS, FRAMES, SIZE, Scene, sample

SEEDS = range(100)


def necessary(scene: Scene, family: Family) -> list[Item]:
    return [item for item in family.evidence(scene) if item.role == "necessary"]


def test_same_seed_gives_the_same_scene_and_another_seed_another() -> None:
    for event in EVENTS:
        assert sample(5, event) == sample(5, event)
        assert sample(5, event).entities != sample(6, event).entities


def test_families_are_the_events() -> None:
    assert tuple(FAMILIES) == EVENTS


@pytest.mark.parametrize("name", EVENTS)
def test_without_the_evidence_the_answer_is_lost(name: str) -> None:
    family = FAMILIES[name]
    for scene in map(partial(sample, event=name), SEEDS):
        answer = family.answer(scene)
        assert answer is not None
        assert necessary(scene, family)
        for item in necessary(scene, family):  # each piece on its own
            assert family.answer(scene.without({item.track}, item.start, item.end)) != answer


@pytest.mark.parametrize("name", EVENTS)
def test_with_nothing_but_the_evidence_the_answer_stays(name: str) -> None:
    family = FAMILIES[name]
    for scene in map(partial(sample, event=name), SEEDS):
        assert family.answer(scene.only({item.track for item in necessary(scene, family)})) == family.answer(scene)


@pytest.mark.parametrize("name", EVENTS)
def test_nothing_else_matters(name: str) -> None:
    family = FAMILIES[name]
    for scene in map(partial(sample, event=name), SEEDS):
        evidence = {item.track: item for item in necessary(scene, family)}
        for entity in scene.entities:
            if entity.id not in evidence:
                assert family.answer(scene.without({entity.id})) == family.answer(scene)
        for item in evidence.values():  # nor what the evidence does at other times
            if name != "appear":  # there, all of its presence is the evidence
                for start, end in ((0, item.start), (item.end, FRAMES)):
                    assert family.answer(scene.without({item.track}, start, end)) == family.answer(scene)


@pytest.mark.parametrize("name", EVENTS)
def test_options_are_three_and_hold_the_answer_at_its_place(name: str) -> None:
    family = FAMILIES[name]
    for scene in map(partial(sample, event=name), SEEDS):
        for place in range(3):
            options = family.options(scene, np.random.default_rng(scene.seed), place)
            assert len(set(options)) == 3
            assert options[place] == family.answer(scene)
            if name != "cups":  # a wrong count cannot be seen; a wrong colour or shape is really there
                seen = {value for e in scene.entities for value in (e.colour, e.shape)}
                assert set(options) <= seen


def test_a_scene_without_a_single_answer_is_refused() -> None:
    scene = sample(0, "cups").only(())
    with pytest.raises(ValueError, match="no single answer"):
        FAMILIES["cups"].options(scene, np.random.default_rng(0), 0)


def test_answers_ids_places_and_times_are_spread() -> None:
    """No answer, id, place or time is much more common than it would be by chance."""
    for name in EVENTS:
        scenes = [sample(seed, name) for seed in range(600)]
        answers = Counter(FAMILIES[name].answer(scene) for scene in scenes)
        kinds = {"cups": 3, "cards": 6, "light": 6, "move": 8, "appear": 8}[name]
        assert len(answers) == kinds
        assert max(answers.values()) < 1.5 * 600 / kinds
        items = [necessary(scene, FAMILIES[name])[0] for scene in scenes]
        rows = Counter(
            int(scene.entities[item.track].centres[0][1] // 64) for scene, item in zip(scenes, items, strict=True)
        )
        assert min(rows[row] for row in range(4)) > 0.15 * 600
        if name != "cups":
            ids = Counter(item.track for item in items)
            assert len(ids) >= 7
            assert max(ids.values()) < 0.25 * 600
            assert len({item.start for item in items}) >= 3


def test_events_of_other_families_happen_to_other_objects() -> None:
    together = 0
    for seed in range(200):
        scene = sample(seed, "move")
        who = [FAMILIES[n].evidence(scene)[0].track for n in EVENTS[:3] if FAMILIES[n].answer(scene) is not None]
        assert len(set(who)) == len(who)
        together += len(who) == 3
    assert 30 < together < 70  # a quarter, by two fair coins


def test_events_are_seen_in_the_frames_that_the_model_reads() -> None:
    for name in EVENTS:
        for seed in range(100):
            scene = sample(seed, name)
            for item in necessary(scene, FAMILIES[name]):
                assert sum(item.start <= f < item.end for f in labels.READ_FRAMES) >= 2


def test_stars_surround_what_comes_and_goes_and_nothing_else() -> None:
    for seed in range(50):
        scene = sample(seed, "appear")
        (item,) = FAMILIES["appear"].evidence(scene)
        for entity in scene.entities:
            ends = {item.start, item.start + 1, item.end - 2, item.end - 1} if entity.id == item.track else set()
            assert {i for i in range(FRAMES) if entity.sparkling[i]} == ends


def test_all_stay_inside_the_frame_and_apart() -> None:
    for seed in range(200):
        scene = sample(seed, EVENTS[seed % 5])
        centres = np.array([e.centres for e in scene.entities])
        assert centres.min() >= 25
        assert centres.max() <= SIZE - 25
        gaps = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
        gaps += 1000 * np.eye(len(centres))[..., None]
        assert gaps.min() >= 40


def test_colours_and_shapes_of_objects_differ() -> None:
    for seed in range(100):
        objects = [e for e in sample(seed, "light").entities if e.kind == "object"]
        assert len(objects) == world.OBJECTS
        assert len({e.colour for e in objects}) == len({e.shape for e in objects}) == world.OBJECTS


def test_labels_name_the_thing_in_its_cell() -> None:
    scene = sample(3, "light")
    cells = labels.cells(scene, 6)
    assert (cells[..., 0] == ~cells[..., 1:].any(-1)).all()
    lit = FAMILIES["light"].evidence(scene)[0]
    entity = scene.entities[lit.track]
    column, row = (int(c * 6 / SIZE) for c in entity.centres[0])
    for i, frame in enumerate(labels.READ_FRAMES):
        names = {n for n, here in zip(labels.ATTRIBUTES, cells[i, row, column], strict=True) if here}
        expected = {"object", entity.shape, entity.colour} | ({"lit"} if lit.start <= frame < lit.end else set())
        assert names == expected
    things = sum(e.present[f] for e in scene.entities for f in labels.READ_FRAMES)
    assert (1 - cells[..., 0]).sum() == things  # no two in one cell
