"""Schema of one video's annotation in the Perception Test JSON layout: fields, types and ranges.

Texts are trimmed, and terminal control characters become spaces. Lists may be absent, empty or null.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from attrib.errors import HARMFUL, InputError
from attrib.types import Absence, Role
from attrib.types.question import check_options

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")  # it names the folder of results
RATE = 30.0  # default frames per second
_NOT_TEXT = re.compile(rf"{HARMFUL.pattern}|[\n\t]")


def _no_null(value: Any) -> Any:
    return () if value is None else value


def _plain(name: str) -> str:
    if not PLAIN_NAME.fullmatch(name):
        raise PydanticCustomError("plain_name", "expected a plain file name")
    return name


def _share(value: float) -> float:
    """Refuse pixels and per cent; objects may leave the picture by its own size."""
    if value > 2:
        raise PydanticCustomError("share", "expected a share of the picture in [0, 1]; it looks like pixels")
    return value


def _unique(items: list[Any]) -> list[Any]:
    ids = [item.id for item in items]
    duplicate = next((id for index, id in enumerate(ids) if id in ids[:index]), None)
    if duplicate is not None:
        raise PydanticCustomError("unique", f"id {duplicate} is given twice")
    return items


Id = Annotated[int, Field(ge=0, lt=2**53)]
Parent = Annotated[int, Field(ge=-1, lt=2**53)]  # -1: not annotated
Microseconds = Annotated[float, Field(ge=-1e15, le=1e15)]
Seconds = Annotated[float, Field(ge=-1e9, le=1e9)]
Coordinate = Annotated[float, Field(ge=-1), AfterValidator(_share)]
Text = Annotated[str, Field(max_length=5_000), AfterValidator(lambda text: _NOT_TEXT.sub(" ", text).strip())]
PlainName = Annotated[str, AfterValidator(_plain)]
NoNull = BeforeValidator(_no_null)
Numbers = Annotated[list[Annotated[float, Field(ge=-1, lt=2**53)]], NoNull]
Parents = Annotated[list[Parent], NoNull]
Words = BeforeValidator(lambda value: "" if value is None else value)


class _Annotation(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)


class Metadata(_Annotation):
    """Metadata of the original video; the file at hand may have fewer frames or end earlier."""

    frame_rate: float = Field(RATE, gt=0, le=1000)
    video_id: Annotated[Text, Words] = ""
    num_frames: Annotated[int, Field(ge=0, lt=2**53)] | None = None
    is_cup_game: bool | None = None


class ObjectTrack(_Annotation):
    """Track of one object: a box for each timestamp; `is_masked` is empty or has a flag for each timestamp."""

    id: Id
    label: Annotated[Text, Words] = ""  # absent in the official test split
    timestamps: list[Microseconds]
    bounding_boxes: list[tuple[Coordinate, Coordinate, Coordinate, Coordinate]]
    is_masked: Annotated[list[bool], NoNull] = []
    is_occluder: bool | None = None
    frame_ids: Numbers = []  # original frames; used only to check the timestamps
    initial_tracking_box: Numbers = []  # one-hot

    @model_validator(mode="after")
    def _same_count(self) -> ObjectTrack:
        boxes, times, flags = len(self.bounding_boxes), len(self.timestamps), len(self.is_masked)
        if boxes != times or flags not in (0, boxes):
            counts = f"{boxes} boxes, {times} timestamps and {flags} is_masked"
            raise PydanticCustomError("as_many", f"expected as many boxes as timestamps and flags, got {counts}")
        return self


class AnnotatedPoint(_Annotation):
    """Track of one point: `points` (2, n), y before x, at n original frames; occluded frames are absent."""

    id: Id
    label: Annotated[Text, Words] = ""
    parent_objects: Parents = []
    frame_ids: Numbers
    points: tuple[list[Coordinate], list[Coordinate]] = ([], [])

    @model_validator(mode="before")
    @classmethod
    def _no_points(cls, value: Any) -> Any:
        """Replace null or an empty list (a point that is never visible) by empty coordinates."""
        empty = isinstance(value, dict) and not value.get("points", ())
        return {**value, "points": ([], [])} if empty else value

    @model_validator(mode="after")
    def _same_count(self) -> AnnotatedPoint:
        frames, (y, x) = len(self.frame_ids), self.points
        if not frames == len(y) == len(x):
            counts = f"{frames} frame_ids, {len(y)} y and {len(x)} x"
            raise PydanticCustomError("as_many", f"expected as many points as frame_ids, got {counts}")
        return self


class TimedSegment(_Annotation):
    """Interval of an action or a sound; `is_visible` tells whether a sound's source is in view."""

    label: Annotated[Text, Words] = ""
    timestamps: tuple[Microseconds, Microseconds]
    parent_objects: Parents = []
    is_visible: bool | None = None
    frame_ids: Numbers = []  # original frames of the two timestamps


class MultipleChoice(_Annotation):
    """Multiple-choice question. In the test split `answer_id` is absent, null or -1."""

    id: Id
    question: Text
    options: Annotated[list[Text], Field(min_length=2, max_length=26)]
    answer_id: Annotated[int | None, AfterValidator(lambda answer: None if answer == -1 else answer)] = None
    area: Annotated[Text, Words] = ""
    reasoning: Annotated[Text, Words] = ""
    tag: Annotated[list[Text], NoNull] = []

    @property
    def fault(self) -> str:
        """Reason why the question is left out: an option without text, or options alike; empty if there is none."""
        try:
            check_options(self.options)
        except InputError as error:
            return str(error)
        return ""

    @property
    def right(self) -> str:
        """Text of the correct option; empty if unknown."""
        known = self.answer_id is not None and 0 <= self.answer_id < len(self.options)
        return self.options[self.answer_id] if known and self.answer_id is not None else ""


class Grounded(_Annotation):
    """Question whose answers are track ids."""

    id: Id
    question: Text
    answers: Annotated[list[Id], NoNull] = []


class Video(_Annotation):
    """Complete annotation of one video."""

    metadata: Annotated[Metadata, BeforeValidator(lambda value: {} if value is None else value)] = Metadata()
    object_tracking: Annotated[list[ObjectTrack], NoNull, AfterValidator(_unique)] = []
    point_tracking: Annotated[list[AnnotatedPoint], NoNull] = []
    action_localisation: Annotated[list[TimedSegment], NoNull] = []
    sound_localisation: Annotated[list[TimedSegment], NoNull] = []
    mc_question: Annotated[list[MultipleChoice], NoNull, AfterValidator(_unique)] = []
    grounded_question: Annotated[list[Grounded], NoNull] = []

    @model_validator(mode="before")
    @classmethod
    def _bare_list(cls, value: Any) -> Any:
        """Read a bare list as the video's multiple-choice questions (the layout of `explorer_data.json`)."""
        return {"mc_question": value} if isinstance(value, list) else value


class ExactEvidence(_Annotation):
    """Evidence that is known by construction: a track during [start, end) seconds."""

    track: Id
    start: Seconds
    end: Seconds
    role: Role


class CounterfactualFile(_Annotation):
    """Entry of `counterfactuals_{split}.json`: a video file that shows the scene without some of its content."""

    video: PlainName
    kind: Absence
    track: Id | None = None
    start: Seconds = 0.0
    end: Seconds | None = None


CUTS = TypeAdapter(dict[str, Annotated[int, Field(ge=-1, lt=2**53)]])  # original frames, exclusive; -1: no cut
EVIDENCE = TypeAdapter(dict[str, dict[str, list[ExactEvidence]]])  # by video and question
COUNTERFACTUALS = TypeAdapter(dict[str, dict[str, list[CounterfactualFile]]])  # by video and question
