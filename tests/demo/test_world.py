"""Scenes and question families: one seed, one scene; nothing but the evidence gives an answer away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

import numpy as np
import pytest
from scipy import stats

from attrib.demo.evidence import needed
from attrib.demo.training import labels
from attrib.demo.world import table
from attrib.demo.world.families import AUXILIARY, FAMILIES, impacts
from attrib.demo.world.scene import (
    CAMERA,
    COLOURS,
    EVENTS,
    FRAMES,
    HOP,
    OBJECTS,
    PITCH,
    SHADES,
    SHAPES,
    SIZE,
    WOBBLE,
    Entity,
    Impact,
    Kind,
    Scene,
    span,
    union,
)
from attrib.demo.world.table import BALL_BELOW, CONTACT, CUPS, INSTANTS, JUMPS, balanced, sample

SEEDS = range(100)
ANSWERS = {"move": 8, "first": 8, "hit": 6, "appear": 8, "cards": 6, "cups": 3, "hide": 8, "jumps": 5}
COUNTS = {"cups": CUPS, "jumps": JUMPS}
LEFT, RIGHT = (32.0, 96.0), (96.0, 96.0)


def thing(number: int, *centres: tuple[float, float], radius: int = 24, kind: Kind = "object") -> Entity:
    """An entity that is always there; the last place holds to the end."""
    path = (*centres, *[centres[-1]] * (FRAMES - len(centres)))
    return Entity(number, kind, SHAPES[number], list(COLOURS)[number], radius, path, (True,) * FRAMES)


def distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))


def slides(entity: Entity) -> list[int]:
    """Frames in which it slides."""
    return [i for i in range(FRAMES) if entity.moving(i)]


def stretches(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """First frame and frame after the last of each run of true flags."""
    groups = [(flag, [i for i, _ in group]) for flag, group in groupby(enumerate(flags), key=lambda pair: pair[1])]
    return [(frames[0], frames[-1] + 1) for flag, frames in groups if flag]


def choices(name: str, seed: int) -> tuple[Scene, Entity, list[Entity]]:
    """A scene of a family, the entity that is asked for, and those that the wrong options name."""
    scene, attribute = sample(seed, name), "shape" if name in ("hit", "cards") else "colour"
    kind = {"cards": "card", "hide": "mat"}.get(name, "object")
    seen = [e for e in scene.entities if e.kind == kind and any(scene.seen(e)) and not any(e.lifted)]
    named = {getattr(e, attribute): e for e in seen}
    right, *wrong = FAMILIES[name].options(scene, np.random.default_rng(seed), 0)
    return scene, named[right], [named[option] for option in wrong]


def cup_game(seed: int) -> tuple[list[Entity], list[Entity], Entity]:
    """Cups and mats, the mats from left to right or from top to bottom, and the ball of a cup game."""
    kinds = {kind: [e for e in sample(seed, "hide").entities if e.kind == kind] for kind in ("cup", "mat", "ball")}
    (ball,) = kinds["ball"]
    return kinds["cup"], sorted(kinds["mat"], key=lambda mat: mat.centres[0]), ball


def test_same_seed_gives_the_same_scene_and_another_seed_another() -> None:
    for event in EVENTS:
        assert sample(5, event) == sample(5, event)
        assert sample(5, event).entities != sample(6, event).entities


def test_families_are_the_events() -> None:
    assert tuple(FAMILIES) == EVENTS


@pytest.mark.parametrize("name", EVENTS)
def test_options_hold_the_answer_at_its_place_and_wrong_ones_that_are_seen(name: str) -> None:
    family, count = FAMILIES[name], 5 if name == "jumps" else 3
    for scene in map(partial(sample, event=name), SEEDS):
        for place in range(count):
            options = family.options(scene, np.random.default_rng(scene.seed), place)
            assert len(options) == len(set(options)) == count
            assert options[place] == family.answer(scene)
            if name in COUNTS:  # a wrong count cannot be seen
                assert set(options) == {str(n) for n in COUNTS[name]}
            else:
                seen = {value for e in scene.entities if any(scene.seen(e)) for value in (e.colour, e.shape)}
                assert set(options) <= seen


def test_the_wrong_options_of_move_name_what_is_elsewhere_in_the_end_but_did_not_slide() -> None:
    for seed in SEEDS:
        _, mover, wrong = choices("move", seed)
        assert slides(mover)
        for entity in (mover, *wrong):
            assert entity.centres[0] != entity.centres[-1]
            assert entity.present[0]
            assert entity.present[-1]
        assert not any(slides(entity) for entity in wrong)
        for entity in (mover, *wrong):  # all vanish once, for two or three frames, and go one place further
            assert 2 <= entity.present.count(False) <= 3
            assert len(stretches(entity.sparkling)) == 1
            assert distance(entity.centres[0], entity.centres[-1]) == pytest.approx(PITCH, abs=15)


def test_the_wrong_options_of_hit_name_what_is_touched_without_a_flash() -> None:
    for seed in SEEDS:
        scene, struck, wrong = choices("hit", seed)
        ends = [e.centres[-1] for e in scene.entities if slides(e)]
        for entity in (struck, *wrong):
            assert min(distance(entity.centres[-1], end) for end in ends) == pytest.approx(CONTACT, abs=1)
            assert any(scene.struck(entity, i) for i in range(FRAMES)) == (entity is struck)


def test_the_wrong_options_of_appear_name_what_comes_once_and_stays_as_long() -> None:
    for seed in SEEDS:
        _, twice, wrong = choices("appear", seed)
        assert [len(stretches(e.present)) for e in (twice, *wrong)] == [2, 1, 1]
        for entity in (twice, *wrong):
            assert sum(entity.present) == 6
            assert sum(entity.present[i] for i in labels.READ_FRAMES) == 3
            assert not entity.present[0]
            assert stretches(entity.sparkling) == [(start, start + 2) for start, _ in stretches(entity.present)]


def test_all_options_of_first_and_cards_act_and_the_right_one_is_the_first_or_the_last() -> None:
    for seed in SEEDS:
        _, first, wrong = choices("first", seed)
        assert slides(first)[0] < min(slides(entity)[0] for entity in wrong)
        _, last, wrong = choices("cards", seed)
        assert last.turned.index(True) > max(entity.turned.index(True) for entity in wrong)


def test_all_options_of_hide_are_mats_on_which_a_cup_stands_in_the_end() -> None:
    for seed in SEEDS:
        scene, right, wrong = choices("hide", seed)
        cups, mats, _ = cup_game(seed)
        assert sorted(e.id for e in (right, *wrong)) == sorted(mat.id for mat in mats)
        assert len({scene.entities[mat.id].colour for mat in mats}) == 3
        assert sorted(cup.centres[-1] for cup in cups) == [mat.centres[0] for mat in mats]


def test_a_scene_without_a_single_answer_is_refused() -> None:
    scene = sample(0, "cups").only(())
    with pytest.raises(ValueError, match="a unique answer"):
        FAMILIES["cups"].options(scene, np.random.default_rng(0), 0)


@pytest.mark.parametrize("name", EVENTS)
def test_answers_ids_places_and_times_are_spread(name: str) -> None:
    """No answer, id, place or time is much more common than it would be by chance."""
    scenes = [sample(seed, name) for seed in range(600)]
    answers = Counter(FAMILIES[name].answer(scene) for scene in scenes)
    assert len(answers) == ANSWERS[name]
    assert max(answers.values()) < 1.5 * 600 / ANSWERS[name]
    items = [needed(scene, FAMILIES[name])[0] for scene in scenes]
    for axis in (0, 1):
        at = [scene.entities[item.track].centres[0][axis] // PITCH for scene, item in zip(scenes, items, strict=True)]
        assert min(Counter(at)[line] for line in range(4)) > 0.12 * 600
    if name != "cups":  # all cups are asked for, in all frames
        ids = [item.track * 5 // len(scene.entities) for scene, item in zip(scenes, items, strict=True)]
        assert min(Counter(ids)[fifth] for fifth in range(5)) > 0.12 * 600
        assert len({item.start for item in items}) >= 5


@pytest.mark.parametrize("name", ["cups", "jumps"])
def test_each_count_comes_once_in_as_many_scenes_of_the_family(name: str) -> None:
    values, orders = COUNTS[name], set()
    for block in range(20):
        seeds = [(len(values) * block + i) * len(EVENTS) + EVENTS.index(name) for i in range(len(values))]
        order = tuple(FAMILIES[name].answer(sample(seed, name)) for seed in seeds)
        assert order == tuple(str(balanced(seed, values)) for seed in seeds)
        assert set(order) == {str(value) for value in values}
        orders.add(order)
    assert len(orders) > 3


def test_size_and_shade_do_not_tell_the_right_option() -> None:
    """Radii are 22 to 25 and shades -1 to 1, equally often: the means differ by 3 standard errors at most."""
    for name in ("move", "first", "hit", "appear", "cards"):
        found = [choices(name, seed)[1:] for seed in range(100)]
        radii = np.mean([e.radius for e, _ in found]) - np.mean([e.radius for _, wrong in found for e in wrong])
        shades = np.mean([e.shade for e, _ in found]) - np.mean([e.shade for _, wrong in found for e in wrong])
        assert abs(radii) < 3 * np.sqrt(15 / 12 * (1 / 100 + 1 / 200))
        assert abs(shades) < 3 * np.sqrt(2 / 3 * (1 / 100 + 1 / 200))
        assert {e.shade for e, _ in found} == set(SHADES)


def test_three_in_four_objects_that_never_vanish_shake_for_a_while_and_nothing_else() -> None:
    shaking = []
    for seed in range(200):
        scene = sample(seed, EVENTS[seed % len(EVENTS)])
        for entity in scene.entities:
            offsets = [w for w in entity.wobble if w]
            assert len(offsets) <= 8
            assert all(abs(w) == WOBBLE for w in offsets)
            assert not offsets or entity.kind == "object"
            for start, end in stretches([w != 0 for w in entity.wobble]):  # to the left and right in turn
                assert all(entity.wobble[i] == -entity.wobble[i + 1] for i in range(start, end - 1))
            assert not offsets or all(entity.present)
            if entity.kind == "object" and all(entity.present) and any(scene.seen(entity)):
                shaking.append(bool(offsets))
    assert np.mean(shaking) == pytest.approx(0.75, abs=0.04)


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_is_seen_in_a_frame_that_the_model_reads(name: str) -> None:
    """So are the visits of what comes and goes, its absence in between, and the ball before it is covered."""
    for scene in map(partial(sample, event=name), SEEDS):
        for e in scene.entities:
            moves = [e.moving(i) for i in range(FRAMES)]
            flash = [scene.struck(e, i) and scene.seen(e)[i] for i in range(FRAMES)]
            bare = [e.kind == "ball" and not covered for covered in e.covered]
            away = [not here and any(e.present[i:]) for i, here in enumerate(e.present)]
            for flags in (moves, flash, bare, away, e.present, e.sparkling, e.turned, e.lifted):
                for start, end in stretches(flags):
                    assert any(start <= frame < end for frame in labels.READ_FRAMES)


def test_jumps_last_one_frame_each_that_the_model_reads() -> None:
    for scene in map(partial(sample, event="jumps"), SEEDS):
        (ball,) = [e for e in scene.entities if e.kind == "ball"]
        (other,) = [e for e in scene.entities if e.kind == "object" and any(e.lifted)]
        for entity in (ball, other):
            jumps = [i for i in range(FRAMES) if entity.lifted[i]]
            assert set(jumps) <= set(labels.READ_FRAMES[1:])
            assert entity.at(jumps[0])[1] == entity.centres[0][1] - HOP
        assert FAMILIES["jumps"].answer(scene) == str(sum(ball.lifted))


def test_what_acts_at_one_instant_hardly_tells_the_first_to_act() -> None:
    """Whoever names what acts at one instant, and if nothing does, one of three, is right less than 45 % of the time.

    If the first acts at instant f, the other two share the 7 - f later ones: each holds one of them with 2 / (7 - f).
    """
    first = dict(zip(INSTANTS, table._FIRST, strict=False))
    assert sum(first.values()) == pytest.approx(1)
    for instant in INSTANTS:
        other = sum(share * 2 / (7 - f) for f, share in first.items() if f < instant)
        right = first.get(instant, 0.0)
        assert right + (1 - right - other) / 3 < 0.45


def test_the_first_and_the_last_to_act_do_so_at_the_given_instants() -> None:
    """The last card is turned as late as the first object slides early."""
    slid, turned = [], []
    for seed in range(400):
        slid.append((slides(choices("first", seed)[1])[0] + 1) // 2)
        turned.append(8 - (choices("cards", seed)[1].turned.index(True) + 1) // 2)
    for instants in (slid, turned):
        counts = [instants.count(instant) for instant in INSTANTS[:5]]
        assert stats.chisquare(counts, 400 * np.array(table._FIRST)).pvalue > 0.01


def test_the_ball_is_seen_then_covered_and_follows_its_cup() -> None:
    for seed in SEEDS:
        cups, _, ball = cup_game(seed)
        shown = ball.covered.index(True)
        assert shown in (3, 4)
        assert ball.covered == span(shown, FRAMES)
        assert all(ball.present)
        assert not any(cup.moving(i) for cup in cups for i in range(shown))
        (cup,) = [cup for cup in cups if distance(cup.at(0), ball.at(0)) < cup.radius]
        assert ball.centres == tuple((x, y + BALL_BELOW) for x, y in cup.centres)


def test_pairs_of_cups_change_places_one_to_three_times_and_rest_on_different_mats() -> None:
    """A change of places takes two cups three frames each."""
    swaps = []
    for seed in range(300):
        cups, mats, _ = cup_game(seed)
        starts, ends = (sorted(cup.centres[at] for cup in cups) for at in (0, -1))
        assert starts == ends == [mat.centres[0] for mat in mats]
        assert len(set(ends)) == 3
        moving = [sum(cup.moving(i) for cup in cups) for i in range(FRAMES)]
        assert set(moving) == {0, 2}
        assert moving[-3:] == [0, 0, 0]
        assert sum(moving) % 6 == 0
        swaps.append(sum(moving) // 6)
    counts = [swaps.count(number) for number in (1, 2, 3)]
    assert sum(counts) == 300
    assert stats.chisquare(counts).pvalue > 0.01


def test_the_mat_in_the_end_is_independent_of_the_mat_in_the_beginning() -> None:
    counts = np.zeros((3, 3))
    for seed in range(720):
        _, mats, ball = cup_game(seed)
        places = [(x, y + BALL_BELOW) for x, y in (mat.centres[0] for mat in mats)]
        counts[places.index(ball.centres[0]), places.index(ball.centres[-1])] += 1
    assert stats.chisquare(counts.flatten()).pvalue > 0.01  # all nine pairs are equally common


def test_the_cup_game_is_answered_with_the_mat_to_which_the_ball_was_carried() -> None:
    """The cups on two mats change places after the ball has disappeared in the left one."""
    mats = [thing(0, LEFT, kind="mat"), thing(1, RIGHT, kind="mat")]
    cups = [thing(2, *[LEFT] * 6, RIGHT, kind="cup"), thing(3, *[RIGHT] * 6, LEFT, kind="cup")]
    ball = replace(thing(4, *[LEFT] * 6, RIGHT, radius=11, kind="ball"), covered=span(3, FRAMES))
    scene, family = Scene(0, (*mats, *cups, ball)), FAMILIES["hide"]
    assert family.answer(scene) == mats[1].colour
    assert family.answer(scene.without({3})) == mats[1].colour
    assert family.answer(scene.without({2, 4}, 4, 6)) == mats[1].colour
    for track, start, end in ((1, 6, FRAMES), (2, 7, FRAMES), (2, 0, 3), (4, 0, 3), (4, 0, FRAMES)):
        assert family.answer(scene.without({track}, start, end)) is None


def test_jumps_of_the_ball_alone_are_counted() -> None:
    ball = replace(thing(0, LEFT, kind="ball"), lifted=union(span(2, 3), span(6, 7), span(8, 9)))
    scene = Scene(0, (ball, replace(thing(1, RIGHT), lifted=span(4, 5))))
    answer = FAMILIES["jumps"].answer
    assert answer(scene) == "3"
    assert answer(scene.without({0}, 6, 7)) == "2"
    assert answer(scene.without({0})) is None
    assert answer(Scene(0, (ball, replace(ball, id=1)))) is None


def test_what_comes_twice_is_told_by_its_stars() -> None:
    twice = replace(thing(0, LEFT), present=union(span(2, 5), span(7, 10)), sparkling=union(span(2, 4), span(7, 9)))
    once = replace(thing(1, RIGHT), present=span(3, 9), sparkling=span(3, 5))
    scene, family = Scene(0, (twice, once)), FAMILIES["appear"]
    assert family.answer(scene) == twice.colour
    assert [(item.track, item.start, item.end) for item in family.evidence(scene)] == [(0, 2, 5), (0, 7, 10)]
    assert family.answer(scene.without({0}, 7, 9)) is None
    assert family.answer(Scene(0, (twice, replace(twice, id=1)))) is None


def test_whatever_slides_first_is_the_answer_and_a_tie_has_none() -> None:
    first, late = thing(0, *[LEFT] * 3, RIGHT), thing(1, *[(32.0, 160.0)] * 4, (96.0, 160.0))
    tie = replace(late, centres=late.centres[1:] + late.centres[-1:])
    assert FAMILIES["first"].answer(Scene(0, (first, late))) == first.colour
    assert FAMILIES["first"].answer(Scene(0, (first, tie))) is None
    assert FAMILIES["first"].answer(Scene(0, (late,))) == late.colour
    assert FAMILIES["move"].answer(Scene(0, (late,))) == late.colour
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
            gap = distance(by_id[impact.hitter].centres[impact.start], by_id[impact.struck].centres[impact.start])
            assert gap == pytest.approx(CONTACT if visible else 0, abs=1)
            hidden += not visible
    assert hidden > 5


def test_all_stay_inside_the_frame_and_apart() -> None:
    """Only cups that change places come closer, and the ball stands in front of its cup."""
    for seed in range(200):
        scene = sample(seed, EVENTS[seed % len(EVENTS)])
        for frame in range(FRAMES):
            there = [e for e in scene.entities if scene.seen(e)[frame] and e.kind not in ("screen", "mat")]
            for i, entity in enumerate(there):
                x, y = entity.at(frame)
                bowing = entity.kind == "cup" and entity.moving(frame)
                assert min(x, SIZE - x, y + HOP * entity.lifted[frame], SIZE - y) >= (16 if bowing else 22)
                for other in there[:i]:
                    kinds = {entity.kind, other.kind}
                    least = 0 if kinds == {"ball", "cup"} else 25 if kinds == {"cup"} else 40
                    assert distance(entity.at(frame), other.at(frame)) >= least


@pytest.mark.parametrize("name", EVENTS)
def test_colours_of_objects_cups_and_mats_differ_and_so_do_shapes_that_are_asked_for(name: str) -> None:
    for scene in map(partial(sample, event=name), SEEDS):
        objects = [e for e in scene.entities if e.kind == "object"]
        assert sum(any(scene.seen(e)) for e in objects) >= OBJECTS
        assert len({e.colour for e in objects}) == len(objects)
        game = any(e.kind == "mat" for e in scene.entities)
        assert len({e.colour for e in scene.entities if e.kind == "cup"}) in ((3,) if game else (0, 1))
        if name == "hit":
            at_rest_or_sliding = [e.shape for e in objects if not any(e.lifted)]
            assert len(set(at_rest_or_sliding)) == len(at_rest_or_sliding) == 6


def test_the_camera_shakes_in_a_third_of_the_scenes() -> None:
    scenes = [Scene(seed, ()) for seed in range(1500)]
    assert np.mean([scene.camera_shakes for scene in scenes]) == pytest.approx(1 / 3, abs=0.04)
    for scene in scenes[:100]:
        shifts = np.array([scene.shift(i) for i in range(FRAMES)])
        assert np.abs(shifts).max() == (CAMERA if scene.camera_shakes else 0)
        assert len({tuple(shift) for shift in shifts.tolist()}) > 5 or not scene.camera_shakes


def test_auxiliary_questions_ask_for_the_other_attribute_and_for_the_steps_of_the_cup_game() -> None:
    (cup,) = (f for f in AUXILIARY if f.name == "hide_cup")
    under = {f.question.split()[-5]: f for f in AUXILIARY if f.name == "hide_mat"}
    assert set(under) == set(COLOURS)
    for extra in (f for f in AUXILIARY if not f.name.startswith("hide")):
        name = extra.name.split("_")[0]
        scene = sample(3, name)
        assert extra.evidence(scene) == FAMILIES[name].evidence(scene)
        assert extra.answer(scene) != FAMILIES[name].answer(scene)
    for seed in SEEDS:
        (cups, mats, ball), scene = cup_game(seed), sample(seed, "hide")
        (with_ball,) = [c for c in cups if distance(c.at(0), ball.at(0)) < c.radius]
        assert cup.answer(scene) == with_ball.colour
        for each in cups:
            (mat,) = [m for m in mats if m.centres[0] == each.centres[-1]]
            assert under[each.colour].answer(scene) == mat.colour
        assert all(f.answer(scene) is None for colour, f in under.items() if colour not in {c.colour for c in cups})
