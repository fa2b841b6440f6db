"""Selection of a data set's videos and questions, and the messages for a selection without a match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrib.data import annotation as given
from attrib.errors import UnknownName


class Choice:
    """Questions of wanted words, such as `area` to "physics", of videos of wanted ids; all of them without any.

    Words are compared trimmed and without regard to case. It remembers what there is, so that `check` can tell.
    """

    def __init__(self, wanted: Mapping[str, str], ids: Iterable[str] = ()) -> None:
        self._wanted = {kind: _folded(word) for kind, word in wanted.items() if word}
        self._given = dict(wanted)
        self._there: dict[str, dict[str, str]] = {kind: {} for kind in self._wanted}  # folded to as it is
        self._ids, self._seen = frozenset(ids), set[str]()

    def wants(self, video_id: str) -> bool:
        """Return whether the video is selected, and remember that it was seen."""
        self._seen.add(video_id)
        return not self._ids or video_id in self._ids

    @property
    def complete(self) -> bool:
        """Return whether no further video can be selected."""
        return bool(self._ids) and self._ids <= self._seen

    def questions(self, video: given.Video) -> list[given.MultipleChoice]:
        """Those of the video's questions that are wanted."""
        return [item for item in video.mc_question if self._fits(item)]

    def _fits(self, item: given.MultipleChoice) -> bool:
        own = {"task": [item.question], "area": [item.area], "reasoning": [item.reasoning], "tag": item.tag}
        for kind, there in self._there.items():
            there.update((_folded(word), word) for word in own[kind])
        return all(word in map(_folded, own[kind]) for kind, word in self._wanted.items())

    def check(self) -> None:
        """Raises UnknownName with the nearest choice for an id or a word that no video, or no question, has."""
        for video_id in sorted(self._ids - self._seen):
            raise UnknownName("video", video_id, self._seen)
        for kind, word in self._wanted.items():
            if word not in self._there[kind]:
                raise UnknownName(kind, self._given[kind].strip(), filter(None, self._there[kind].values()))


def _folded(text: str) -> str:
    return text.strip().casefold()
