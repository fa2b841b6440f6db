"""A scene's annotation in the official Perception Test layout, and the evidence of its answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from attrib.demo import render
from attrib.demo.families import FAMILIES, Family, Item
from attrib.demo.world import EVENTS, FRAMES, RATE, SIZE, Entity, Scene

Record = dict[str, Any]
_MICROSECONDS = 1_000_000 / RATE  # per frame


def annotation(scene: Scene, family: Family, split: str, place: int) -> Record:
    """Everything about one video; the right option stands at `place` (0, 1 or 2)."""
    return {
        "metadata": {
            "split": split, "video_id": video_id(scene), "frame_rate": RATE, "num_frames": FRAMES,
            "resolution": [SIZE, SIZE], "audio_samples": 0, "audio_sample_rate": 0, "is_cup_game": 0,
            "is_camera_moving": 0,
        },
        "object_tracking": [_track(entity) for entity in scene.entities],
        "point_tracking": [],
        "action_localisation": _segments(scene, ("move", "appear", "cards")),
        "sound_localisation": [{**s, "is_visible": 1} for s in _segments(scene, ("light",))],
        "mc_question": [_mc_question(scene, family, place)],
        "grounded_question": [{
            "id": 0, "question": family.request, "answers": evidence_tracks(scene, family), "area": family.area,
            "reasoning": "descriptive",
        }],
    }  # fmt: skip


def video_id(scene: Scene) -> str:
    """The video's name without its ending."""
    return f"video_{scene.seed}"


def label(entity: Entity) -> str:
    """The track's label; a card's face is no part of it, since most frames hide it."""
    return entity.kind if entity.kind == "card" else f"{entity.colour} {entity.shape}"


def evidence_tracks(scene: Scene, family: Family) -> list[int]:
    """Ids of the tracks that the answer rests on, rising."""
    return sorted({item.track for item in family.evidence(scene) if item.role != "context"})


def evidence(scene: Scene, family: Family) -> Record:
    """The entry of `evidence_*.json`: question id to items in half-open seconds."""
    return {"0": [item.seconds() for item in family.evidence(scene)]}


def _track(entity: Entity) -> Record:
    frames = [i for i in range(FRAMES) if entity.present[i]]
    return {
        "id": entity.id, "label": label(entity), "is_occluder": 0,
        "bounding_boxes": [list(render.box(entity, i)) for i in frames],
        "initial_tracking_box": [int(i == 0) for i in range(len(frames))], "frame_ids": frames,
        "timestamps": [_time(i) for i in frames], "is_masked": [0] * len(frames),
    }  # fmt: skip


def _time(frame: int) -> int:
    return round(frame * _MICROSECONDS)


_LABELS = {"move": "Moving something", "appear": "Something appearing for a while", "light": "Chime",
           "cards": "Turning a card over"}  # fmt: skip


def _segments(scene: Scene, names: tuple[str, ...]) -> list[Record]:
    """One record for every event of the given families, by rising start."""
    found: list[tuple[Item, str]] = []
    for name in names:
        if FAMILIES[name].answer(scene) is not None:
            found += [(item, name) for item in FAMILIES[name].evidence(scene)]
    found.sort(key=lambda pair: (pair[0].start, pair[0].track))
    return [_segment(i, item, name) for i, (item, name) in enumerate(found)]


def _segment(number: int, item: Item, name: str) -> Record:
    return {
        "id": number, "label": _LABELS[name], "label_id": EVENTS.index(name), "parent_objects": [item.track],
        "timestamps": [_time(item.start), _time(item.end)], "frame_ids": [item.start, item.end],
    }  # fmt: skip


def _mc_question(scene: Scene, family: Family, place: int) -> Record:
    rng = np.random.default_rng([scene.seed, 104729])
    return {
        "id": 0, "question": family.question, "options": list(family.options(scene, rng, place)), "answer_id": place,
        "area": family.area, "reasoning": "descriptive", "tag": list(family.tags),
    }  # fmt: skip
