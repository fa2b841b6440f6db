"""Labels of visual tokens: each cell tells the attributes of what stands in it, and of nothing that is hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from attrib.demo.training import labels
from attrib.demo.world.scene import COLOURS, EVENTS, FRAMES, HOP, SHAPES, SIZE, Entity, Impact, Kind, Scene, span
from attrib.demo.world.table import BALL_BELOW, sample

STEADY = next(seed for seed in range(99) if not Scene(seed, ()).camera_shakes)
SHAKING = next(seed for seed in range(99) if Scene(seed, ()).shift(0)[0] > 0)


def thing(number: int, *centres: tuple[float, float], kind: Kind = "object") -> Entity:
    """An entity that is always there; the last place holds to the end."""
    path = (*centres, *[centres[-1]] * (FRAMES - len(centres)))
    return Entity(number, kind, SHAPES[number % 6], list(COLOURS)[number], 20, path, (True,) * FRAMES)


def names(scene: Scene, frame: int, row: int, column: int) -> set[str]:
    """Names of the labels of a cell of 64 x 64 pixels."""
    cell = labels.cells(scene, 4, (frame,))[0, row, column]
    return {name for name, here in zip(labels.ATTRIBUTES, cell, strict=True) if here}


def test_labels_name_an_object_in_its_cell_and_what_happens_to_it() -> None:
    """A red circle slides from the first cell to the third, where it hits an orange square."""
    hitter = thing(0, (32.0, 32.0), (32.0, 32.0), (80.0, 32.0), (140.0, 32.0))
    struck = thing(1, (186.0, 32.0))
    scene = Scene(STEADY, (hitter, struck), (Impact(0, 1, 3, 5),))
    assert names(scene, 0, 0, 0) == {"object", "circle", "red"}
    assert names(scene, 2, 0, 1) == {"object", "circle", "red", "moving"}
    assert names(scene, 2, 0, 0) == {"nothing"}
    assert names(scene, 4, 0, 2) == {"object", "square", "orange", "circle", "red", "struck"}  # two in one cell
    assert names(scene.without({0}, 4), 4, 0, 2) == {"object", "square", "orange", "struck"}
    assert names(scene, 6, 3, 3) == {"nothing"}


def test_labels_tell_the_side_of_a_card_and_what_sparkles_or_is_in_the_air() -> None:
    card = replace(thing(0, (32.0, 32.0), kind="card"), turned=span(4, 6))
    comer = replace(thing(1, (96.0, 32.0)), sparkling=span(2, 4), present=span(2, FRAMES))
    ball = replace(thing(2, (32.0, 96.0), kind="ball"), lifted=span(8, 9))
    scene = Scene(STEADY, (card, comer, ball))
    assert names(scene, 2, 0, 0) == {"card back"}
    assert names(scene, 4, 0, 0) == {"card face", "circle"}
    assert names(scene, 0, 0, 1) == {"nothing"}
    assert names(scene, 2, 0, 1) == {"object", "square", "orange", "sparkling"}
    assert names(scene, 4, 0, 1) == {"object", "square", "orange"}
    assert names(scene, 6, 1, 0) == {"ball"}
    assert names(scene, 8, 1, 0) == {"ball", "lifted"}
    low = Scene(STEADY, (replace(ball, centres=((32.0, 64.0 + HOP / 2),) * FRAMES),))
    assert names(low, 8, 0, 0) == {"ball", "lifted"}  # the jump takes it into the cell above


def test_a_cup_is_told_instead_of_its_mat_with_the_ball_in_front_of_it() -> None:
    """A green cup on a red mat; the ball is seen until frame 3, and the cup leaves the mat in frame 6."""
    mat = thing(0, (32.0, 32.0), kind="mat")
    route = ((32.0, 32.0),) * 6 + ((96.0, 32.0),)
    cup = thing(3, *route, kind="cup")
    ball = replace(thing(4, *((x, y + BALL_BELOW) for x, y in route), kind="ball"), covered=span(3, FRAMES))
    scene = Scene(STEADY, (ball, cup, mat))
    assert names(scene, 2, 0, 0) == {"cup", "green", "with ball", "red mat"}
    assert names(scene, 4, 0, 0) == {"cup", "green", "red mat"}
    assert names(scene, 6, 0, 0) == {"mat", "red mat"}
    assert names(scene, 6, 0, 1) == {"cup", "green"}  # sliding is told of objects only
    assert names(scene.without({3}), 2, 0, 0) == {"ball", "red mat"}
    assert names(scene.without({3}), 4, 0, 0) == {"mat", "red mat"}
    assert names(scene.without({4}), 2, 0, 0) == {"cup", "green", "red mat"}


def test_events_cups_balls_mats_and_faces_tell_and_what_rests_does_not() -> None:
    """Labels of frame 2, in which the first object slides, the second rests, and the cards show back and face."""
    turned = replace(thing(3, (96.0, 96.0), kind="card"), turned=span(2, 4))
    entities = (
        thing(0, (32.0, 32.0), (32.0, 32.0), (40.0, 32.0)), thing(1, (96.0, 32.0)), thing(2, (32.0, 96.0), kind="card"),
        turned, thing(4, (160.0, 32.0), kind="cup"), thing(5, (160.0, 96.0), kind="mat"),
        thing(6, (160.0, 160.0), kind="ball"),
    )  # fmt: skip
    telling = labels.telling(labels.cells(Scene(STEADY, entities), 4, (2,))[0])
    assert np.argwhere(telling).tolist() == [[0, 0], [0, 2], [1, 1], [1, 2], [2, 2]]


def test_what_a_screen_hides_and_the_screen_have_no_label() -> None:
    hidden, screen = thing(0, (96.0, 96.0)), thing(1, (96.0, 96.0), kind="screen")
    assert names(Scene(STEADY, (hidden, screen)), 0, 1, 1) == {"nothing"}
    assert names(Scene(STEADY, (hidden,)), 0, 1, 1) == {"object", "circle", "red"}


def test_labels_follow_the_shaking_camera() -> None:
    """The camera's shift moves what stands just left of a border between cells to the right of it."""
    scene = Scene(SHAKING, (thing(0, (63.5, 32.0)),))
    assert names(scene, 0, 0, 1) == {"object", "circle", "red"}
    assert names(replace(scene, seed=STEADY), 0, 0, 0) == {"object", "circle", "red"}


@pytest.mark.parametrize("name", EVENTS)
def test_every_cell_has_one_kind_and_every_visible_thing_a_cell_of_its_own(name: str) -> None:
    """Except that a cup shares the cell of its mat, and two cups that change places or two objects that touch may."""
    for seed in range(60):
        scene = sample(seed, name)
        cells = labels.cells(scene, 6)
        assert cells.shape == (labels.READ, 6, 6, len(labels.ATTRIBUTES))
        assert (cells[..., labels.KINDS].sum(-1) == 1).all()
        assert (cells[..., 0] == ~cells[..., 1:].any(-1)).all()
        there = [e for e in scene.entities if e.kind != "screen"]
        if not any(e.kind == "mat" or any(scene.hidden(e, 0) for e in there) for e in there):
            things, touching = sum(e.present[frame] for e in there for frame in labels.READ_FRAMES), bool(scene.impacts)
            assert things - touching <= (1 - cells[..., 0]).sum() <= things
            assert cells[..., labels.HUES].sum(-1).max() <= 1 + touching


def test_the_model_reads_every_other_frame_and_cells_divide_the_picture() -> None:
    assert labels.READ_FRAMES == (0, 2, 4, 6, 8, 10, 12, 14)
    scene = Scene(STEADY, (thing(0, (SIZE - 1.0, SIZE - 1.0)),))
    assert np.argwhere(labels.cells(scene, 6, (0,))[..., 0] == 0).tolist() == [[0, 5, 5]]


def test_codes_stand_at_right_angles() -> None:
    codes = labels.codes(128, 4.0, 0)
    torch.testing.assert_close(codes @ codes.T, 16 * torch.eye(len(labels.ATTRIBUTES)), atol=1e-4, rtol=0)
