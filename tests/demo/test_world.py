"""Scenes and question programs: one seed, one scene; nothing but the evidence gives an answer away."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from attrib.demo.evidence import needed
from attrib.demo.training import labels
from attrib.demo.world.families import AUXILIARY, FAMILIES, impacts
from attrib.demo.world.scene import (
    COLOURS,
    EVENTS,
    FRAMES,
    OBJECTS,
    PITCH,
    SHAPES,
    SIZE,
    Entity,
    Impact,
    Scene,
)
from attrib.demo.world.table import CONTACT, HEAD_START, sample

SEEDS = range(100)
OPTIONS = {"move": 8, "first": 8, "hit": 6, "appear": 8, "cards": 6, "cups": 3}


def thing(number: int, *centres: tuple[float, float], radius: int = 24, kind: str = "object") -> Entity:
    """Something that is always there; the last place holds to the end."""
    path = (*centres, *[centres[-1]] * (FRAMES - len(centres)))
    colour, shape = list(COLOURS)[number], SHAPES[number]
    return Entity(number, kind, shape, colour, radius, path, (True,) * FRAMES)  # type: ignore[arg-type]


def test_same_seed_gives_the_same_scene_and_another_seed_another() -> None:
    for event in EVENTS:
        assert sample(5, event) == sample(5, event)
        assert sample(5, event).entities != sample(6, event).entities


def test_families_are_the_events() -> None:
    assert tuple(FAMILIES) == EVENTS


@pytest.mark.parametrize("name", EVENTS)
def test_options_are_three_and_hold_the_answer_at_its_place(name: str) -> None:
    family = FAMILIES[name]
    for scene in map(partial(sample, event=name), SEEDS):
        for place in range(3):
            options = family.options(scene, np.random.default_rng(scene.seed), place)
            assert len(set(options)) == 3
            assert options[place] == family.answer(scene)
            if name != "cups":  # a wrong count cannot be seen; a wrong colour or shape is really there
                seen = {value for e in scene.entities if any(scene.seen(e)) for value in (e.colour, e.shape)}
                assert set(options) <= seen


def test_whatever_else_takes_part_stands_among_the_options() -> None:
    for seed in SEEDS:
        scene = sample(seed, "first")
        movers = {e.colour for e in scene.entities if any(map(e.moving, range(FRAMES)))}
        assert len(movers) == 2
        assert movers <= set(FAMILIES["first"].options(scene, np.random.default_rng(seed), 0))
        scene = sample(seed, "hit")
        by_id = {e.id: e.shape for e in scene.entities}
        (hit,) = scene.impacts
        assert {by_id[hit.hitter], by_id[hit.struck]} <= set(
            FAMILIES["hit"].options(scene, np.random.default_rng(0), 1)
        )


def test_a_scene_without_a_single_answer_is_refused() -> None:
    scene = sample(0, "cups").only(())
    with pytest.raises(ValueError, match="a unique answer"):
        FAMILIES["cups"].options(scene, np.random.default_rng(0), 0)


def test_answers_ids_places_and_times_are_spread() -> None:
    """No answer, id, place or time is much more common than it would be by chance."""
    for name in EVENTS:
        scenes = [sample(seed, name) for seed in range(600)]
        answers = Counter(FAMILIES[name].answer(scene) for scene in scenes)
        assert len(answers) == OPTIONS[name]
        assert max(answers.values()) < 1.5 * 600 / OPTIONS[name]
        items = [needed(scene, FAMILIES[name])[0] for scene in scenes]
        for axis in (0, 1):
            at = [
                scene.entities[item.track].centres[0][axis] // PITCH for scene, item in zip(scenes, items, strict=True)
            ]
            assert min(Counter(at)[line] for line in range(4)) > 0.12 * 600
        if name != "cups":
            ids = Counter(item.track for item in items)
            assert len(ids) >= 7
            assert max(ids.values()) < 0.25 * 600
            assert len({item.start for item in items}) >= 3


def test_each_count_of_cups_comes_once_in_every_three_scenes_of_the_family() -> None:
    for block in range(20):
        seeds = [(3 * block + i) * len(EVENTS) + EVENTS.index("cups") for i in range(3)]
        assert {FAMILIES["cups"].answer(sample(seed, "cups")) for seed in seeds} == {"2", "3", "4"}


def test_radius_and_speed_do_not_tell_the_mover() -> None:
    """Distractors have the same sizes; what moves in other families moves at the same speed."""
    speeds: dict[str, list[float]] = {"move": [], "first": [], "hit": []}
    mover: list[int] = []
    rest: list[int] = []
    for name, found in speeds.items():
        for seed in range(200):
            scene = sample(seed, name)
            for e in scene.entities:
                steps = np.linalg.norm(np.diff(np.array(e.centres), axis=0), axis=1)
                if steps.any():
                    found.append(float(steps[steps > 0].mean()))
                if e.kind == "object":
                    (mover if steps.any() else rest).append(e.radius)
    assert abs(np.mean(mover) - np.mean(rest)) < 0.2
    assert all(13 < np.mean(found) < 24 for found in speeds.values())


def test_what_takes_part_in_no_event_shakes() -> None:
    for seed in range(60):
        scene = sample(seed, EVENTS[seed % len(EVENTS)])
        busy = {i for impact in scene.impacts for i in (impact.hitter, impact.struck)}
        for e in scene.entities:
            shaken = [i for i in range(FRAMES) if e.wobble[i]]
            moves = any(map(e.moving, range(FRAMES)))
            idle = e.id not in busy and not moves and all(e.present) and e.kind in ("object", "cup")
            assert (6 <= len(shaken) <= 10) if idle else not shaken
            assert not idle or max(shaken) - min(shaken) + 1 == len(shaken)


def test_events_are_seen_in_the_frames_that_the_model_reads() -> None:
    for name in EVENTS:
        for seed in range(100):
            scene = sample(seed, name)
            for item in needed(scene, FAMILIES[name]):
                assert sum(item.start <= f < item.end for f in labels.READ_FRAMES) >= 2


def test_stars_surround_what_comes_and_goes_and_nothing_else() -> None:
    for seed in range(50):
        scene = sample(seed, "appear")
        (item,) = FAMILIES["appear"].evidence(scene)
        for entity in scene.entities:
            ends = {item.start, item.start + 1, item.end - 2, item.end - 1} if entity.id == item.track else set()
            assert {i for i in range(FRAMES) if entity.sparkling[i]} == ends


def test_the_first_mover_has_a_head_start_and_a_tie_has_no_answer() -> None:
    near, far = [(32.0, 32.0)] * 3, [(32.0, 160.0)]
    first = thing(0, *near, *[(32.0 + 16 * i, 32.0) for i in range(1, 8)])
    late = thing(1, *far * (3 + HEAD_START), *[(32.0 + 16 * i, 160.0) for i in range(1, 8)])
    soon = thing(1, *far * (2 + HEAD_START), *[(32.0 + 16 * i, 160.0) for i in range(1, 8)])
    assert FAMILIES["first"].answer(Scene(0, (first, late))) == first.colour
    assert FAMILIES["first"].answer(Scene(0, (first, soon))) is None
    assert FAMILIES["first"].answer(Scene(0, (late,))) == late.colour
    assert FAMILIES["move"].answer(Scene(0, (first, late))) is None


def test_an_impact_needs_both_and_is_seen_unless_a_screen_hides_it() -> None:
    hitter = thing(0, (32.0, 32.0), (64.0, 32.0), (96.0, 32.0), (114.0, 32.0))
    struck = thing(1, (160.0, 32.0))
    impact = Impact(0, 1, 3, 7)
    scene = Scene(0, (hitter, struck), (impact,))
    assert [scene.struck(struck, i) for i in range(FRAMES)] == [3 <= i < 7 for i in range(FRAMES)]
    assert FAMILIES["hit"].answer(scene) == struck.shape
    assert impacts(scene.without({0})) == impacts(scene.without({1})) == []
    assert impacts(scene.without({0}, 3, 4)) == []  # it never comes to touch
    assert impacts(scene.without({0}, 5)) == [(impact, True)]
    screen = replace(thing(2, (160.0, 32.0), kind="screen"), shape="screen")
    covered = Scene(0, (hitter, struck, screen), (impact,))
    assert covered.hidden(struck, 0)
    assert not covered.hidden(hitter, 3)
    assert impacts(covered) == [(impact, False)]
    assert FAMILIES["hit"].answer(covered) is None
    assert FAMILIES["hit"].answer(covered.without({2})) == struck.shape


def test_things_touch_at_an_impact_that_is_seen_and_some_impacts_are_not() -> None:
    hidden = 0
    for seed in range(200):
        scene = sample(seed, EVENTS[seed % len(EVENTS)])
        by_id = {e.id: e for e in scene.entities}
        for impact, visible in impacts(scene):
            gap = np.subtract(by_id[impact.hitter].at(impact.start), by_id[impact.struck].at(impact.start))
            assert np.linalg.norm(gap) == pytest.approx(CONTACT if visible else 0, abs=1.5)
            hidden += not visible
    assert hidden > 10


def test_all_stay_inside_the_frame_and_apart() -> None:
    for seed in range(200):
        scene = sample(seed, EVENTS[seed % len(EVENTS)])
        visible = [e for e in scene.entities if any(scene.seen(e)) and e.kind != "screen"]
        for frame in range(FRAMES):
            centres = np.array([e.at(frame) for e in visible if not scene.hidden(e, frame)])
            assert centres.min() >= 22
            assert centres.max() <= SIZE - 22
            gaps = np.linalg.norm(centres[:, None] - centres[None], axis=-1) + 1000 * np.eye(len(centres))
            assert gaps.min() >= 40


def test_colours_and_shapes_of_objects_differ() -> None:
    for seed in range(100):
        scene = sample(seed, "hit")
        objects = [e for e in scene.entities if e.kind == "object" and any(scene.seen(e))]
        assert len(objects) == OBJECTS
        assert len({e.colour for e in objects}) == len({e.shape for e in objects}) == OBJECTS


def test_labels_name_the_thing_in_its_cell() -> None:
    for seed in range(30):
        scene = sample(seed, "hit")
        cells = labels.cells(scene, 6)
        assert (cells[..., 0] == ~cells[..., 1:].any(-1)).all()
        hit = FAMILIES["hit"].evidence(scene)[0]
        entity = scene.entities[hit.track]
        column, row = (int(c * 6 / SIZE) for c in entity.centres[0])
        for i, frame in enumerate(labels.READ_FRAMES):
            names = {n for n, here in zip(labels.ATTRIBUTES, cells[i, row, column], strict=True) if here}
            expected = {"object", entity.shape, entity.colour}
            assert names == expected | ({"struck"} if hit.start <= frame < hit.end else set())
        things = sum(e.present[f] for e in scene.entities for f in labels.READ_FRAMES)
        assert (1 - cells[..., 0]).sum() == things  # no two in one cell


def test_what_a_screen_hides_has_no_label() -> None:
    scene = next(s for s in (sample(i, "move") for i in range(100)) if any(e.kind == "screen" for e in s.entities))
    cells = labels.cells(scene, 6)
    shown = sum(
        e.present[f] and not scene.hidden(e, f) and e.kind != "screen"
        for e in scene.entities
        for f in labels.READ_FRAMES
    )
    assert shown - 2 <= (1 - cells[..., 0]).sum() <= shown  # the mover's last step may be half behind it


def test_auxiliary_questions_ask_for_the_other_attribute() -> None:
    for extra in AUXILIARY:
        name = extra.name.split("_")[0]
        scene = sample(3, name)
        assert extra.evidence(scene) == FAMILIES[name].evidence(scene)
        assert extra.answer(scene) != FAMILIES[name].answer(scene)
