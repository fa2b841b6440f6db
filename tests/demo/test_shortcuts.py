"""Readers that see too little of a video stay at chance, and find each shortcut that is put into the world."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from attrib.demo import shortcuts
from attrib.demo.evidence import CHECK_SEED
from attrib.demo.readers.asked import READER_SEED, STATE, Sampler, ask
from attrib.demo.readers.declared import DECLARED
from attrib.demo.readers.learning import score
from attrib.demo.readers.views import READERS
from attrib.demo.shortcuts import Suspicion, search
from attrib.demo.training.labels import READ, READ_FRAMES
from attrib.demo.training.settings import TRAINING_SEEDS, Settings
from attrib.demo.world.families import FAMILIES, onsets
from attrib.demo.world.scene import EVENTS, FRAMES, Entity, Scene, span
from attrib.demo.world.table import sample

FAST = ("first and last", "counts")
STILL = (0.0,) * FRAMES


def changed(scene: Scene, *entities: Entity) -> Scene:
    by_id = {e.id: e for e in entities}
    return replace(scene, entities=tuple(by_id.get(e.id, e) for e in scene.entities))


def slid(entity: Entity, start: int) -> Entity:
    """The entity, which slides at another time."""
    begin, goal = entity.centres[0], entity.centres[-1]
    half = (begin[0] + goal[0]) / 2, (begin[1] + goal[1]) / 2
    return replace(entity, centres=(*[begin] * start, half, *[goal] * (FRAMES - start - 1)))


def later(scene: Scene) -> list[int]:
    """Frames of two events in random order of time, after frame 4."""
    return [2 * int(i) for i in np.sort(np.random.default_rng(scene.seed).permutation(range(3, 8))[:2])]


def first_at_a_fixed_time(seed: int, event: str) -> Scene:
    scene = sample(seed, event)
    movers = sorted((e for e in scene.entities if slides(e)), key=slides)
    return changed(scene, *(slid(e, start) for e, start in zip(movers, [4, *later(scene)], strict=True)))


def slides(entity: Entity) -> list[int]:
    """Frames in which an object starts to slide; empty for others, such as cups."""
    return onsets([entity.moving(i) and entity.kind == "object" for i in range(FRAMES)])


def last_at_a_fixed_time(seed: int, event: str) -> Scene:
    scene = sample(seed, event)
    cards = sorted((e for e in scene.entities if any(e.turned)), key=lambda e: -onsets(e.turned)[0])
    starts = [12, *(16 - i for i in later(scene))]
    return changed(scene, *(replace(e, turned=span(start, start + 2)) for e, start in zip(cards, starts, strict=True)))


def others_there_at_first(seed: int, event: str) -> Scene:
    scene = sample(seed, event)
    once = [e for e in scene.entities if len(onsets(e.sparkling)) == 1]
    return changed(scene, *(replace(e, present=(True,) * FRAMES) for e in once))


def nothing_else_touches(seed: int, event: str) -> Scene:
    scene = sample(seed, event)
    (impact,) = scene.impacts
    return scene.without(e.id for e in scene.entities if slides(e) and e.id != impact.hitter)


def struck_never_shakes(seed: int, event: str) -> Scene:
    scene = sample(seed, event)
    (impact,) = scene.impacts
    return changed(scene, replace(scene.entities[impact.struck], wobble=STILL))


def nothing_else_ends_elsewhere(seed: int, event: str) -> Scene:
    scene = sample(seed, event)
    resting = [e for e in scene.entities if e.kind == "object" and not slides(e)]
    return changed(scene, *(replace(e, centres=(e.centres[-1],) * FRAMES, present=(True,) * FRAMES) for e in resting))


OLD: dict[str, tuple[str, Sampler, str]] = {  # by the test's name: family, sampler and the reader that finds it
    "first at a fixed time": ("first", first_at_a_fixed_time, "one frame"),
    "last at a fixed time": ("cards", last_at_a_fixed_time, "one frame"),
    "others there at first": ("appear", others_there_at_first, "first and last"),
    "nothing else touches": ("hit", nothing_else_touches, "first and last"),
    "the struck one never shakes": ("hit", struck_never_shakes, "counts"),
    "nothing else ends elsewhere": ("move", nothing_else_ends_elsewhere, "first and last"),
}
SLOW = ("last at a fixed time", "the struck one never shakes")


@pytest.mark.parametrize("name", EVENTS)
def test_a_sample_of_the_world_has_no_shortcut(name: str) -> None:
    assert [f for f in search(name, 120, readers=FAST) if f.verdict == "SHORTCUT"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", EVENTS)
def test_the_world_has_no_shortcut(name: str) -> None:
    assert [f for f in search(name, 3000) if f.verdict == "SHORTCUT"] == []


@pytest.mark.parametrize("what", [pytest.param(w, marks=[pytest.mark.slow] * (w in SLOW)) for w in OLD])
def test_a_shortcut_that_is_put_back_is_found(what: str) -> None:
    family, sampler, reader = OLD[what]
    (found,) = search(family, 120, sampler, [reader])
    assert found.verdict == "SHORTCUT"
    assert found.frame == {"first": 4, "cards": 12}.get(family)


def test_readers_can_answer_what_they_may() -> None:
    """A reader that could learn nothing would find no shortcut."""
    (tracked,) = search("hide", 120, readers=["first and last"])
    (counted,) = search("cups", 200, readers=["counts"])
    assert tracked.accuracy == counted.accuracy == 1
    assert tracked.verdict == counted.verdict == "declared"


def finding(low: float, limit: float | None = None) -> Suspicion:
    return Suspicion("first", "counts", None, 100, low + 0.05, low, low + 0.1, 1 / 3, limit, "")


@pytest.mark.parametrize(
    ("low", "limit", "verdict"),
    [
        (0.2, None, "chance"), (0.38, None, "chance"), (0.39, None, "SHORTCUT"), (0.39, 0.46, "declared"),
        (0.46, 0.46, "declared"), (0.47, 0.46, "SHORTCUT"), (0.38, 0.46, "chance"),
    ],
)  # fmt: skip
def test_the_lower_end_of_the_interval_decides(low: float, limit: float | None, verdict: str) -> None:
    assert finding(low, limit).verdict == verdict


def test_the_best_view_is_chosen_on_other_scenes_than_those_of_the_test() -> None:
    """The best of views with nothing but noise is still at chance; a view with the answer is found."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(300, 4, 3, 4)).astype(np.float32)
    right = rng.integers(0, 3, 300)
    noise = score(features, right)
    assert noise.low < 1 / 3 < noise.high
    assert noise.scenes == 300 - 135 - 30
    features[np.arange(300), 3, right, 2] += 100
    found = score(features, right)
    assert (found.view, found.accuracy) == (3, 1)


def test_the_interval_is_that_of_wilson() -> None:
    """Worked by hand for 90 of 90, where it begins at n / (n + z^2)."""
    right = np.arange(200) % 2 + 7
    found = score(right[:, None, None, None].astype(np.float32), right)
    assert (found.scenes, found.accuracy, found.high) == (90, 1, 1)
    assert found.low == pytest.approx(90 / (90 + 1.959964**2), abs=1e-6)


def test_a_state_says_what_a_frame_shows() -> None:
    (asked,) = ask("move", 1)
    assert asked.states.shape == (len(asked.scene.entities), READ, len(STATE))
    for entity, states in zip(asked.scene.entities, asked.states, strict=True):
        for i, frame in enumerate(READ_FRAMES):
            state = dict(zip(STATE, states[i].tolist(), strict=True))
            seen = asked.scene.seen(entity)[frame]
            assert state["seen"] == seen
            assert np.isnan(state["x"]) == (not seen)
            assert not seen or (state["x"], state["y"]) == entity.at(frame)
            assert state["moving"] == (seen and entity.moving(frame))
            assert state["sparkling"] == (seen and entity.sparkling[frame])


@pytest.mark.parametrize("name", EVENTS)
def test_each_option_names_an_entity_and_each_place_is_right_equally_often(name: str) -> None:
    choices = FAMILIES[name].choices
    asked = list(ask(name, 2 * choices))
    assert sorted(a.right for a in asked) == sorted([*range(choices)] * 2)
    for a in asked:
        assert a.options[a.right] == FAMILIES[name].answer(a.scene)
        assert all(a.named)
        assert a.number == (int(a.options[a.right]) if name in ("cups", "jumps") else None)
        for view in (reader.view(a) for key, reader in READERS.items() if key != "pixels"):
            assert view.shape[:2] in {(n, rows) for n in (1, READ) for rows in (1, choices)}


def test_the_scenes_are_used_by_nothing_else() -> None:
    assert max(CHECK_SEED, TRAINING_SEEDS + Settings().scenes) < READER_SEED


def test_only_what_exists_is_declared_and_with_a_reason() -> None:
    for (family, reader), limit in DECLARED.items():
        assert family in FAMILIES
        assert reader in READERS
        assert 1 / FAMILIES[family].choices + shortcuts.MARGIN < limit.most <= 1
        assert limit.reason


@pytest.mark.parametrize(("low", "code"), [(0.3, None), (0.6, 1)])
def test_the_command_fails_if_there_is_a_shortcut(
    low: float, code: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shortcuts, "search_all", lambda scenes: [finding(low), finding(0.3, 0.46)])
    for arguments in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["shortcuts", *arguments])
        if code is None:
            shortcuts.main()
        else:
            with pytest.raises(SystemExit) as stopped:
                shortcuts.main()
            assert stopped.value.code == code
        out = capsys.readouterr().out
        assert ("SHORTCUT" in out) == (code == 1)
    entries = json.loads(out)
    assert [entry["verdict"] for entry in entries] == ["SHORTCUT" if code else "chance", "chance"]
    assert [entry["limit"] for entry in entries] == [None, 0.46]


@pytest.mark.parametrize("scenes", ["0", "199", "100001", "many"])
def test_a_bad_number_of_scenes_is_refused(
    scenes: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["shortcuts", "--scenes", scenes])
    with pytest.raises(SystemExit) as stopped:
        shortcuts.main()
    assert stopped.value.code == 2
    assert "--scenes" in capsys.readouterr().err.splitlines()[-1]
