"""Annotation of a scene in the official Perception Test layout, and the evidence of its answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from attrib.demo.world import render
from attrib.demo.world.families import Family, impacts
from attrib.demo.world.scene import FRAMES, RATE, SIZE, Entity, Scene

Record = dict[str, Any]
_MICROSECONDS = 1_000_000 / RATE  # per frame


def annotation(scene: Scene, family: Family, split: str, right: int) -> Record:
    """Complete annotation of one video; `right` is the index of the right option."""
    return {
        "metadata": {
            "split": split, "video_id": video_id(scene), "frame_rate": RATE, "num_frames": FRAMES,
            "resolution": [SIZE, SIZE], "audio_samples": 0, "audio_sample_rate": 0,
            "is_cup_game": int(family.name == "hide"), "is_camera_moving": int(scene.camera_shakes),
        },
        "object_tracking": [_track(scene, entity) for entity in scene.entities],
        "point_tracking": [],
        "action_localisation": _numbered(_actions(scene)),
        "sound_localisation": _numbered(_sounds(scene)),
        "mc_question": [_mc_question(scene, family, right)],
        "grounded_question": [{
            "id": 0, "question": family.request, "answers": evidence_tracks(scene, family), "area": family.area,
            "reasoning": "descriptive",
        }],
    }  # fmt: skip


def video_id(scene: Scene) -> str:
    """Name of the video, without the extension."""
    return f"video_{scene.seed}"


def label(entity: Entity) -> str:
    """Label of the entity's track; it does not mention a card's face, since most frames hide it."""
    return entity.kind if entity.kind in ("card", "screen", "ball") else f"{entity.colour} {entity.shape}"


def evidence_tracks(scene: Scene, family: Family) -> list[int]:
    """Sorted ids of the tracks that determine the answer."""
    return sorted({item.track for item in family.evidence(scene) if item.role != "context"})


def evidence(scene: Scene, family: Family) -> Record:
    """Entry of `evidence_*.json`: evidence items, in half-open seconds, by question id."""
    return {"0": [item.seconds() for item in family.evidence(scene)]}


def _track(scene: Scene, entity: Entity) -> Record:
    """Track record. As in the official annotations, boxes continue while the entity is hidden (`is_masked`)."""
    frames = [i for i in range(FRAMES) if entity.present[i]]
    return {
        "id": entity.id, "label": label(entity), "is_occluder": int(entity.kind == "screen"),
        "bounding_boxes": [list(render.box(scene, entity, i)) for i in frames],
        "initial_tracking_box": [int(i == 0) for i in range(len(frames))], "frame_ids": frames,
        "timestamps": [_time(i) for i in frames], "is_masked": [int(scene.hidden(entity, i)) for i in frames],
    }  # fmt: skip


def _time(frame: int) -> int:
    return round(frame * _MICROSECONDS)


_LABELS = (
    "Moving something", "Shaking something", "Something coming", "Turning a card over", "Something jumping", "Impact",
)  # fmt: skip


def _actions(scene: Scene) -> Iterator[Record]:
    """Yield every action in the scene, whether or not a question is about it."""
    for entity in scene.entities:
        yield from _stretches("Moving something", [entity.moving(i) for i in range(FRAMES)], entity, before=1)
        yield from _stretches(
            "Shaking something", [entity.present[i] and w != 0 for i, w in enumerate(entity.wobble)], entity
        )
        yield from _stretches("Something coming", entity.sparkling, entity)
        yield from _stretches("Turning a card over", entity.turned, entity)
        yield from _stretches("Something jumping", entity.lifted, entity)


def _stretches(label: str, flags: Sequence[bool], entity: Entity, before: int = 0) -> Iterator[Record]:
    """Yield an action for each run of true flags; `before` frames earlier it begins."""
    edges = np.flatnonzero(np.diff([0, *map(int, flags), 0]))
    for start, end in edges.reshape(-1, 2).tolist():
        yield _segment(label, start - before, end, [entity.id])


def _sounds(scene: Scene) -> Iterator[Record]:
    for impact, visible in impacts(scene):
        sound = _segment("Impact", impact.start, impact.end, [impact.hitter, impact.struck])
        yield {**sound, "is_visible": int(visible)}


def _segment(name: str, start: int, end: int, parents: list[int]) -> Record:
    return {
        "id": 0, "label": name, "label_id": _LABELS.index(name), "parent_objects": parents,
        "timestamps": [_time(start), _time(end)], "frame_ids": [start, end],
    }  # fmt: skip


def _numbered(segments: Iterable[Record]) -> list[Record]:
    """Sort segments by start and number them."""
    ordered = sorted(segments, key=lambda s: (s["timestamps"][0], s["parent_objects"]))
    return [{**segment, "id": i} for i, segment in enumerate(ordered)]


def _mc_question(scene: Scene, family: Family, right: int) -> Record:
    rng = np.random.default_rng([scene.seed, 104729])
    return {
        "id": 0, "question": family.question, "options": list(family.options(scene, rng, right)), "answer_id": right,
        "area": family.area, "reasoning": "descriptive", "tag": list(family.tags),
    }  # fmt: skip
