"""Selection of a data set's videos and questions, and the messages for a selection without a match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrib.data import annotation
from attrib.errors import InputError, UnknownName
from attrib.types import Sample


class Selection:
    """Filter of questions by fields (such as `area`: "physics") and by video ids; an empty filter selects everything.

    Values are compared trimmed and case-insensitively. The available values are remembered for the message of `check`.
    """

    def __init__(self, wanted: Mapping[str, str], ids: Iterable[str] = ()) -> None:
        self._wanted = {field: _folded(value) for field, value in wanted.items() if value}
        self._as_typed = dict(wanted)
        self._available: dict[str, dict[str, str]] = {field: {} for field in self._wanted}  # folded: original
        self._ids, self._seen = frozenset(ids), set[str]()

    def wants(self, video_id: str) -> bool:
        """Return whether the video is selected, and remember that it was seen."""
        self._seen.add(video_id)
        return not self._ids or video_id in self._ids

    @property
    def complete(self) -> bool:
        """Return whether no further video can be selected."""
        return bool(self._ids) and self._ids <= self._seen

    def questions(self, video: annotation.Video) -> list[annotation.MultipleChoice]:
        """Return the selected questions of the video."""
        return [item for item in video.mc_question if self._matches(item)]

    def _matches(self, item: annotation.MultipleChoice) -> bool:
        values = {"task": [item.question], "area": [item.area], "reasoning": [item.reasoning], "tag": item.tag}
        for field, available in self._available.items():
            available.update((_folded(value), value) for value in values[field])
        return all(value in map(_folded, values[field]) for field, value in self._wanted.items())

    def check(self) -> None:
        """Raise UnknownName, with the nearest valid choice, for an id or a value that no video or question has."""
        for video_id in sorted(self._ids - self._seen):
            raise UnknownName("video", video_id, self._seen)
        for field, value in self._wanted.items():
            if value not in self._available[field]:
                raise UnknownName(field, self._as_typed[field].strip(), filter(None, self._available[field].values()))


def _folded(text: str) -> str:
    return text.strip().casefold()


def one_question(samples: Mapping[int, Sample], video_id: str, question_id: int | None) -> Sample:
    """Return the sample with this question id, or the only one of `samples` by id, at least one, if none is given.

    Raises InputError if there are several to choose from, UnknownName for an unknown id.
    """
    if question_id is None and len(samples) > 1:
        known = "; ".join(f"{id}: {sample.question.text}" for id, sample in samples.items())
        raise InputError(f"{video_id} has {len(samples)} questions, choose one by its id: {known}")
    if question_id is not None and question_id not in samples:
        raise UnknownName(f"question of {video_id}", str(question_id), map(str, samples))
    return samples[next(iter(samples)) if question_id is None else question_id]
