"""One video's annotation in the Perception Test layout, as JSON has it: what may be there, of what kind and range.

Texts are trimmed, and characters that act on a terminal become spaces. Lists may be absent, empty or null.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from attrib.errors import HARMFUL
from attrib.types import Absence, Role

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")  # results are kept under it: no folder, not too long
RATE = 30.0  # frames per second where the annotation does not say
_NOT_TEXT = re.compile(rf"{HARMFUL.pattern}|[\n\t]")


def _no_null(value: Any) -> Any:
    return () if value is None else value


def _plain(name: str) -> str:
    if not PLAIN_NAME.fullmatch(name):
        raise PydanticCustomError("plain_name", "expected a plain file name")
    return name


def _unique(items: list[Any]) -> list[Any]:
    ids = [item.id for item in items]
    twice = next((id for place, id in enumerate(ids) if id in ids[:place]), None)
    if twice is not None:
        raise PydanticCustomError("unique", f"id {twice} is given twice")
    return items


Id = Annotated[int, Field(ge=0, lt=2**53)]
Parent = Annotated[int, Field(ge=-1, lt=2**53)]  # -1: not annotated
Microseconds = Annotated[float, Field(ge=-1e15, le=1e15)]
Seconds = Annotated[float, Field(ge=-1e9, le=1e9)]
Coordinate = Annotated[float, Field(ge=-1, le=2)]  # objects may leave [0, 1], but not by far: those are pixels
Text = Annotated[str, Field(max_length=5_000), AfterValidator(lambda text: _NOT_TEXT.sub(" ", text).strip())]
PlainName = Annotated[str, AfterValidator(_plain)]
NoNull = BeforeValidator(_no_null)
Numbers = Annotated[list[Annotated[float, Field(ge=-1, lt=2**53)]], NoNull]
Parents = Annotated[list[Parent], NoNull]
Words = BeforeValidator(lambda value: "" if value is None else value)


class _Annotation(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)


class Metadata(_Annotation):
    """Metadata of the original video, which may have been thinned or cut since."""

    frame_rate: float = Field(RATE, gt=0, le=1000)
    video_id: Annotated[Text, Words] = ""
    num_frames: Annotated[int, Field(ge=0, lt=2**53)] | None = None
    is_cup_game: bool | None = None


class ObjectTrack(_Annotation):
    """One object: a box for each timestamp; `is_masked` is empty or has a flag for each."""

    id: Id
    label: Text
    timestamps: list[Microseconds]
    bounding_boxes: list[tuple[Coordinate, Coordinate, Coordinate, Coordinate]]
    is_masked: Annotated[list[bool], NoNull] = []
    is_occluder: bool | None = None
    frame_ids: Numbers = []  # original frames; only looked at to judge the times
    initial_tracking_box: Numbers = []  # one-hot

    @model_validator(mode="after")
    def _as_many(self) -> ObjectTrack:
        boxes, times, flags = len(self.bounding_boxes), len(self.timestamps), len(self.is_masked)
        if boxes != times or flags not in (0, boxes):
            counts = f"{boxes} boxes, {times} timestamps and {flags} is_masked"
            raise PydanticCustomError("as_many", f"expected as many boxes as timestamps and flags, got {counts}")
        return self


class PointTrack(_Annotation):
    """One point of an object: `points` (2, n), first y and then x, at n original frames; none where it is occluded."""

    id: Id
    label: Text = ""
    parent_objects: Parents = []
    frame_ids: Numbers
    points: tuple[list[Coordinate], list[Coordinate]] = ([], [])

    @model_validator(mode="before")
    @classmethod
    def _no_points(cls, found: Any) -> Any:
        """An empty list, or null, is a point that is never seen."""
        empty = isinstance(found, dict) and not found.get("points", ())
        return {**found, "points": ([], [])} if empty else found

    @model_validator(mode="after")
    def _as_many(self) -> PointTrack:
        frames, (y, x) = len(self.frame_ids), self.points
        if not frames == len(y) == len(x):
            counts = f"{frames} frame_ids, {len(y)} y and {len(x)} x"
            raise PydanticCustomError("as_many", f"expected as many points as frame_ids, got {counts}")
        return self


class TimedSegment(_Annotation):
    """An action, or a sound, that may be visible."""

    label: Text
    timestamps: tuple[Microseconds, Microseconds]
    parent_objects: Parents = []
    is_visible: bool | None = None
    frame_ids: Numbers = []  # as a track's


class MultipleChoice(_Annotation):
    """A question with options; test videos have no answer, whether that is left out, null or -1."""

    id: Id
    question: Text
    options: Annotated[list[Text], Field(min_length=2, max_length=26)]
    answer_id: Annotated[int | None, AfterValidator(lambda answer: None if answer == -1 else answer)] = None
    area: Annotated[Text, Words] = ""
    reasoning: Annotated[Text, Words] = ""
    tag: Annotated[list[Text], NoNull] = []

    @property
    def right(self) -> str:
        """The right option's text; empty where it is not known."""
        known = self.answer_id is not None and 0 <= self.answer_id < len(self.options)
        return self.options[self.answer_id] if known and self.answer_id is not None else ""


class Grounded(_Annotation):
    """A question that is answered by tracks."""

    id: Id
    question: Text
    answers: Annotated[list[Id], NoNull] = []


class Video(_Annotation):
    """All that is annotated on one video."""

    metadata: Annotated[Metadata, BeforeValidator(lambda value: {} if value is None else value)] = Metadata()
    object_tracking: Annotated[list[ObjectTrack], NoNull, AfterValidator(_unique)] = []
    point_tracking: Annotated[list[PointTrack], NoNull] = []
    action_localisation: Annotated[list[TimedSegment], NoNull] = []
    sound_localisation: Annotated[list[TimedSegment], NoNull] = []
    mc_question: Annotated[list[MultipleChoice], NoNull, AfterValidator(_unique)] = []
    grounded_question: Annotated[list[Grounded], NoNull] = []

    @model_validator(mode="before")
    @classmethod
    def _plain_form(cls, found: Any) -> Any:
        """A bare list is the video's multiple-choice questions, as in the explorer's file."""
        return {"mc_question": found} if isinstance(found, list) else found


class ExactEvidence(_Annotation):
    """A track during [start, end) seconds, known by construction."""

    track: Id
    start: Seconds
    end: Seconds
    role: Role


class Remade(_Annotation):
    """A counterfactual video of a question."""

    video: PlainName
    kind: Absence
    track: Id | None = None
    start: Seconds = 0.0
    end: Seconds | None = None


CUTS = TypeAdapter(dict[str, Annotated[int, Field(ge=-1, lt=2**53)]])  # original frames, exclusive; -1: no cut
EVIDENCE = TypeAdapter(dict[str, dict[str, list[ExactEvidence]]])  # by video and question
COUNTERFACTUALS = TypeAdapter(dict[str, dict[str, list[Remade]]])  # by video and question
